"""How much DICE a model loses when its prompts are shifted (protocol, section 6; paper, table 8).

The paper speaks of shifted centres and boxes; here every point moves, the negative ones too.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from tqdm import tqdm

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from cosmos1050k.splits import uniform
from leaderboard import measurements, models
from leaderboard.board_images import board_images
from leaderboard.machine import MEASURED, Device, Machine
from leaderboard.measurements import Measured
from leaderboard.metrics import Truth
from leaderboard.models.base import Segmenter
from leaderboard.selection import chosen
from leaderboard.strategies import PADDING, STRATEGIES, Prompts, prompts
from leaderboard.studies import subjects
from leaderboard.studies.record import on_image
from leaderboard.studies.subjects import Key

ROBUSTNESS = MEASURED / "robustness"

#: The least and the most pixels that a prompt is shifted by.
Reach = tuple[int, int]

REACHES: tuple[Reach, ...] = ((0, 10), (10, 20), (20, 30))
SEEDS = (0, 1, 2)
#: Of the hash that shifts are drawn by; another one would be other shifts.
_KEY = b"cosmos1050k/robustness"
#: The whole pixels around a place, from the one up and left of it.
_CORNERS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
_OUTWARD = np.array([-1, -1, 1, 1])


class Drop(BaseModel):
    """DICE (0…1) without shifts minus DICE with them: mean and standard deviation (n − 1) over the seeds."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    mean: Annotated[float, Field(ge=-1, le=1)]
    spread: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Robustness(Measured):
    """What one model's weights lose on so many images of some sources.

    Args:
        sources: slug → version.
        objects: those of more than 50 pixels; each counts the same.
        drops: pixels, such as `0-10` → strategy → of the best candidates (oracle).
    """

    version: int
    weights_sha256: str | None
    sources: dict[str, str]
    images: int
    objects: int
    device: Device
    numerics: str
    drops: dict[str, dict[str, Drop]] = Field(min_length=1)


def measure(
    model: str,
    data: Path,
    sources: Sequence[str],
    strategies: Sequence[str],
    images: int,
    machine: Machine | None = None,
) -> Robustness:
    """Prompts a model with and without shifts on the same objects.

    Args:
        data: the folder that holds one folder per built source.
        strategies: those that don't apply, and everything, which has no prompt, are left out.
        images: so many test images of the sources, spread over pairs and cases.
        machine: where it runs; by default on the CPU.

    Raises:
        InputError: the model is unknown, its weights are missing, no strategy is left, a source is not built,
            no test image holds an object that is scored, or the model fails on one.
    """
    kind = models.kind(model)
    kind.check()
    machine = machine or Machine()
    declared = kind.declared(machine)
    able = [name for name in declared.applies if not STRATEGIES[name].everything]
    names = [name for name in STRATEGIES if name in strategies and name in able]
    if not names:
        problem = f"no prompt to shift under {', '.join(strategies)}"
        raise InputError(f"{model}: {problem}; it takes prompts under {', '.join(able) or 'no strategy'}")
    versions = {slug: shards.load_manifest(data / slug).version for slug in sources}
    rows = board_images(data, sources, images)
    found = drops(kind.on(machine), rows, names)
    objects = found[names[0]].shape[-1]
    of_reaches = {name: list(map(_over_seeds, values)) for name, values in found.items()}
    return Robustness(
        model=model,
        version=declared.version,
        weights_sha256=declared.weights_sha256,
        sources=versions,
        images=rows.num_rows,
        objects=objects,
        device=declared.device,
        numerics=declared.dtype,
        drops={
            named(reach): {name: own[place] for name, own in of_reaches.items()}
            for place, reach in enumerate(REACHES)
        },
    )


def named(reach: Reach) -> str:
    """A reach as the paper's table has it, such as `0-10`."""
    return f"{reach[0]}-{reach[1]}"


