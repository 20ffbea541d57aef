"""Which runs make a board: those whose keys fit it; the others are told of, with what makes them fit."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from cosmos1050k.units import MANIFEST
from leaderboard import models, weights
from leaderboard.evaluate import RunManifest
from leaderboard.tolerance import SHARED_BELOW, TOLERANCES, Tolerance

#: What tolerances are measured against: device class and how exactly it computes.
REFERENCE = ("cpu", "float32")
#: Scores of submissions, `<weights' sum>/<key>/<source>.parquet` and a manifest each.
SUBMISSIONS = Path("leaderboard/state/scores")


@dataclass(frozen=True)
class BoardInput:
    """What a board is made of.

    Args:
        data: the folder of built sources.
        scores: the folder of the models' scores, `<model>/<source>.parquet` and a manifest each.
        submissions: the folder of submissions' scores, as `SUBMISSIONS`.
        measured: the folder of what was measured of models, as `MEASURED`.
        sources, models: of the board, in its order; submissions come after the models.
    """

    data: Path
    scores: Path
    submissions: Path
    measured: Path
    sources: tuple[str, ...]
    models: tuple[str, ...]
    protocol_version: int


@dataclass(frozen=True)
class Run:
    """A model's scores on the sources whose files fit the board."""

    folder: Path
    manifest: RunManifest
    sources: tuple[str, ...]
    submitted: bool

    @property
    def model(self) -> str:
        return self.manifest.declaration.name

    @property
    def numerics(self) -> tuple[str, str]:
        """Device class and how exactly it computes."""
        return self.manifest.declaration.device, self.manifest.declaration.dtype


@dataclass(frozen=True)
class LeftOut:
    """Scores that are not on the board: of a model, or of one source; why, and what to do."""

    model: str
    source: str | None
    reason: str
    command: str

    def __str__(self) -> str:
        on = f" on {self.source}" if self.source else ""
        return f"{self.model}{on}: {self.reason}" + (f"; run `{self.command}`" if self.command else "")


def admitted(given: BoardInput, versions: Mapping[str, str]) -> tuple[list[Run], list[LeftOut]]:
    """The runs that fit a board of these versions of sources, and what is left out of it.

    A run is whole or not there: a source whose scores do not fit takes none of the model's others along.
    """
    fresh: list[Run] = []
    left: list[LeftOut] = []
    for folder, name in _folders(given):
        found = _run(given, folder, name)
        if isinstance(found, LeftOut):
            left.append(found)
        elif found.submitted and found.model in {*given.models, *models.modules(), *(r.model for r in fresh)}:
            left.append(left_out(found, None, f"{folder}: another model of the board has that name"))
        else:
            sources, stale = _fresh(found, given, versions)
            left += stale
            if sources:
                fresh.append(replace(found, sources=sources))
    reference = numerics(fresh)
    fitting = []
    for run in fresh:
        if problem := _unequal(run, reference, given.measured / TOLERANCES.name):
            left.append(problem)
        else:
            fitting.append(run)
    return fitting, left


def numerics(runs: Sequence[Run]) -> tuple[str, str]:
    """The board's: those of the first model of params.yaml that has weights, whatever is submitted; without
    one the tolerances' reference. A model without weights computes in one way only.
    """
    return next((run.numerics for run in runs if _has_weights(run) and not run.submitted), REFERENCE)


def tolerance(run: Run, folder: Path) -> float | None:
    """How far a pair's score in the run's numerics may be from its reference; None if nobody measured it.

    Args:
        folder: where `cosmos tolerance` writes.
    """
    return _measured(run, run.numerics, folder)


def _folders(given: BoardInput) -> Iterator[tuple[Path, str | None]]:
    """Folders of scores; that of a model of params.yaml with its name."""
    for model in given.models:
        yield given.scores / model, model
    for manifest in sorted(given.submissions.glob(f"[!.]*/[!.]*/{MANIFEST}")):
        yield manifest.parent, None


