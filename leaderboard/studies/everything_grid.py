"""What everything (S1) scores by how many points it asks with (protocol, section 6; paper, table 5).

The points of a coarse grid are none of a finer one, so that each grid is asked anew, of the same encoding.
"""

import base64
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from tqdm import tqdm

from cosmos1050k import pictures, shards
from cosmos1050k.errors import InputError
from cosmos1050k.schema import SMALL_AREA
from leaderboard import measurements, models
from leaderboard.board_images import board_images
from leaderboard.machine import MEASURED, Machine
from leaderboard.metrics import dices
from leaderboard.models.base import Segmenter
from leaderboard.selection import best_of
from leaderboard.studies import subjects
from leaderboard.studies.options import StudyOptions
from leaderboard.studies.record import Studied, head, on_image
from leaderboard.studies.subjects import Subject

TITLE = "the grid of everything"
GRIDS = MEASURED / "everything_grid"
#: The sources of the paper's table: Warwick-QU, CRAG, EPFL-EM, ssTEM.
PAPER = ("warwick_qu_glas", "crag", "epfl_em", "sstem_isbi2012")
#: Colours of masks in a map; 0 is none.
COLOURS = 255
#: The longest side of a map, in pixels.
_SIDE = 256

Share = Annotated[float, Field(ge=0, le=1)]


class OnPair(BaseModel):
    """What one grid finds of a source's objects of one pair.

    Args:
        points: per side of the grid.
        dice: the mean over the objects, of the mask with the highest (oracle), 0…1.
        masks: that pass SAM's filters, the mean over the images.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: str
    pair: str
    points: int
    images: int
    objects: int
    dice: Share
    masks: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Drawn(BaseModel):
    """What one grid finds on one image: so many masks, its objects' mean DICE, and where the masks lie.

    Args:
        labels: a PNG in base64, as `label_map` reads it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    points: int
    masks: int
    dice: Share
    labels: str


