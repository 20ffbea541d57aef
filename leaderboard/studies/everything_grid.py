"""What everything (S1) scores by how many points it asks with (protocol, section 6; paper, table 5).

The points of a coarse grid are none of a finer one, so that each grid is asked anew, of the same encoding.
"""

import base64
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from cosmos1050k import pictures, shards
from cosmos1050k.errors import InputError
from cosmos1050k.schema import SMALL_AREA
from leaderboard import measurements
from leaderboard.board_images import BoardImages
from leaderboard.machine import MEASURED, Machine
from leaderboard.metrics import dices
from leaderboard.models.base import Segmenter
from leaderboard.selection import best_of
from leaderboard.studies.options import StudyOptions
from leaderboard.studies.record import Studied
from leaderboard.studies.study import Asked, Study
from leaderboard.studies.subjects import Subject

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


class _Image(BaseModel):
    """Of an image the pairs of its n objects, and by grid their DICE, the number of masks, and a map of them.

    Args:
        labels: as in `Drawn`, of an image that is drawn.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    image_id: str
    pairs: tuple[str, ...]
    dice: dict[int, tuple[float, ...]]
    masks: dict[int, int]
    labels: dict[int, str] = Field(default_factory=dict)


class _Study(Study[_Image]):
    name = GRIDS.name
    title = "the grid of everything"
    finding = TypeAdapter(_Image)
    record = EverythingGrid

    def limits(self, kind: type[Segmenter], machine: Machine) -> str:
        declared = kind.declared(machine)
        if "S1" not in declared.applies:
            return declared.limits
        takes = inspect.signature(kind.everything).parameters
        return "" if "filters" in takes else "finds masks without a grid of points"

    def of_sources(self, data: Path, sources: Sequence[str]) -> Sequence[str]:
        """Of those that have a test case the paper's; else all of them."""
        tested = [slug for slug in sources if any(map(_scored, shards.load_cases(data / slug)))]
        if not tested:
            raise InputError(f"{data}: no test case of {', '.join(sources)}; build a source that has one")
        return [slug for slug in PAPER if slug in tested] or tested

    def asked(self, data: Path, sources: Sequence[str], options: StudyOptions) -> list[Asked]:
        """Some of each source; the first of those with the most objects is drawn."""
        grids = sorted(set(options.everything_grid))
        asked = []
        for source in self.of_sources(data, sources):
            board = BoardImages(data, [source])
            places = board.first(options.grid_images)
            objects = [_scored_objects(board.read(place)) for place in places]
            drawn = objects.index(max(objects)) if objects else None
            asked += [
                Asked(board, place, {"grids": grids, "drawn": number == drawn})
                for number, place in enumerate(places)
            ]
        return asked

    def of_image(self, segmenter: Segmenter, subject: Subject, how: Mapping[str, Any]) -> _Image:
        from leaderboard.sam.everything import Filters

        by_grid: Any = segmenter  # `limits` saw that it takes filters
        (embedding,) = segmenter.embed([subject.picture])
        dice, masks, labels = {}, {}, {}
        for points in how["grids"]:
            seen = _Seen(subject.size, how["drawn"])
            every = by_grid.everything(embedding, Filters(points_per_side=points))
            best = best_of(seen.through(every), subject.truths)
            dice[points] = tuple(
                0.0 if one is None else float(dices(one[1], [truth])[0])
                for one, truth in zip(best, subject.truths, strict=True)
            )
            masks[points] = seen.masks
            if how["drawn"]:
                labels[points] = seen.labels
        pairs = tuple(entry["pair"] for entry in subject.entries)
        return _Image(image_id=subject.image_id, pairs=pairs, dice=dice, masks=masks, labels=labels)

    def summary(self, asked: Sequence[Asked], found: Sequence[_Image]) -> dict[str, Any]:
        of_sources: dict[str, list[_Image]] = {}
        for one, image in zip(asked, found, strict=True):
            of_sources.setdefault(one.source, []).append(image)
        return {
            "images": len(found),
            "objects": sum(len(image.pairs) for image in found),
            "of_paper": set(of_sources) <= set(PAPER),
            "pairs": tuple(row for source, own in of_sources.items() for row in _pairs(source, own)),
            "examples": tuple(
                _example(source, image) for source, own in of_sources.items() for image in own if image.labels
            ),
        }


STUDY = _Study()


def _scored(case: Mapping[str, Any]) -> bool:
    return case["split"] == "test" and bool(case["pairs"])


def _scored_objects(row: Mapping[str, Any]) -> int:
    return sum(entry["area"] > SMALL_AREA for entry in row["objects"])


def _example(source: str, image: _Image) -> Example:
    return Example(
        source=source,
        image_id=image.image_id,
        objects=len(image.pairs),
        grids=tuple(
            Drawn(points=points, masks=image.masks[points], dice=_mean(image.dice[points]), labels=labels)
            for points, labels in image.labels.items()
        ),
    )


def _pairs(source: str, found: Sequence[_Image]) -> Iterator[OnPair]:
    """Pair by pair, the coarsest grid first."""
    for pair in sorted({pair for image in found for pair in image.pairs}):
        having = [image for image in found if pair in image.pairs]
        for points in found[0].dice:
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


def read(path: Path) -> EverythingGrid:
    """As `measurements.read`."""
    return measurements.read(EverythingGrid, path, "make repro")
