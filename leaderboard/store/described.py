"""What the board says of models and runs beside their scores: declarations, and what was measured of them."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from leaderboard import latency, robustness, verify
from leaderboard.latency import LATENCIES, Latency
from leaderboard.robustness import ROBUSTNESS, Robustness
from leaderboard.store.runs import BoardInput, Run, tolerance
from leaderboard.tolerance import TOLERANCES
from leaderboard.verify import VERIFIED

log = logging.getLogger(__name__)

Record = TypeVar("Record")
Measured = TypeVar("Measured", Latency, Robustness)

_TEXTS = pa.list_(pa.string())
#: Tables of the board. A number that nobody measured is null.
SCHEMAS = {
    "models": pa.schema(
        [
            *((name, pa.string()) for name in ("name", "kind", "description")),
            ("version", pa.int64()),
            ("preprocessing", pa.string()),
            ("candidates", pa.int64()),
            ("applies", _TEXTS),
            ("made_for", _TEXTS),
            ("parameters", pa.int64()),
            *((name, pa.string()) for name in ("weights_sha256", "base", "device", "dtype", "trained_on")),
            ("rows", pa.string()),
            ("submitted", pa.bool_()),
            ("order", pa.int64()),
            # The largest difference of a pair's DICE that the numerics make, measured.
            ("tolerance", pa.float64()),
            # The largest difference of an object's DICE when a share of the scores was made again, and when.
            ("verified", pa.float64()),
            ("verified_on", pa.string()),
            # Inference time, of which machine.
            ("encoder_ms", pa.float64()),
            ("timed_on", pa.string()),
        ]
    ),
    # Milliseconds of a prompt, and how much DICE is lost when it is shifted by the most pixels.
    "measured": pa.schema(
        [
            ("model", pa.string()),
            ("strategy", pa.string()),
            ("prompt_ms", pa.float64()),
            ("shift_pixels", pa.string()),
            ("drop", pa.float64()),
        ]
    ),
    "not_applicable": pa.schema([(name, pa.string()) for name in ("model", "strategy", "reason")]),
    "runs": pa.schema(
        [
            *((name, pa.string()) for name in ("model", "source", "source_version")),
            ("scores", pa.int64()),
            ("failed_cases", pa.int64()),
            ("failed_images", pa.int64()),
            *((name, pa.string()) for name in ("device", "dtype", "date")),
            ("seconds", pa.float64()),
        ]
    ),
    "left_out": pa.schema([(name, pa.string()) for name in ("model", "source", "reason", "command")]),
}


def tables(
    runs: Sequence[Run], given: BoardInput, sums: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """The rows of `SCHEMAS`, but `left_out`.

    Args:
        sums: model → the sum of its score files: what is verified of others says nothing of these.
    """
    versions = {slug: shards.load_manifest(given.data / slug).version for slug in given.sources}
    return {
        "models": [_model(run, place, given, sums[run.model]) for place, run in enumerate(runs)],
        "measured": [row for run in runs for row in _measured(run, given, versions)],
        "not_applicable": [
            {"model": run.model, "strategy": strategy, "reason": reason}
            for run in runs
            for strategy, reason in run.manifest.not_applicable.items()
        ],
        "runs": [row for run in runs for row in _runs(run)],
    }


def _model(run: Run, place: int, given: BoardInput, scores_sha256: str) -> dict[str, Any]:
    declaration = run.manifest.declaration
    named = declaration.model_dump(mode="json", include=set(SCHEMAS["models"].names))
    timed = _timed(run, given)
    verified = _found(given.measured / VERIFIED.name / f"{run.model}.json", verify.read)
    if verified and (verified.scores_sha256 != scores_sha256 or not verified.held):
        verified = None
    return {
        **named,
        "trained_on": json.dumps(declaration.trained_on.model_dump(mode="json"), sort_keys=True),
        "rows": run.manifest.rows,
        "submitted": run.submitted,
        "order": place,
        "tolerance": tolerance(run, given.measured / TOLERANCES.name),
        "verified": verified.largest if verified else None,
        "verified_on": verified.date if verified else None,
        "encoder_ms": timed.encoder_ms if timed else None,
        "timed_on": f"{timed.device_name}, {timed.numerics}" if timed else None,
    }


def _timed(run: Run, given: BoardInput) -> Latency | None:
    return _of_weights(run, _found(given.measured / LATENCIES.name / f"{run.model}.json", latency.read))


def _robustness(run: Run, given: BoardInput, versions: Mapping[str, str]) -> Robustness | None:
    """What was measured on the board's sources as they are built, on the run's own device."""
    path = given.measured / ROBUSTNESS.name / f"{run.model}.json"
    found = _of_weights(run, _found(path, robustness.read))
    own = run.manifest.declaration.device
    return found if found and found.device == own and found.sources.items() <= versions.items() else None


def _of_weights(run: Run, found: Measured | None) -> Measured | None:
    """What was measured, if it was of the run's own version and weights."""
    own = run.manifest.declaration
    same = found and (found.version, found.weights_sha256) == (own.version, own.weights_sha256)
    return found if same else None


def _measured(run: Run, given: BoardInput, versions: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    timed, shifted = _timed(run, given), _robustness(run, given, versions)
    prompts = timed.prompt_ms if timed else {}
    reach, drops = list(shifted.drops.items())[-1] if shifted else ("", {})
    for strategy in run.manifest.strategies:
        drop = drops.get(strategy)
        row = {
            "prompt_ms": prompts.get(strategy),
            "shift_pixels": reach if drop else None,
            "drop": drop.mean if drop else None,
        }
        yield {"model": run.model, "strategy": strategy, **row}


def _runs(run: Run) -> Iterator[dict[str, Any]]:
    manifest = run.manifest
    for slug in run.sources:
        one = manifest.sources[slug]
        yield {
            "model": run.model,
            "source": slug,
            "source_version": one.version,
            "scores": one.scores,
            "failed_cases": len(one.failures),
            "failed_images": len(one.failed_images),
            "device": manifest.declaration.device,
            "dtype": manifest.declaration.dtype,
            "date": manifest.date,
            "seconds": manifest.seconds,
        }


def _found(path: Path, read: Callable[[Path], Record]) -> Record | None:
    """What was measured; a file that can't be read is as if nobody had, but for a warning."""
    if not path.is_file():
        return None
    try:
        return read(path)
    except InputError as error:
        log.warning("%s", error)
        return None
