"""Submissions' scores, `state/scores/<weights' sum>/<protocol>-<numerics>/`, and how they get there.

A worker's files are gathered in `state/staging` first. Once the queue says `scored` they are put in place, by
steps that a killed server does again.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from cosmos1050k import units
from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.units import MANIFEST
from leaderboard.evaluate import RunManifest
from leaderboard.score import SCORES_SCHEMA
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.order import Order
from leaderboard.submissions.terms import Terms, folder

#: Below the folder of the state. What is hidden is kept, where no board looks.
SCORES, HIDDEN, STAGING = "scores", "hidden", "staging"
#: What of a declaration must be as it was ordered; what a base was trained on is added by the worker.
_DECLARED = {"name", "kind", "version", "preprocessing", "candidates", "made_for", "weights_sha256", "base"}


class ScoreFolders:
    """The folders below one folder of the state."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def staging(self, entry: Entry) -> Path:
        """Where the files of a run are gathered; one that a run before left there is replaced by the next."""
        gathered = self._state / STAGING / entry.id
        gathered.mkdir(parents=True, exist_ok=True)
        return gathered

    def check(self, entry: Entry, order: Order, manifest: bytes) -> None:
        """Holds what a worker hands in against what was ordered, and puts the manifest beside it.

        Raises:
            InputError: something is missing, damaged, or of something else.
        """
        gathered = self.staging(entry)
        try:
            run = RunManifest.model_validate_json(manifest)
        except ValidationError as error:
            raise InputError(
                f"the manifest: {error.errors()[0]['msg']}; run the worker's release here"
            ) from None
        if problem := _other(run, order):
            raise InputError(
                f"the manifest: another {problem} than ordered; run a worker of the server's release"
            )
        for slug in order.only:
            _check_file(gathered / f"{slug}.parquet", run.sources[slug].scores)
        for path in gathered.iterdir():
            if path.suffix != ".parquet" or path.stem not in order.only:
                path.unlink()
        with (gathered / MANIFEST).open("wb") as stream:
            stream.write(manifest)
            stream.flush()
            os.fsync(stream.fileno())

    def settle(self, entry: Entry) -> None:
        """Puts a run's files in place, whole or not at all; sources that it did not score keep their files.

        Done again after a kill it ends the same.
        """
        staged = self.staging(entry)
        if not (staged / MANIFEST).is_file():
            return  # a kill came between the last step and the note that it was done
        run = RunManifest.model_validate_json((staged / MANIFEST).read_bytes())
        own = run.declaration
        target = self._target(entry, folder(run.protocol_version, own.device, own.dtype))
        before = self._run(target)
        with units.replacing(target) as new:
            for slug in run.sources:
                shutil.copyfile(staged / f"{slug}.parquet", new / f"{slug}.parquet")
            kept = {}
            for slug, old in before.sources.items() if before and self.joins(before, run) else ():
                if slug not in run.sources and (target / f"{slug}.parquet").is_file():
                    shutil.copyfile(target / f"{slug}.parquet", new / f"{slug}.parquet")
                    kept[slug] = old
            whole = run.model_copy(update={"sources": kept | run.sources})
            (new / MANIFEST).write_text(whole.model_dump_json(indent=1) + "\n")

    def settled(self, entry: Entry) -> None:
        """Forgets what was gathered."""
        shutil.rmtree(self._state / STAGING / entry.id, ignore_errors=True)

    def missing(self, entry: Entry, terms: Terms, wanted: Sequence[str]) -> tuple[str, ...]:
        """Of the sources to score those without which what is there would not be one run; all if it is not
        of these terms."""
        before = self._run(self._target(entry, terms.folder))
        if before is None or before.rows != terms.evaluate.rows or not wanted:
            return tuple(terms.sources)
        asked = {name for name in terms.evaluate.strategies if name in before.declaration.applies}
        if set(before.strategies) != asked:
            return tuple(terms.sources)
        return tuple(slug for slug in terms.sources if slug in wanted or slug not in before.sources)

    def hide(self, entry: Entry, hidden: bool) -> None:
        """Takes a submission's scores away from where boards look, or puts them back."""
        for own in list(self._own(entry, SCORES if hidden else HIDDEN)):
            target = self._state / (HIDDEN if hidden else SCORES) / own.parent.name / own.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            own.rename(target)
            _remove_empty(own.parent)

    def remove(self, entry: Entry) -> None:
        """Removes a submission's scores."""
        self.settled(entry)
        for own in [*self._own(entry, SCORES), *self._own(entry, HIDDEN)]:
            shutil.rmtree(own)
            _remove_empty(own.parent)

    @staticmethod
    def joins(before: RunManifest, run: RunManifest) -> bool:
        """Whether two runs of other sources can be one."""
        same = ("protocol_version", "strategies", "rows", "declaration")
        return all(getattr(before, name) == getattr(run, name) for name in same)

    def _target(self, entry: Entry, name: str) -> Path:
        """Where a run's scores go; weights that were declared twice have a folder for each."""
        assert entry.weights_sha256 is not None
        home = self._state / (HIDDEN if entry.hidden else SCORES) / entry.weights_sha256
        target = home / name
        before = self._run(target)
        if before is None or before.declaration.name == entry.name:
            return target
        return home / f"{name}-{entry.name}"

    def _own(self, entry: Entry, where: str) -> Iterator[Path]:
        if entry.weights_sha256 is None:
            return
        for path in sorted((self._state / where / entry.weights_sha256).glob(f"[!.]*/{MANIFEST}")):
            found = self._run(path.parent)
            if found is None or found.declaration.name == entry.name:
                yield path.parent

    @staticmethod
    def _run(scores: Path) -> RunManifest | None:
        """The run of a folder; None where there is none that can be read."""
        try:
            return RunManifest.model_validate_json((scores / MANIFEST).read_bytes())
        except (OSError, ValidationError):
            return None


def _other(run: RunManifest, order: Order) -> str:
    """What a run is of that was not ordered."""
    own, wanted = run.declaration, order.record.declaration
    if own.model_dump(include=_DECLARED) != wanted.model_dump(include=_DECLARED):
        return "model"
    device, numerics = order.evaluate.device, own.dtype.partition(",")[0]
    if own.device != device or numerics != order.evaluate.dtype:
        return "device or numerics"
    if run.protocol_version != order.protocol_version or run.rows != order.evaluate.rows:
        return "protocol"
    if set(run.strategies) != {name for name in order.evaluate.strategies if name in own.applies}:
        return "set of strategies"
    if {slug: one.version for slug, one in run.sources.items()} != {s: order.sources[s] for s in order.only}:
        return "set of sources"
    return ""


def _check_file(path: Path, scores: int) -> None:
    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except FileNotFoundError:
        raise InputError(f"{path.name}: not handed in; send it") from None
    except (OSError, pa.ArrowException):
        raise BadFile(path.name, "no Parquet file, or damaged", "send it again") from None
    if schema != SCORES_SCHEMA or rows != scores:
        raise BadFile(path.name, f"{rows} rows, or other columns than scores have", "send it again")


def _remove_empty(home: Path) -> None:
    if not any(home.glob("[!.]*")):
        shutil.rmtree(home)