def drops(model: Segmenter, rows: pa.Table, strategies: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Strategy → the loss of DICE of n objects, reaches × seeds × n; each image is encoded once.

    Args:
        rows: `score.COLUMNS` of the dataset's schema.
        strategies: such as the model applies, without everything.

    Raises:
        InputError: the model fails on an image.
        MemoryError, DeviceLost: the machine failed, not the model.
    """
    found: dict[str, list[NDArray[np.float64]]] = {
        name: [np.zeros((len(REACHES), len(SEEDS), 0))] for name in strategies
    }
    name = model.declaration.name
    for row in tqdm(rows.to_pylist(), desc=f"robustness {name}", unit=" image", disable=None):
        subject = subjects.read(row)
        if not subject.entries:
            continue
        with on_image(name, subject.image_id):
            (embedding,) = model.embed([subject.picture])
            for strategy, values in found.items():
                given = prompts(STRATEGIES[strategy], subject.entries)
                values.append(_lost(model, embedding, strategy, given, subject.keys, subject.truths))
    return {strategy: np.concatenate(values, axis=-1) for strategy, values in found.items()}


def shifted(prompts: Prompts, keys: Sequence[Key], size: tuple[int, int], reach: Reach, seed: int) -> Prompts:
    """Prompts of n objects of one image, shifted by whole pixels and clipped to the image.

    Every point moves in a direction and by a distance of its own, padding doesn't; a box is enlarged on all
    sides or moved, with equal chance. What becomes of a point or a box depends on the object's key, the
    reach, the seed and the point's place alone, so that it is the same under every strategy.

    Args:
        keys: n objects.
        size: height and width of the image.
        reach: so many pixels, at least and at most.
    """

    def drawn(*what: str) -> NDArray[np.float64]:
        """In 0…1, n×len(what)."""
        texts = [f"{seed}/{named(reach)}/{one}/{index}/{image}" for image, index in keys for one in what]
        return np.array([uniform(text, _KEY) for text in texts]).reshape(len(keys), len(what))

    points, boxes = prompts.points, prompts.boxes
    last = np.array(size[::-1], np.int32) - 1
    if points is not None and prompts.labels is not None:
        what = [f"point {place} {part}" for place in range(points.shape[1]) for part in ("distance", "angle")]
        moved = np.clip(points + _offsets(drawn(*what).reshape(points.shape), reach), 0, last)
        points = np.where(prompts.labels[..., None] == PADDING, points, moved)
    if boxes is not None:
        draws = drawn("box kind", "box distance", "box angle")
        more = np.rint(_distances(draws[:, 1], reach)).astype(np.int32)
        enlarged = boxes + more[:, None] * _OUTWARD
        moved = boxes + np.tile(_offsets(draws[:, 1:], reach), 2)
        boxes = np.clip(np.where(draws[:, :1] < 0.5, enlarged, moved), 0, np.tile(last, 2)).astype(np.int32)
    return Prompts(points, prompts.labels, boxes)


def _distances(draws: NDArray[np.float64], reach: Reach) -> NDArray[np.float64]:
    return reach[0] + (reach[1] - reach[0]) * draws


def _offsets(draws: NDArray[np.float64], reach: Reach) -> NDArray[np.int32]:
    """…×2 (distance and angle, in 0…1) to …×2 (x, y): the nearest whole pixel that is within the reach."""
    distance, angle = _distances(draws[..., 0], reach), 2 * np.pi * draws[..., 1]
    exact = distance[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    pixels = np.floor(exact)[..., None, :] + _CORNERS
    squares = (pixels**2).sum(axis=-1)
    within = (squares >= reach[0] ** 2) & (squares <= reach[1] ** 2)
    gaps = np.linalg.norm(pixels - exact[..., None, :], axis=-1)
    best = np.argmin(gaps + 2 * ~within, axis=-1)  # a gap is less than 2
    return np.take_along_axis(pixels, best[..., None, None], axis=-2)[..., 0, :].astype(np.int32)


def _lost(
    model: Segmenter,
    embedding: Any,
    strategy: str,
    given: Prompts,
    keys: Sequence[Key],
    truths: Sequence[Truth],
) -> NDArray[np.float64]:
    """DICE without minus DICE with shifts, reaches × seeds × n objects."""

    def dice(asked: Prompts) -> NDArray[np.float64]:
        answers = zip(model.prompt(embedding, asked), truths, strict=True)
        return np.array([chosen(strategy, answer, truth)["dice_oracle"] for answer, truth in answers])

    height, width = truths[0].shape
    size, before = (height, width), dice(given)
    return np.array(
        [[before - dice(shifted(given, keys, size, reach, seed)) for seed in SEEDS] for reach in REACHES]
    )


def _over_seeds(values: NDArray[np.float64]) -> Drop:
    """Of seeds × n objects."""
    means = values.mean(axis=-1)
    return Drop(mean=float(means.mean()), spread=float(means.std(ddof=1)))


def write(found: Robustness, folder: Path = ROBUSTNESS) -> Path:
    """As `measurements.write`."""
    return measurements.write(found, folder)


def read(path: Path) -> Robustness:
    """As `measurements.read`."""
    return measurements.read(Robustness, path, f"cosmos robustness {path.stem}")
