"""How much effort a model's masks under the box prompt leave to a person (protocol, section 6, table 7)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, TypeAdapter

from leaderboard import measurements
from leaderboard.board_images import BoardImages
from leaderboard.machine import MEASURED, Machine
from leaderboard.metrics import Truth
from leaderboard.models.base import Answer, Segmenter, StrategyName
from leaderboard.selection import SELECTIONS, chosen
from leaderboard.strategies import STRATEGIES, prompts
from leaderboard.studies.effort import RELAX, Effort, Mask, correction_effort
from leaderboard.studies.options import StudyOptions
from leaderboard.studies.record import Studied
from leaderboard.studies.study import Asked, Study
from leaderboard.studies.subjects import Subject

CORRECTION = MEASURED / "correction"
#: The box alone.
STRATEGY: StrategyName = "S5"
#: In place of a selection: of no mask at all, which is to draw each object from scratch.
NOTHING = "nothing"


class Correction(Studied):
    """Human Correction Effort of a model's masks of objects prompted by their boxes.

    Args:
        relax: how thick an error is tolerated, in pixels.
        efforts: of the candidates that `oracle` chooses (as on the board), and `predicted_iou`; of
            `nothing`, for scale. Empty where the study does not apply.
    """

    relax: int = RELAX
    efforts: dict[str, Effort] = Field(default_factory=dict)


class _Study(Study[list[dict[str, int]]]):
    """Per object of an image, by what chose the mask, the clicks to mend it."""

    name = CORRECTION.name
    title = "the effort to correct its masks"
    finding = TypeAdapter(list[dict[str, int]])
    record = Correction

    def limits(self, kind: type[Segmenter], machine: Machine) -> str:
        lack = kind.declared(machine).not_applicable
        return lack[STRATEGY] or "takes no box" if STRATEGY in lack else ""

    def asked(self, data: Path, sources: Sequence[str], options: StudyOptions) -> list[Asked]:
        board = BoardImages(data, sources)
        return [Asked(board, place, {"relax": RELAX}) for place in board.first(options.images)]

    def of_image(
        self, segmenter: Segmenter, subject: Subject, how: Mapping[str, Any]
    ) -> list[dict[str, int]]:
        (embedding,) = segmenter.embed([subject.picture])
        answers = segmenter.prompt(embedding, prompts(STRATEGIES[STRATEGY], subject.entries))
        return [_of_object(answer, truth) for answer, truth in zip(answers, subject.truths, strict=True)]

    def summary(self, asked: Sequence[Asked], found: Sequence[list[dict[str, int]]]) -> dict[str, Any]:
        return {
            "images": len(found),
            "objects": sum(map(len, found)),
            "efforts": {
                name: Effort.of([[one[name] for one in of_image] for of_image in found])
                for name in (*SELECTIONS, NOTHING)
            },
        }


STUDY = _Study()


def picked(answer: Answer, truth: Truth) -> dict[str, Mask]:
    """Per selection the mask H×W that it chooses as on the board; an empty one where there is no candidate.

    Raises:
        ValueError: as `selection.chosen`.
    """
    choice, masks = chosen(STRATEGY, answer, truth), answer.masks
    places = {name: choice[f"candidate_{name}"] for name in SELECTIONS}
    return {
        name: np.zeros(truth.shape, bool) if place is None else masks[place] for name, place in places.items()
    }


def _of_object(answer: Answer, truth: Truth) -> dict[str, int]:
    whole = np.zeros(truth.shape, bool)
    nothing = whole.copy()
    whole[truth.box] = truth.inside
    oracle, rated = picked(answer, truth).values()
    clicks = correction_effort(oracle, whole)
    same = np.array_equal(oracle, rated)
    of_rated = clicks if same else correction_effort(rated, whole)
    return dict(
        zip((*SELECTIONS, NOTHING), (clicks, of_rated, correction_effort(nothing, whole)), strict=True)
    )


def read(path: Path) -> Correction:
    """As `measurements.read`."""
    return measurements.read(Correction, path, "make repro")