def _run(given: BoardInput, folder: Path, name: str | None) -> Run | LeftOut:
    if name is not None and not re.fullmatch(weights.NAME, name):
        shown = name if len(name) < 80 else f"{name[:80]}…"
        return LeftOut(shown, None, "no model can have this name", "cosmos evaluate --help")
    again = _again(name, folder, False) if name else ""
    known = name or folder.parent.name
    try:
        manifest = RunManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return LeftOut(known, None, f"{folder / MANIFEST}: missing", again)
    except (OSError, ValidationError):
        remedy = "" if name else "; remove the folder and submit the model again"
        return LeftOut(known, None, f"{folder / MANIFEST}: damaged or of another release{remedy}", again)
    if name is None:
        declaration = manifest.declaration.model_copy(update={"kind": "submitted"})
        manifest = manifest.model_copy(update={"declaration": declaration})
    run = Run(folder, manifest, tuple(manifest.sources), submitted=name is None)
    if name is not None and run.model != name:
        return LeftOut(name, None, f"{folder}: scores of {run.model}", again)
    if manifest.protocol_version != given.protocol_version:
        reason = f"stale: of protocol {manifest.protocol_version}, the board is of {given.protocol_version}"
        return left_out(run, None, reason)
    return run


def _fresh(run: Run, given: BoardInput, versions: Mapping[str, str]) -> tuple[tuple[str, ...], list[LeftOut]]:
    """The board's sources whose scores fit, and the others."""
    fresh, stale = [], []
    for slug in given.sources:
        if slug not in run.manifest.sources:
            stale.append(left_out(run, slug, "not scored"))
        elif run.manifest.sources[slug].version != versions[slug]:
            stale.append(left_out(run, slug, "stale: scores of another version of the source"))
        elif not (run.folder / f"{slug}.parquet").is_file():
            stale.append(left_out(run, slug, f"{run.folder / slug}.parquet: missing"))
        else:
            fresh.append(slug)
    return tuple(fresh), stale


def _unequal(run: Run, reference: tuple[str, str], folder: Path) -> LeftOut | None:
    """Why a run's numerics do not share a board with the reference (protocol, section 5)."""
    if not _has_weights(run) or run.numerics == reference:
        return None
    both = [_measured(run, one, folder) for one in (run.numerics, reference)]
    ways = " and ".join(", ".join(one) for one in (run.numerics, reference))
    command = f"cosmos tolerance --model {run.model}"
    if any(one is None for one in both):
        return LeftOut(run.model, None, f"the tolerance between {ways} is not measured", command)
    apart = sum(one for one in both if one is not None)
    if apart >= SHARED_BELOW:
        reason = f"{ways} differ by up to {apart:.1e} DICE, {SHARED_BELOW:.0e} or more"
        return left_out(run, None, reason)
    return None


def _measured(run: Run, numerics: tuple[str, str], folder: Path) -> float | None:
    if not _has_weights(run):
        return 0.0
    least = 0.0 if numerics == REFERENCE else None
    try:
        found = Tolerance.model_validate_json((folder / f"{run.model}.json").read_bytes())
    except (OSError, ValidationError):
        return least
    if found.weights_sha256 != run.manifest.declaration.weights_sha256:
        return least
    # Batches and threads are no part of the key: the largest difference that any of them makes counts.
    apart = [way.pairs for way in found.runs if (way.machine.device, way.machine.numerics) == numerics]
    return max(apart, default=least)


def _has_weights(run: Run) -> bool:
    return run.manifest.declaration.weights_sha256 is not None


def left_out(run: Run, source: str | None, reason: str) -> LeftOut:
    """A run that is left out, or one source of it."""
    return LeftOut(run.model, source, reason, _again(run.model, run.folder, run.submitted))


def _again(model: str, folder: Path, submitted: bool) -> str:
    return f"cosmos evaluate --model {model}" + (f" --out {shlex.quote(str(folder))}" if submitted else "")
