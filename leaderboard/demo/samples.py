"""Pictures of the built dataset, to look at and to try a model on; only those that may be shown."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmos1050k import pictures, shards, sources
from cosmos1050k.errors import InputError
from cosmos1050k.regions import mask_of
from cosmos1050k.schema import SMALL_AREA
from cosmos1050k.taxonomy import MODALITIES
from cosmos1050k.units import MANIFEST
from leaderboard.demo.prompting import Found, Prompt
from leaderboard.metrics import Truth
from leaderboard.strategies import PADDING, POSITIVE, STRATEGIES, prompts

Item = TypeVar("Item")

#: Sources whose tables of cases stay in memory, and cases whose pictures' names do.
_SOURCES, _CASES = 64, 256
#: What a row's name has after its case's when it is a part of a picture.
_TILE = re.compile(r"\+y\d+x\d+$")
_CASE_COLUMNS = ["case", "modality", "patient", "split", "shard", "first_row", "rows", "pairs"]
_PAIRS = ["image_id", "objects.list.element.pair", "objects.list.element.area"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SampleObject:
    """An object of a picture, with its stored prompts in the picture's pixels.

    `index` is its place in the row's `objects`, as in a score; `box` [x0, y0, x1, y1] has both ends inside;
    points are (x, y), and (-1, -1) where there is none to be had.
    """

    index: int
    object: str
    instance: str | None
    pair: str
    area: int
    box: tuple[int, ...]
    points_pos: tuple[tuple[int, ...], ...]
    points_neg: tuple[tuple[int, ...], ...]
    values: tuple[int, ...] = field(repr=False)
    regions: NDArray[np.uint8] = field(repr=False)

    @property
    def label(self) -> str:
        """What to call it: `Kidney (left)`."""
        return self.object if self.instance is None else f"{self.object} ({self.instance})"

    @property
    def scored(self) -> bool:
        """Whether it is large enough to be scored."""
        return self.area > SMALL_AREA

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Its pixels, H×W."""
        return mask_of(self.regions, self.values)

    def truth(self) -> Truth:
        """What a prediction is measured against."""
        return Truth.of(self.mask)


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture of the dataset, H×W gray or H×W×3 RGB; `spacing` is mm between its rows and its columns."""

    image_id: str
    source: str
    patient: str
    case: str
    modality: str
    split: str
    picture: NDArray[np.uint8] = field(repr=False)
    spacing: tuple[float, float] | None
    objects: tuple[SampleObject, ...]


class Samples:
    """The built sources below a folder. What was read is kept within bounds, and read anew after a build.

    Args:
        data: the folder that holds one folder per built source.
        private: whether it is only the owner of the machine who looks: then every source may be shown.
    """

    def __init__(self, data: Path = shards.DATA, private: bool = False) -> None:
        self.data = data
        self.private = private
        self._read = lru_cache(_SOURCES)(_Built)
        self._names = lru_cache(_CASES)(_Built.names)

    def shows(self, source: str) -> bool:
        """Whether pictures of a source may be shown: its terms let them be passed on, or they are synthetic.

        Raises:
            InputError: it is built, and its manifest is damaged.
        """
        if self.private or (source in sources.slugs() and sources.get(source).SOURCE.redistributable):
            return True
        return source in shards.built(self.data) and self._source(source).phantom

    def load(self, image_id: str) -> Sample:
        """A picture by its name, as the dataset and the scores have it.

        Raises:
            InputError: there is none of that name here, it may not be shown, or it is damaged.
        """
        parts = image_id.split("/")
        if len(parts) != 4 or not image_id.isprintable():
            raise InputError(f"no picture is called {image_id[:200]!r}; give SOURCE/CASE/MODALITY/SLICE")
        source, case, modality, _ = parts
        if source not in shards.built(self.data):
            known = source in sources.slugs()
            remedy = f"run `cosmos build {source}`" if known else "choose a picture of another source"
            raise InputError(f"the source {source[:200]!r} is not built here; {remedy}")
        if not self.shows(source):
            problem = f"pictures of {source!r} may not be shown: its terms don't let them be passed on"
            raise InputError(f"{problem}; start your own app with --private")
        built = self._source(source)
        for name in dict.fromkeys((case, _TILE.sub("", case))):
            for place in built.places(name, modality):
                names = self._names(built, place)
                if image_id in names:
                    return built.sample(place, names.index(image_id))
        raise InputError(f"{source!r} as it is built here has no picture {image_id[:200]!r}; choose another")

    def of_pair(self, pair: str, count: int, split: str | None = "test") -> list[str]:
        """Names of pictures with an object of a pair that is large enough to be scored.

        Args:
            count: at most so many: of every source one in turn, within a source of every patient, and of a
                case the middle one first. The same build gives the same names, and fewer the first of them.
            split: train, validation or test; None for any.
        """
        found = self._of_each(lambda built: built.of_pair(pair, split))
        return list(islice(_in_turn(found), max(count, 0)))

    def pairs(self, split: str | None = "test") -> dict[str, list[str]]:
        """Modality → the objects of which `of_pair` has a picture, sorted."""
        found: dict[str, set[str]] = {}
        for modality, pair in chain.from_iterable(self._of_each(lambda built: built.pairs(split))):
            found.setdefault(modality, set()).add(pair.removesuffix(f"-{modality}"))
        return {modality: sorted(found[modality]) for modality in MODALITIES if modality in found}

    def _source(self, slug: str) -> "_Built":
        """Raises: InputError: its manifest is gone."""
        path = self.data / slug / MANIFEST
        with shards.readable(path.parent, path.name):
            state = path.stat()
        return self._read(path.parent, (state.st_ino, state.st_mtime_ns, state.st_size))

    def _of_each(self, ask: Callable[["_Built"], Iterable[Item]]) -> Iterator[Iterator[Item]]:
        """What each built source that may be shown answers, read when it is needed."""
        return (self._asked(slug, ask) for slug in shards.built(self.data))

    def _asked(self, slug: str, ask: Callable[["_Built"], Iterable[Item]]) -> Iterator[Item]:
        """One that is damaged is passed over, so that it hides no other."""
        try:
            if self.shows(slug):
                yield from ask(self._source(slug))
        except InputError as error:
            log.warning("no pictures of %s: %s", slug, error)


@dataclass(frozen=True, eq=False)
class _Built:
    """A built source as its manifest was when it was last looked at; its tables are read when needed."""

    folder: Path
    state: tuple[int, int, int]

    @cached_property
    def phantom(self) -> bool:
        return shards.load_manifest(self.folder).phantom

    @cached_property
    def cases(self) -> pa.Table:
        """`_CASE_COLUMNS` of its table of cases, in order."""
        path = self.folder / shards.CASES
        with shards.readable(self.folder, shards.CASES):
            return pq.read_table(path, columns=_CASE_COLUMNS, schema=shards.CASES_SCHEMA).combine_chunks()

    @cached_property
    def _pairs(self) -> tuple[NDArray[np.int64], pa.Array]:
        """Per pair of a case the case's place in `cases`, and the pair."""
        if not self.cases.num_rows:
            return np.zeros(0, np.int64), pa.array([], pa.string())
        column = self.cases["pairs"].chunk(0)
        return pc.list_parent_indices(column).to_numpy(), pc.list_flatten(column).field("pair")

    def pairs(self, split: str | None) -> set[tuple[str, str]]:
        """Modality and pair of what is scored in a split."""
        places, names = self._pairs
        kept = self._of_split(places, split)
        table = pa.table({"modality": self.cases["modality"].take(places[kept]), "pair": names.filter(kept)})
        distinct = table.group_by(["modality", "pair"]).aggregate([])
        return set(zip(distinct["modality"].to_pylist(), distinct["pair"].to_pylist(), strict=True))

    def of_pair(self, pair: str, split: str | None) -> Iterator[str]:
        """Names of the pictures with a pair, of every patient one in turn."""
        if not pair.isprintable():  # nor would Arrow take each of them
            return
        places, names = self._pairs
        having = places[pc.equal(names, pair).to_numpy(zero_copy_only=False)]
        having = having[self._of_split(having, split)]
        if not len(having):
            return
        codes = self.cases["patient"].take(having).combine_chunks().dictionary_encode().indices.to_numpy()
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(codes.max() + 2))
        patients = (having[order[starts[one] : starts[one + 1]]] for one in _spread(len(starts) - 1))
        yield from _in_turn(self._of_patient(own, pair) for own in patients)

    def _of_patient(self, places: Sequence[int], pair: str) -> Iterator[str]:
        yield from _in_turn(self._of_case(int(places[one]), pair) for one in _spread(len(places)))

    def _of_case(self, place: int, pair: str) -> Iterator[str]:
        rows = shards.read_case(self.folder, self._case(place), _PAIRS).to_pylist()
        having = [
            row["image_id"]
            for row in rows
            if any(entry["pair"] == pair and entry["area"] > SMALL_AREA for entry in row["objects"])
        ]
        return (having[one] for one in _spread(len(having)))

    def _of_split(self, places: NDArray[np.int64], split: str | None) -> NDArray[np.bool_]:
        """Which of some places in `cases` are of a split."""
        if split is None:
            return np.ones(len(places), bool)
        asked: NDArray[np.bool_] = pc.equal(self.cases["split"], split).to_numpy()
        return asked[places]

    def places(self, case: str, modality: str) -> list[int]:
        """Where `cases` has a case of this name and modality."""
        same = pc.and_(pc.equal(self.cases["case"], case), pc.equal(self.cases["modality"], modality))
        return np.flatnonzero(same.to_numpy()).tolist()

    def names(self, place: int) -> list[str]:
        """The pictures of a case, in order."""
        rows = shards.read_case(self.folder, self._case(place), ["image_id"])
        found: list[str] = rows["image_id"].to_pylist()
        return found

    def sample(self, place: int, number: int) -> Sample:
        """A picture by its number within a case."""
        case = self._case(place)
        one = {**case, "first_row": case["first_row"] + number, "rows": 1}
        return _sample(shards.read_case(self.folder, one).to_pylist()[0])

    def _case(self, place: int) -> dict[str, Any]:
        found: dict[str, Any] = self.cases.slice(place, 1).to_pylist()[0]
        return found


