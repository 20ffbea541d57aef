"""How much effort a model's masks under the box prompt leave to a person (protocol, section 6, table 7)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field
from tqdm import tqdm

from leaderboard import measurements, models
from leaderboard.board_images import board_images
from leaderboard.machine import MEASURED, Machine
from leaderboard.metrics import Truth
from leaderboard.models.base import Answer, Segmenter, StrategyName
from leaderboard.selection import SELECTIONS, chosen
from leaderboard.strategies import STRATEGIES, prompts
from leaderboard.studies import subjects
from leaderboard.studies.effort import RELAX, Effort, Mask, correction_effort
from leaderboard.studies.options import StudyOptions
from leaderboard.studies.record import Studied, head, on_image
from leaderboard.studies.subjects import Subject

TITLE = "the effort to correct its masks"
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


RECORD = Correction


def measure(
    model: str, data: Path, sources: Sequence[str], options: StudyOptions, machine: Machine
) -> Correction:
    """Measures a model's masks of the scored objects on some of the board's images.

    Args:
        data: the folder that holds one folder per built source.

    Raises:
        InputError: the model is unknown, its weights are missing, a source is not built, no image holds an
            object that is scored, or the model fails on one.
    """
    kind = models.kind(model)
    kind.check()
    given = head(kind, data, sources, machine)
    lack = kind.declared(machine).not_applicable
    if STRATEGY in lack:
        return Correction(**given, limits=lack[STRATEGY] or "takes no box")
    rows = board_images(data, sources, options.images)
    segmenter = models.get(model, machine)
    found: dict[str, list[list[int]]] = {name: [] for name in (*SELECTIONS, NOTHING)}
    for row in tqdm(rows.to_pylist(), desc=f"correction {model}", unit=" image", disable=None):
        subject = subjects.read(row)
        with on_image(model, subject.image_id):
            own = _clicks(segmenter, subject)
        for name, clicks in found.items():
            clicks.append([of_object[name] for of_object in own])
    return Correction(
        **given,
        images=len(found[NOTHING]),
        objects=sum(map(len, found[NOTHING])),
        efforts={name: Effort.of(clicks) for name, clicks in found.items()},
    )


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


def _clicks(model: Segmenter, subject: Subject) -> list[dict[str, int]]:
    """Of each object the clicks to mend each mask of it."""
    (embedding,) = model.embed([subject.picture])
    answers = model.prompt(embedding, prompts(STRATEGIES[STRATEGY], subject.entries))
    return [_of_object(answer, truth) for answer, truth in zip(answers, subject.truths, strict=True)]


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


def write(found: Correction, folder: Path = CORRECTION) -> Path:
    """As `measurements.write`."""
    return measurements.write(found, folder)


def read(path: Path) -> Correction:
    """As `measurements.read`."""
    return measurements.read(Correction, path, "make repro")
