"""One's own file of weights, checked and scored as a submission is, on one's own machine."""

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path

import psutil

from cosmos1050k import units
from cosmos1050k.errors import InputError
from leaderboard import models
from leaderboard.evaluate import BoardRows, EvaluateOptions, RunManifest, manifest_of
from leaderboard.submissions import checkpoint, child, workspace
from leaderboard.submissions.declared import Declared
from leaderboard.submissions.order import Order
from leaderboard.submissions.terms import Limits
from leaderboard.submissions.workspace import Job

#: Below it, the workspace of a run.
_WORK = Path("data")


def evaluate(
    file: Path,
    given: Declared,
    data: Path,
    out: Path,
    *,
    sources: Mapping[str, str],
    protocol_version: int,
    options: EvaluateOptions,
    board_rows: BoardRows,
    workers: int | None,
    image_timeout_s: float,
    image_batch: int | None,
    prompt_batch: int | None,
) -> RunManifest:
    """Scores a file of weights; the present folder is another one meanwhile.

    Args:
        given: as a submission declares it; the file may hold its mask decoder alone.
        sources: slug → version.
        data, out and what follows: as in `leaderboard.evaluate.evaluate`.

    Raises:
        Refused: a submission of it would be refused.
        InputError: it can't be scored; `out` is as it was.
    """
    if given.name in models.modules():
        raise InputError(f"{given.name}: a model of the platform has that name; choose another")
    units.refuse_foreign(out)
    limits = Limits(image_timeout_s=image_timeout_s, memory_gb=psutil.virtual_memory().total / 1e9)
    checked = checkpoint.check(file.resolve(), given.network, limits.most_bytes)
    order = Order(
        submission=checked.tensors_sha256[:10],
        record=given.record(checked.part, checked.file_sha256, checked.tensors_sha256),
        weights_bytes=checked.bytes,
        weights_sha256=checked.file_sha256,
        sources=dict(sources),
        only=(),
        protocol_version=protocol_version,
        evaluate=options,
        board_rows=board_rows,
        limits=limits,
    )
    job = Job(
        order=order,
        data=data.absolute(),
        workers=workers,
        image_batch=image_batch,
        prompt_batch=prompt_batch,
        units=units.UNITS.absolute(),
    )
    target = out.absolute()
    with _folder() as root:
        folder = workspace.prepare(Path(root), job, file)
        with chdir(folder):
            child.run(job)
        with units.replacing(target) as new:
            for kept, path in workspace.results(folder).items():
                shutil.copyfile(path, new / kept)
    return manifest_of(target / units.MANIFEST, given.name)


def _folder() -> tempfile.TemporaryDirectory[str]:
    """Raises:
    InputError: none can be made.
    """
    try:
        _WORK.mkdir(exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".evaluate-", dir=_WORK)
    except OSError as error:
        raise InputError(f"{_WORK}: can't be written ({error.strerror}); mend it") from None
