"""SAM with the ViT-H encoder (Kirillov et al., ICCV 2023), its owner's weights."""

from leaderboard.sam import official
from leaderboard.sam.segmenter import Sam


class SamVitH(Sam):
    declaration = official.declaration(
        "sam_vit_h",
        "SAM ViT-H, 641 million parameters, its owner's weights.",
        trained_on=official.SA_1B,
    )


MODEL = SamVitH
