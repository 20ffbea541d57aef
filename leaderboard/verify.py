"""Scores a random share of a run's score rows again, and compares (protocol, section 5)."""

import hashlib
import math
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError
from tqdm import tqdm

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from cosmos1050k.units import MANIFEST
from leaderboard import measurements, models, score
from leaderboard.evaluate import EvaluateOptions, RunManifest, machine_of, manifest_of
from leaderboard.machine import MEASURED
from leaderboard.measurements import Measured
from leaderboard.models.base import Declaration, Segmenter
from leaderboard.selection import METRICS, SELECTIONS
from leaderboard.tolerance import SHARED_BELOW, TOLERANCES, Tolerance

VERIFIED = MEASURED / "verified"
#: What a row is the score of. Not its patient, who may have another name in the same version of a source.
_KEY = ("image_id", "object_index", "object", "instance", "pair", "strategy")
#: Of a model's declaration, what its masks depend on besides the machine.
_MODEL = ("version", "weights_sha256", "preprocessing", "candidates")
#: Column of the scores → its metric.
_COLUMNS = {f"{metric}_{selection}": metric for selection in SELECTIONS for metric in METRICS}
#: Score rows read at a time, and rows of the dataset.
_BATCH, _WINDOW = 2**16, 32
#: What stands behind the case's name in the `image_id` of a tile (`cosmos1050k.rows`).
_TILE = re.compile(r"\+y\d+x\d+$")

Row = Mapping[str, Any]


class Verification(Measured):
    """What became of scoring some of a run's rows again.

    Args:
        scores_sha256: `scores_sum` of the run.
        rows, of_rows, images: rows compared, of how many, and the images they are in.
        largest: difference of a row's DICE (0…1), of either selection, 1 where one side has none; `worst`
            says where, if there is a difference.
        others: metric → its largest difference where both sides have it; distances in pixels.
        changed: rows of another status, or with a metric that only one side has.
        tolerance: how large a difference of DICE may be: what was measured of the numerics, if that is more
            than the default, since what a few images show is less than what all do; `tolerance_from` says.
        device, numerics: those here; the run's are its own.
    """

    weights_sha256: str | None
    scores_sha256: str
    rows: int
    of_rows: int
    images: int
    largest: float
    worst: str
    others: dict[str, float]
    changed: int
    tolerance: float
    tolerance_from: Literal["measured", "default"]
    seed: int
    date: str
    device: str
    numerics: str

    @property
    def held(self) -> bool:
        """Whether no DICE is further off than numerics explain."""
        return self.largest <= self.tolerance


def verify(
    model: str,
    data: Path,
    scores: Path,
    *,
    protocol_version: int,
    share: float = 0.01,
    seed: int | None = None,
    options: EvaluateOptions | None = None,
    image_batch: int | None = None,
    prompt_batch: int | None = None,
) -> Verification:
    """Scores some of a run's rows again, here, and compares them with what the run recorded.

    Args:
        data: the folder that holds one folder per built source.
        scores: the run's folder, as `evaluate` wrote it.
        share: of the rows, all as likely to be drawn; at least one is.
        seed: of the draw; if not given, one by chance.
        options: where and how exactly the model runs here; strategies and rows are the run's.

    Raises:
        InputError: the share is none; the run's model, weights, protocol or sources are not those here; or
            its files are damaged.
    """
    if not 0 < share <= 1:
        raise InputError(f"share: {share:g} is not above 0 and up to 1; 0.01 is one row of a hundred")
    kind = models.kind(model)
    kind.check()
    machine = machine_of(kind, options or EvaluateOptions(), image_batch, prompt_batch)
    # Embeddings that the run kept would say nothing of its encoder.
    machine = machine.model_copy(update={"embeddings_gb": 0, "round_embeddings": machine.rounds})
    declared = kind.declared(machine)
    run = _run(scores, data, declared, protocol_version)
    counts = {slug: _count(scores / f"{slug}.parquet", run) for slug in run.sources}
    total = sum(counts.values())
    if not total:
        raise InputError(f"{scores}: no score to verify; {_again(model)}")
    measured = _measured(run.declaration, declared)
    seed = secrets.randbits(32) if seed is None else seed
    compared = _compare(kind.on(machine), data, scores, counts, _drawn(total, share, seed))
    return Verification(
        model=model,
        weights_sha256=declared.weights_sha256,
        scores_sha256=scores_sum(scores, counts),
        rows=compared.rows,
        of_rows=total,
        images=len(compared.images),
        largest=compared.largest,
        worst=compared.worst,
        others=compared.others,
        changed=compared.changed,
        tolerance=max(measured or 0.0, SHARED_BELOW),
        tolerance_from="measured" if measured and measured > SHARED_BELOW else "default",
        seed=seed,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        device=declared.device,
        numerics=declared.dtype,
    )


