"""MedSAM (Ma et al., Nature Communications 2024): SAM ViT-B finetuned on medical images by box prompts."""

from leaderboard.contamination import TrainedOn
from leaderboard.models.base import PROMPTED, PROMPTED_LIMITS
from leaderboard.sam import official
from leaderboard.sam.medsam import MedSam


class Medsam(MedSam):
    declaration = official.declaration(
        "medsam",
        "MedSAM, SAM ViT-B finetuned on 1.6 million medical masks by its owner.",
        # Public datasets that the paper's supplementary tables 1 to 4 list, not matched with the sources here
        # yet; the names of the cases that were held out were not kept (bowang-lab/MedSAM, issue 230).
        trained_on=TrainedOn(),
        preprocessing="medsam",
        candidates=1,
        applies=PROMPTED,
        made_for=("S5",),
        limits=PROMPTED_LIMITS,
    )


MODEL = Medsam
