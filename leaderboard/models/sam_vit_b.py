"""SAM with the ViT-B encoder (Kirillov et al., ICCV 2023), its owner's weights."""

from leaderboard.sam import official
from leaderboard.sam.segmenter import Sam


class SamVitB(Sam):
    declaration = official.declaration(
        "sam_vit_b",
        "SAM ViT-B, 94 million parameters, its owner's weights.",
        trained_on=official.SA_1B,
    )


MODEL = SamVitB