class Example(BaseModel):
    """A source's image with the most objects, by every grid."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: str
    image_id: str
    objects: int
    grids: tuple[Drawn, ...]


class EverythingGrid(Studied):
    """What was measured of one model.

    Args:
        of_paper: whether the sources are the paper's, those of them that were given; else they are all.
    """

    of_paper: bool = False
    pairs: tuple[OnPair, ...] = ()
    examples: tuple[Example, ...] = ()


RECORD = EverythingGrid


def measure(
    model: str, data: Path, sources: Sequence[str], options: StudyOptions, machine: Machine
) -> EverythingGrid:
    """Asks a model for everything with every grid, on some images of each source; each is encoded once.

    Raises:
        InputError: the model is unknown, its weights are missing, a source is not built, no image holds an
            object that is scored, or the model fails on one.
        MemoryError, DeviceLost: the machine failed, not the model.
    """
    kind = models.kind(model)
    if limits := _limits(kind, machine):
        return EverythingGrid(**head(kind, data, sources, machine), limits=limits)
    kind.check()
    asked, of_paper = _asked(data, sources)
    segmenter = models.get(model, machine)
    grids = sorted(set(options.everything_grid))
    images: list[_Image] = []
    pairs: list[OnPair] = []
    examples: list[Example] = []
    for source in asked:
        found, shown = _of_source(segmenter, data, source, grids, options.grid_images)
        images += found
        pairs += _pairs(source, found, grids)
        examples += shown
    return EverythingGrid(
        **head(kind, data, asked, machine),
        images=len(images),
        objects=sum(len(image.pairs) for image in images),
        of_paper=of_paper,
        pairs=tuple(pairs),
        examples=tuple(examples),
    )


def label_map(drawn: Drawn) -> NDArray[np.uint8]:
    """The colour 1…`COLOURS` of the smallest mask over each pixel, 0 of none: h×w, 256 at most."""
    return pictures.decode(base64.b64decode(drawn.labels))


class _Seen:
    """The masks of one image as they pass: their number, and if asked for the smallest over each pixel."""

    def __init__(self, size: tuple[int, int], drawn: bool) -> None:
        self.masks = 0
        small = [max(1, side * _SIDE // max(_SIDE, *size)) for side in size]
        self._places = np.ix_(*(np.arange(few) * side // few for few, side in zip(small, size, strict=True)))
        self._areas = np.full(small, np.iinfo(np.int64).max) if drawn else None
        self._labels = np.zeros(small, np.uint8)

    def through(self, masks: Iterable[NDArray[np.bool_]]) -> Iterator[NDArray[np.bool_]]:
        for mask in masks:
            if self._areas is not None:
                # As if the largest were painted first.
                area = np.count_nonzero(mask)
                on_top = mask[self._places] & (area <= self._areas)
                self._areas[on_top], self._labels[on_top] = area, self.masks % COLOURS + 1
            self.masks += 1
            yield mask

    @property
    def labels(self) -> str:
        return base64.b64encode(pictures.encode(self._labels)).decode()


@dataclass(frozen=True)
class _Image:
    """Of an image the pairs of its n objects, and by grid their DICE and the number of masks."""

    image_id: str
    pairs: Sequence[str]
    dice: Mapping[int, Sequence[float]]
    masks: Mapping[int, int]


def _limits(kind: type[Segmenter], machine: Machine) -> str:
    declared = kind.declared(machine)
    if "S1" not in declared.applies:
        return declared.limits
    takes = inspect.signature(kind.everything).parameters
    return "" if "filters" in takes else "finds masks without a grid of points"


def _asked(data: Path, sources: Sequence[str]) -> tuple[list[str], bool]:
    """Of the sources that have a test case those of the paper, and that they are; else all."""
    tested = [slug for slug in sources if any(map(_scored, shards.load_cases(data / slug)))]
    if not tested:
        raise InputError(f"{data}: no test case of {', '.join(sources)}; build a source that has one")
    of_paper = [slug for slug in PAPER if slug in tested]
    return of_paper or tested, bool(of_paper)


def _scored(case: Mapping[str, Any]) -> bool:
    return case["split"] == "test" and bool(case["pairs"])


def _of_source(
    model: Segmenter, data: Path, source: str, grids: Sequence[int], images: int
) -> tuple[list[_Image], list[Example]]:
    """The images, and the first of those with the most objects as an example."""
    rows = board_images(data, [source], images).to_pylist()
    objects = [sum(entry["area"] > SMALL_AREA for entry in row["objects"]) for row in rows]
    most = objects.index(max(objects))
    found, examples = [], []
    title = f"everything {model.declaration.name}, {source}"
    for place, row in enumerate(tqdm(rows, desc=title, unit=" image", disable=None)):
        subject = subjects.read(row)
        dice, seen = _asked_of(model, subject, grids, drawn=place == most)
        masks = {points: one.masks for points, one in seen.items()}
        image = _Image(subject.image_id, [entry["pair"] for entry in subject.entries], dice, masks)
        found.append(image)
        if place == most:
            examples.append(_example(source, image, seen))
    return found, examples


def _asked_of(
    model: Segmenter, subject: Subject, grids: Sequence[int], drawn: bool
) -> tuple[dict[int, list[float]], dict[int, _Seen]]:
    """By grid the DICE of the image's objects, and what was seen of the masks."""
    from leaderboard.sam.everything import Filters

    by_grid: Any = model  # `_limits` saw that it takes filters
    dice, every = {}, {}
    with on_image(model.declaration.name, subject.image_id):
        (embedding,) = model.embed([subject.picture])
        for points in grids:
            seen = every[points] = _Seen(subject.size, drawn)
            masks = by_grid.everything(embedding, Filters(points_per_side=points))
            best = best_of(seen.through(masks), subject.truths)
            dice[points] = [
                0.0 if one is None else float(dices(one[1], [truth])[0])
                for one, truth in zip(best, subject.truths, strict=True)
            ]
    return dice, every


def _example(source: str, image: _Image, seen: Mapping[int, _Seen]) -> Example:
    return Example(
        source=source,
        image_id=image.image_id,
        objects=len(image.pairs),
        grids=tuple(
            Drawn(points=points, masks=one.masks, dice=_mean(image.dice[points]), labels=one.labels)
            for points, one in seen.items()
        ),
    )


def _pairs(source: str, found: Sequence[_Image], grids: Sequence[int]) -> Iterator[OnPair]:
    """Pair by pair, the coarsest grid first."""
    for pair in sorted({pair for image in found for pair in image.pairs}):
        having = [image for image in found if pair in image.pairs]
        for points in grids:
            values = [
                value
                for image in having
                for own, value in zip(image.pairs, image.dice[points], strict=True)
                if own == pair
            ]
            yield OnPair(
                source=source,
                pair=pair,
                points=points,
                images=len(having),
                objects=len(values),
                dice=_mean(values),
                masks=_mean([image.masks[points] for image in having]),
            )


def _mean(values: Sequence[float]) -> float:
    return round(fmean(values), 6)


def write(found: EverythingGrid, folder: Path = GRIDS) -> Path:
    """As `measurements.write`."""
    return measurements.write(found, folder)


def read(path: Path) -> EverythingGrid:
    """As `measurements.read`."""
    return measurements.read(EverythingGrid, path, "make repro")
