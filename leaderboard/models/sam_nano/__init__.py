"""A small SAM that `pipelines/nano` trains from nothing; weights and a card that says on what lie here."""

from segment_anything.modeling import Sam as Network

from leaderboard import weights
from leaderboard.finetuned import base_of
from leaderboard.models.base import ALL, Declaration
from leaderboard.sam import network
from leaderboard.sam import weights as states
from leaderboard.sam.segmenter import Sam

_NAME = "sam_nano"


class SamNano(Sam):
    declaration = Declaration(
        name=_NAME,
        kind="demonstration",
        description="A small SAM to try things with, trained here on synthetic images and one MRI of a head; "
        "no measure of SAM.",
        version=1,
        preprocessing="sam",
        candidates=3,
        applies=ALL,
        made_for=ALL,
        parameters=weights.PARAMETERS[weights.SHIPPED[_NAME]],
        weights_sha256=base_of(_NAME).weights_sha256,
        dtype="float32",
    )

    @classmethod
    def check(cls) -> None:
        base_of(_NAME)

    @classmethod
    def load(cls) -> Network:
        made = network.build(weights.SHIPPED[_NAME])
        states.load(weights.shipped(_NAME), made)
        return made


MODEL = SamNano
