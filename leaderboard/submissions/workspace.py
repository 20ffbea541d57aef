"""A worker's folder for one submission: what the scoring child finds there, and what it leaves."""

import json
import os
import shutil
import stat
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cosmos1050k import units
from cosmos1050k.errors import BadFile, InputError
from leaderboard import finetuned, weights
from leaderboard.finetuned import Finetuned
from leaderboard.own_models import RECORD
from leaderboard.submissions.order import Beat, Order

#: Runs its child, whose exit status says when the model is at fault: its standard output is JSON then.
COMMAND, REFUSED = (sys.executable, "-P", "-m", "leaderboard.submissions.child"), 3
#: In the workspace: what to do, how far it is, the scores.
JOB, PROGRESS, SCORES = Path("order.json"), Path("out/progress.json"), Path("out/scores")
#: What the child may write below it; units are kept when a run is killed.
WRITES = ("data", "out", "tmp")
#: Of what a child leaves that was taken over: a file of scores, a manifest, how far it is.
_MOST_BYTES = {".parquet": 10**9, ".json": 20 * 10**6}
_MOST_PROGRESS = 1000


class Job(BaseModel):
    """What the child of a workspace does.

    Args:
        data: the folder of the built sources, absolute.
        workers: processes; if not given as many as there are cores, or GPUs, and memory for.
        image_batch, prompt_batch: as in `leaderboard.machine.Machine`.
        units: where finished parts are kept, absolute; by default in the workspace.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    order: Order
    data: Path
    workers: int | None = None
    image_batch: int | None = None
    prompt_batch: int | None = None
    units: Path | None = None


def prepare(root: Path, job: Job, file: Path) -> Path:
    """The folder `root/SUBMISSION` for a run; units of a run before it stay.

    Args:
        file: the model's weights, of the order's size and sum; it stays as it is.

    Raises:
        InputError: the base that the model stands on is missing here, or the folder can't be written.
    """
    record = job.order.record
    folder = root.absolute() / job.order.submission
    official = record.base in weights.OFFICIAL
    base = weights.path(str(record.base)).absolute() if official else None
    try:
        for name in ("", *WRITES, units.UNITS.as_posix()):
            (folder / name).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        model = _fresh(folder / finetuned.MODELS) / record.name
        model.mkdir()
        (model / RECORD).write_text(_text(record))
        _lend(file, model / finetuned.WEIGHTS)
        bases = _fresh(folder / weights.WEIGHTS)
        if base:
            _lend(base, bases / base.name)
        for name in ("out", "tmp"):
            _fresh(folder / name)
        (folder / JOB).write_text(job.model_dump_json(indent=1) + "\n")
    except OSError as error:
        problem = f"{error.filename or folder}: can't be written ({error.strerror})"
        raise InputError(f"{problem}; free space or choose another folder for the worker") from None
    return folder


def job_of(folder: Path) -> Job:
    """What is to be done in a workspace.

    Raises:
        InputError: it does not say.
    """
    try:
        return Job.model_validate_json((folder / JOB).read_bytes())
    except (OSError, ValidationError):
        raise BadFile(str(folder / JOB), "missing or damaged", "prepare the workspace again") from None


def write_record(record: Finetuned) -> None:
    """Puts another record of the model into the workspace that is the present folder."""
    path = finetuned.MODELS / record.name / RECORD
    new = path.with_suffix(".new")
    new.write_text(_text(record))
    new.replace(path)


def _text(record: Finetuned) -> str:
    return record.model_dump_json(indent=1) + "\n"


def tell(doing: str, done: int, total: int) -> None:
    """Says how far the run is, in the workspace that is the present folder."""
    new = PROGRESS.with_suffix(".new")
    new.write_text(json.dumps({"doing": doing, "done": done, "total": total}))
    new.replace(PROGRESS)


def progress(folder: Path) -> Beat:
    """How far the run in a workspace is; what its child wrote is not trusted."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(folder / PROGRESS, flags), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return Beat(doing="starts")
            return Beat.model_validate_json(stream.read(_MOST_PROGRESS))
    except (OSError, ValidationError):
        return Beat(doing="starts")


def results(folder: Path) -> dict[str, Path]:
    """What a run that ended well left, a file per name: one per source, and the manifest.

    Raises:
        InputError: it is not what a run leaves.
    """
    job, out = job_of(folder), folder / SCORES
    expected = [*(f"{slug}.parquet" for slug in scored(job.order)), units.MANIFEST]
    found = {}
    for name in expected:
        path = out / name
        try:
            out_is, file_is = (out.lstat().st_mode, out.parent.lstat().st_mode), path.lstat()
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; score it again") from None
        plain = all(map(stat.S_ISDIR, out_is)) and stat.S_ISREG(file_is.st_mode) and file_is.st_nlink == 1
        if not plain or file_is.st_size > _MOST_BYTES[path.suffix]:
            raise BadFile(str(path), "no plain file, or too large", "score it again")
        found[name] = path
    return found


def scored(order: Order) -> list[str]:
    """The sources that an order has scored, in the board's order."""
    return [slug for slug in order.sources if not order.only or slug in order.only]


def _fresh(folder: Path) -> Path:
    """An empty folder in place of whatever is there: a child that could write here is followed nowhere."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
    else:
        shutil.rmtree(folder)
    folder.mkdir()
    return folder


def _lend(file: Path, target: Path) -> None:
    """Another name for a file, or a copy where that can't be had or others could not read it."""
    if stat.S_IMODE(file.stat().st_mode) & stat.S_IROTH:
        try:
            target.hardlink_to(file.resolve())
            return
        except OSError:  # on another disk, or not ours
            pass
    shutil.copyfile(file, target)
    target.chmod(0o644)
