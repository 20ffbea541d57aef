"""Submissions' scores, `state/scores/<weights' sum>/<protocol>-<numerics>-<id>/`, and how they get there.

A worker's files are gathered in `state/staging` first. Once the queue says `scored` they are put in place, by
steps that a killed server does again.
"""

import os
import re
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
from leaderboard.submissions.states import CLOSED
from leaderboard.submissions.terms import Terms, folder

#: Below the folder of the state. What is hidden is kept, where no board looks.
SCORES, HIDDEN, STAGING, ORPHANS = "scores", "hidden", "staging", "orphans"
#: How the name of a submission's folder ends.
_ID = re.compile("-([2-9a-hjkmnp-z]{10})$")
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

        Raises:
            InputError: what was gathered is gone.
        """
        staged = self.staging(entry)
        try:
            run = RunManifest.model_validate_json((staged / MANIFEST).read_bytes())
        except FileNotFoundError:
            if next(self.placed(entry), None):
                return  # a kill came between the last step and the note that it was done
            raise InputError(f"{staged}: what was handed in is gone") from None
        own = run.declaration
        target = self._target(entry, folder(run.protocol_version, own.device, own.dtype))
        before = self._run(target)
        with units.replacing(target) as new:
            for slug in run.sources:
                shutil.copyfile(staged / f"{slug}.parquet", new / f"{slug}.parquet")
            kept = {}
            for slug, old in before.sources.items() if before and joins(before, run) else ():
                if slug not in run.sources and (target / f"{slug}.parquet").is_file():
                    shutil.copyfile(target / f"{slug}.parquet", new / f"{slug}.parquet")
                    kept[slug] = old
            whole = run.model_copy(update={"sources": kept | run.sources})
            (new / MANIFEST).write_text(whole.model_dump_json(indent=1) + "\n")
        for other in [path for path in self.placed(entry) if path != target]:
            shutil.rmtree(other)  # of another protocol version, or other numerics

    def settled(self, entry: Entry) -> None:
        """Forgets what was gathered."""
        shutil.rmtree(self._state / STAGING / entry.id, ignore_errors=True)

    def missing(self, entry: Entry, terms: Terms, wanted: Sequence[str]) -> tuple[str, ...]:
        """Of the sources to score those without which what is there would not be one run; all if it is not
        of these terms, or nothing is wanted of them."""
        before = self._run(self._target(entry, terms.folder))
        everything = tuple(terms.sources)
        if before is None or before.rows != terms.evaluate.rows or not wanted:
            return everything
        own, ours = (
            one.model_dump(include=_DECLARED) for one in (before.declaration, entry.record.declaration)
        )
        asked = {name for name in terms.evaluate.strategies if name in before.declaration.applies}
        if own != ours or set(before.strategies) != asked:
            return everything
        return tuple(s for s in everything if s in wanted or s not in before.sources) or everything

    def arrange(self, entries: Sequence[Entry]) -> bool:
        """Has every folder where its submission's state wants it, whatever was cut off before; returns
        whether something had to be changed where boards look.

        Scores of a submission that is not known are kept in `orphans`.
        """
        known, changed = {entry.id: entry for entry in entries}, False
        for top in (SCORES, HIDDEN):
            for path in sorted((self._state / top).glob("[!.]*/[!.]*")):
                if not (name := _ID.search(path.name)):
                    continue  # not of the queue
                entry = known.get(name[1])
                wanted = HIDDEN if entry and entry.hidden else SCORES if entry else ORPHANS
                if entry is None or entry.state not in CLOSED:
                    if wanted == top:
                        continue
                    self._to(path, wanted)
                else:
                    shutil.rmtree(path)
                changed = True
                _remove_empty(path.parent)
        for path in (self._state / STAGING).glob("*"):
            found = known.get(path.name)
            if found is None or found.state not in ("running", "scored"):
                shutil.rmtree(path, ignore_errors=True)
        return changed

    def _to(self, path: Path, top: str) -> None:
        target = self._state / top / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        path.rename(target)

    def _target(self, entry: Entry, name: str) -> Path:
        """Where a run's scores go: a submission's own folder, since weights may be declared twice."""
        assert entry.weights_sha256 is not None
        top = self._state / (HIDDEN if entry.hidden else SCORES)
        return top / entry.weights_sha256 / f"{name}-{entry.id}"

    def placed(self, entry: Entry) -> Iterator[Path]:
        """All folders of scores of a submission."""
        for top in (SCORES, HIDDEN):
            yield from sorted((self._state / top / str(entry.weights_sha256)).glob(f"[!.]*-{entry.id}"))

    def fitting(self, entry: Entry, terms: Terms) -> Path | None:
        """The folder of a submission's scores that are of these terms, if there are any."""
        return next((path for path in self.placed(entry) if path.name == f"{terms.folder}-{entry.id}"), None)

    def gathered(self, entry: Entry) -> bool:
        """Whether scores that wait to be put in place are all there."""
        run = self._run(self._state / STAGING / entry.id)
        return run is not None and all(
            (self._state / STAGING / entry.id / f"{slug}.parquet").is_file() for slug in run.sources
        )

    @staticmethod
    def _run(scores: Path) -> RunManifest | None:
        """The run of a folder; None where there is none that can be read."""
        try:
            return RunManifest.model_validate_json((scores / MANIFEST).read_bytes())
        except (OSError, ValidationError):
            return None


def joins(before: RunManifest, run: RunManifest) -> bool:
    """Whether two runs on other sources are of one model, and can be one."""
    same = ("protocol_version", "strategies", "rows")
    own, other = (
        one.declaration.model_dump(include=_DECLARED | {"device", "dtype"}) for one in (before, run)
    )
    return own == other and all(getattr(before, name) == getattr(run, name) for name in same)


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
        shutil.rmtree(home, ignore_errors=True)
