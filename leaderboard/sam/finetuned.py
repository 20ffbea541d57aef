"""Finetuned checkpoints run as the model that they were trained from."""

from typing import ClassVar

from segment_anything.modeling import Sam as Network

from leaderboard import finetuned
from leaderboard.finetuned import Finetuned
from leaderboard.sam import network, weights
from leaderboard.sam.medsam import MedSam
from leaderboard.sam.segmenter import Sam


class _Own:
    """What a finetuned model has of its own: its record instead of an owner's checkpoint."""

    record: ClassVar[Finetuned]

    @classmethod
    def check(cls) -> None:
        finetuned.verified(cls.record)

    @classmethod
    def encoder_sha256(cls) -> str:
        record = cls.record
        return finetuned.base_of(record.base).weights_sha256 if record.base else record.weights_sha256

    @classmethod
    def load(cls) -> Network:
        path, base = finetuned.verified(cls.record)
        made = network.build(cls.record.architecture)
        weights.load(path, made, base)
        return made


class _OwnSam(_Own, Sam):
    pass


class _OwnMedSam(_Own, MedSam):
    pass


def kind_of(record: Finetuned) -> type[Sam]:
    """The class of a finetuned model."""
    parent = _OwnMedSam if record.preprocessing == "medsam" else _OwnSam
    own = {"record": record, "declaration": record.declaration, "multimask": record.candidates == 3}
    return type(record.name, (parent,), own)