def scores_sum(scores: Path, sources: Iterable[str]) -> str:
    """The sha256 over the sums of a run's score files, in the order of their names."""
    sums = hashlib.sha256()
    for slug in sorted(sources):
        with (scores / f"{slug}.parquet").open("rb") as stream:
            sums.update(f"{slug} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return sums.hexdigest()


def write(found: Verification, folder: Path = VERIFIED) -> Path:
    """As `measurements.write`."""
    return measurements.write(found, folder)


def read(path: Path) -> Verification:
    """As `measurements.read`."""
    return measurements.read(Verification, path, f"cosmos verify {path.stem}")


def _again(model: str) -> str:
    return f"run `cosmos evaluate --model {model}`"


def _run(scores: Path, data: Path, declared: Declaration, protocol_version: int) -> RunManifest:
    """The manifest of a run, if what it scored is what is here."""
    path, again = scores / MANIFEST, _again(declared.name)
    run = manifest_of(path, declared.name)
    if run.declaration.name != declared.name:
        raise InputError(f"{path}: scores of {run.declaration.name}, not of {declared.name}; {again}")
    for name in _MODEL:
        then, now = getattr(run.declaration, name), getattr(declared, name)
        if then != now:
            raise InputError(f"{path}: {declared.name} had {name} {then}, and has {now} now; {again}")
    if run.protocol_version != protocol_version:
        raise InputError(
            f"{path}: scores of protocol {run.protocol_version}, not {protocol_version}; {again}"
        )
    for slug, source in run.sources.items():
        if shards.load_manifest(data / slug).version != source.version:
            raise InputError(f"{path}: no scores of the present version of source {slug}; {again}")
    return run


def _count(path: Path, run: RunManifest) -> int:
    """How many rows a score file has, if it is as the manifest says."""
    with _readable(path, run.declaration.name), pq.ParquetFile(path) as file:
        rows: int = file.metadata.num_rows
        fits = file.schema_arrow.equals(score.SCORES_SCHEMA) and rows == run.sources[path.stem].scores
    if not fits:
        raise InputError(f"{path}: not the rows that {MANIFEST} counts; {_again(run.declaration.name)}")
    return rows


@contextmanager
def _readable(path: Path, model: str) -> Iterator[None]:
    """Turns an error of reading a score file into one line."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        what = "missing" if isinstance(error, FileNotFoundError) else "damaged"
        raise InputError(f"{path}: {what}; {_again(model)}") from None


def _measured(then: Declaration, now: Declaration) -> float | None:
    """How far apart the DICE of one object may be under the run's numerics and those here, as measured of
    these weights; None if it was not.
    """
    path = TOLERANCES / f"{now.name}.json"
    try:
        found = Tolerance.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise InputError(f"{path}: damaged; run `cosmos tolerance --model {now.name}`") from None
    if found.weights_sha256 != now.weights_sha256:
        return None
    numerics = {(one.device, one.dtype) for one in (then, now)}
    gaps = [
        [run.objects for run in found.runs if (run.machine.device, run.machine.numerics) == one]
        for one in numerics
    ]
    # Each is measured against the same reference: two kinds may be as far apart as both together.
    return sum(map(max, gaps)) if all(gaps) else None


def _drawn(total: int, share: float, seed: int) -> NDArray[np.int64]:
    """Places of rows, ascending, each once."""
    count = max(round(share * total), 1)
    return np.sort(np.random.default_rng(seed).choice(total, count, replace=False))


@dataclass
class _Compared:
    """What is known so far of the differences."""

    rows: int = 0
    images: set[str] = field(default_factory=set)
    largest: float = 0.0
    worst: str = ""
    others: dict[str, float] = field(default_factory=lambda: dict.fromkeys(METRICS[1:], 0.0))
    changed: int = 0

    def add(self, then: Row, now: Row) -> None:
        self.rows += 1
        self.images.add(then["image_id"])
        gaps = {name: _gap(then[name], now[name]) for name in _COLUMNS}
        self.changed += then["status"] != now["status"] or None in gaps.values()
        for name, gap in gaps.items():
            metric = _COLUMNS[name]
            if metric != "dice":
                self.others[metric] = max(self.others[metric], gap or 0.0)
            elif (far := 1.0 if gap is None else gap) > self.largest:
                where = f"{then['image_id']}, object {then['object_index']}, {then['strategy']}"
                self.largest = far
                self.worst = f"{where}: {name} {then[name]} in the run, {now[name]} here"


def _gap(then: float | None, now: float | None) -> float | None:
    """How far apart two values are, none on both sides is 0; None if one side alone has one."""
    numbers = [value for value in (then, now) if value is not None and math.isfinite(value)]
    if len(numbers) == 1:
        return None
    return abs(numbers[0] - numbers[1]) if numbers else 0.0


def _compare(
    model: Segmenter, data: Path, scores: Path, counts: Mapping[str, int], drawn: NDArray[np.int64]
) -> _Compared:
    compared, first = _Compared(), 0
    with tqdm(total=len(drawn), desc=f"verify {model.declaration.name}", unit=" row", disable=None) as bar:
        for slug, count in counts.items():
            own = drawn[(drawn >= first) & (drawn < first + count)] - first
            first += count
            for then, now in _pairs(model, data / slug, scores / f"{slug}.parquet", own):
                compared.add(then, now)
                bar.update()
    return compared


def _pairs(
    model: Segmenter, folder: Path, path: Path, places: NDArray[np.int64]
) -> Iterator[tuple[Row, Row]]:
    """The rows at some places of one source's scores, case by case, each with what it is here."""
    cases = {(case["case"], case["modality"]): case for case in shards.load_cases(folder)}
    table = _taken(path, places, model.declaration.name)
    by_case: dict[tuple[str, str], list[int]] = {}
    for place, image in enumerate(table["image_id"].to_pylist()):
        by_case.setdefault(_case(str(image), folder.name, cases), []).append(place)

    def foreign(row: Row) -> InputError:
        name = f"{row['image_id']}, object {row['object_index']}, {row['strategy']}"
        return InputError(f"{path}: {name} is no score of {folder}; {_again(model.declaration.name)}")

    for case, own in by_case.items():
        rows = table.take(own).to_pylist()
        if case not in cases:
            raise foreign(rows[0])
        yield from _in_case(model, folder, cases[case], rows, foreign)


def _taken(path: Path, places: NDArray[np.int64], model: str) -> pa.Table:
    """The rows at some places, ascending, of a score file that is never in memory whole."""
    found, first = [score.SCORES_SCHEMA.empty_table()], 0
    if not len(places):
        return found[0]
    with _readable(path, model), pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):  # a reader of all of them would hold them all
            for batch in file.iter_batches(_BATCH, row_groups=[group]):
                start, stop = np.searchsorted(places, (first, first + len(batch)))
                found.append(pa.Table.from_batches([batch.take(pa.array(places[start:stop] - first))]))
                first += len(batch)
    return pa.concat_tables(found)