def stored_prompt(entry: SampleObject, strategy: str) -> Prompt:
    """The prompt that the protocol gives for an object; a point that it can't have is left out.

    Raises:
        InputError: there is no such strategy, or it has no prompt.
    """
    known = [name for name, one in STRATEGIES.items() if not one.everything]
    if strategy not in known:
        raise InputError(f"no prompt is stored for {strategy!r}; there are {', '.join(known)}")
    given = prompts(STRATEGIES[strategy], [vars(entry)])
    points: list[tuple[int, int, bool]] = []
    if given.points is not None and given.labels is not None:
        labelled = zip(given.points[0].tolist(), given.labels[0].tolist(), strict=True)
        points = [(x, y, label == POSITIVE) for (x, y), label in labelled if label != PADDING]
    x0, y0, x1, y1 = entry.box
    return Prompt(tuple(points), None if given.boxes is None else (x0, y0, x1, y1))


def measured(found: Found, truth: Truth) -> list[dict[str, float | None]]:
    """Per candidate its DICE (0…1) and its Hausdorff distance in pixels, None where it is empty."""
    scores = (truth.score(mask) for mask in found.masks)
    return [{name: score[name] for name in ("dice", "hausdorff")} for score in scores]


def _sample(row: Mapping[str, Any]) -> Sample:
    """Raises: InputError: its pictures can't be read."""
    try:
        picture, regions = (pictures.decode(row[column]["bytes"]) for column in ("image", "mask"))
    except ValueError as error:
        raise InputError(f"{row['image_id']}: {error}; build the source again") from None
    objects = tuple(_object(index, entry, regions) for index, entry in enumerate(row["objects"]))
    spacing = None if row["spacing_mm"] is None else (row["spacing_mm"][0], row["spacing_mm"][1])
    texts = {name: row[name] for name in ("image_id", "source", "patient", "case", "modality", "split")}
    return Sample(**texts, picture=picture, spacing=spacing, objects=objects)


def _object(index: int, entry: Mapping[str, Any], regions: NDArray[np.uint8]) -> SampleObject:
    given = {name: entry[name] for name in ("object", "instance", "pair", "area")}
    given |= {name: tuple(entry[name]) for name in ("box", "values")}
    given |= {name: tuple(map(tuple, entry[name])) for name in ("points_pos", "points_neg")}
    return SampleObject(index, **given, regions=regions)


def _in_turn(groups: Iterable[Iterator[Item]]) -> Iterator[Item]:
    """One of each group, then another of each, until all are at their end; no group is made too early."""
    while True:
        left = []
        for group in groups:
            for item in islice(group, 1):
                yield item
                left.append(group)
        if not left:
            return
        groups = left


def _spread(count: int) -> Iterator[int]:
    """The numbers below `count`, each once: the middle, the quarters, the eighths, and so on."""
    seen = set()
    for level in range(1, count.bit_length() + 2):
        for odd in range(1, 2**level, 2):
            place = odd * count >> level
            if place not in seen:
                seen.add(place)
                yield place
