"""SAM with the ViT-L encoder (Kirillov et al., ICCV 2023), its owner's weights."""

from leaderboard.sam import official
from leaderboard.sam.segmenter import Sam


class SamVitL(Sam):
    declaration = official.declaration(
        "sam_vit_l",
        "SAM ViT-L, 312 million parameters, its owner's weights.",
        trained_on=official.SA_1B,
    )


MODEL = SamVitL