def _case(image_id: str, source: str, cases: Collection[tuple[str, str]]) -> tuple[str, str]:
    """Case and modality of an image; of a tile those of the picture it is of."""
    case, _, rest = image_id.removeprefix(f"{source}/").partition("/")
    modality = rest.rpartition("/")[0]
    return (case, modality) if (case, modality) in cases else (_TILE.sub("", case), modality)


def _in_case(
    model: Segmenter,
    folder: Path,
    case: dict[str, Any],
    rows: list[Row],
    foreign: Callable[[Row], InputError],
) -> Iterator[tuple[Row, Row]]:
    """Each of some rows of one case with what it is here; an image is scored under their strategies alone."""
    by_image: dict[str, list[Row]] = {}
    for row in rows:
        by_image.setdefault(row["image_id"], []).append(row)
    for images in _windows(folder, case, by_image):
        by_strategies: dict[tuple[str, ...], list[str]] = {}
        for image in images["image_id"].to_pylist():
            strategies = tuple(sorted({str(row["strategy"]) for row in by_image[image]}))
            by_strategies.setdefault(strategies, []).append(image)
        for strategies, own in by_strategies.items():
            asked = images.filter(pc.is_in(images["image_id"], pa.array(own)))
            found = score.score(model, asked, strategies, source_version="").to_pylist()
            here = {_key(row): row for row in found}
            for then in (row for image in own for row in by_image.pop(image)):
                if _key(then) not in here:
                    raise foreign(then)
                yield then, here[_key(then)]
    if by_image:  # no window had them
        raise foreign(next(iter(by_image.values()))[0])


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _KEY)


def _windows(folder: Path, case: dict[str, Any], wanted: Collection[str]) -> Iterator[pa.Table]:
    """Some images of a case, so many rows of it at a time that it is never in memory whole."""
    names = shards.read_case(folder, case, ["image_id"])["image_id"].to_pylist()
    for start in range(0, len(names), _WINDOW):
        if any(name in wanted for name in names[start : start + _WINDOW]):
            part = {
                **case,
                "first_row": case["first_row"] + start,
                "rows": min(_WINDOW, len(names) - start),
            }
            images = shards.read_case(folder, part, score.COLUMNS)
            yield images.filter(pc.is_in(images["image_id"], pa.array(list(wanted), pa.string())))
