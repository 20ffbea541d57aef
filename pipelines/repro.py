"""`make repro`: index the sources, `dvc repro`, show the board. Can be killed and started again."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosmos1050k import disk, index, locks
from cosmos1050k.errors import InputError
from cosmos1050k.status import status
from leaderboard.click_models import CLICK_MODELS
from leaderboard.finetuned import MODELS
from leaderboard.machine import MEASURED
from leaderboard.store.build import BOARD
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from leaderboard.store.runs import SUBMISSIONS
from pipelines import params, stage, terminal, terms

LOCK = Path("dvc.lock")
#: The last lock file that DVC could read: a killed run can leave `dvc.lock` cut off, and DVC then refuses to
#: start.
VALID = Path(".dvc/tmp/dvc.lock.valid")
#: Held while this runs.
BUSY = Path(".dvc/tmp/repro.lock")
#: DVC's note of who is reading and writing what; it refuses what a killed DVC, not yet reaped, holds there.
RUNNING = Path(".dvc/tmp/rwlock")


def whole(lock: Path) -> bool:
    """Whether DVC can read a lock file."""
    import yaml
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    try:
        content = yaml.safe_load(lock.read_text())
        COMPILED_LOCKFILE_SCHEMA(content)
    except (yaml.YAMLError, UnicodeDecodeError, Invalid):
        return False
    return content is not None


def mend() -> None:
    """Restores the last valid `dvc.lock` if the present one is damaged, and drops a stale `rwlock`."""
    if LOCK.exists() and not whole(LOCK):
        with disk.writing(LOCK):
            if VALID.exists():
                shutil.copyfile(VALID, LOCK)
            else:
                LOCK.unlink()
        print(f"{LOCK} was damaged by a killed run; {'restored' if VALID.exists() else 'started anew'}")
    if RUNNING.exists() and not _in_use(RUNNING):
        with disk.writing(RUNNING):
            RUNNING.unlink()


def _in_use(note: Path) -> bool:
    """Whether a DVC noted as running still is. One just killed may be a zombie, its number reused."""
    import psutil

    for number in {int(found) for found in re.findall(r'"pid": (\d+)', note.read_text())}:
        try:
            process = psutil.Process(number)
            if process.status() != psutil.STATUS_ZOMBIE and any("dvc" in part for part in process.cmdline()):
                return True
        except psutil.Error:
            continue
    return False


def keep() -> None:
    """Remembers `dvc.lock` while it is whole."""
    if LOCK.exists() and whole(LOCK):
        with disk.replacing(VALID) as new:
            shutil.copyfile(LOCK, new)


def main() -> None:
    given = params.load()
    with alone():
        _run(given)


@contextmanager
def alone() -> Iterator[None]:
    """Only one at a time: two would index, mend and publish across each other.

    Raises:
        InputError: another process is at it, or the disk does not take the lock.
    """
    with disk.writing(BUSY):
        BUSY.parent.mkdir(parents=True, exist_ok=True)
        held = BUSY.open("w")
    with held:
        locks.take(held, "`make repro` is running here already; wait until it has ended")
        yield


def _run(given: params.Params) -> None:
    for folder in (MODELS, CLICK_MODELS, MEASURED, SUBMISSIONS):
        with disk.writing(folder):  # stages depend on it, with or without something in it
            folder.mkdir(parents=True, exist_ok=True)
    pulled = [slug for slug in given.sources if is_pulled(slug)]
    for slug in given.sources:
        if slug in pulled:
            print(f"{slug}: no raw files here, so it is not built again; what was built stays")
        elif not index.write(slug).files:
            print(f"{slug}: no raw files found; its build will say what to do")
    mend()
    keep()
    # The stages say `python`: they shall find the one that runs this, activated or not.
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    arguments = sys.argv[1:] or (_all_but([f"build@{slug}" for slug in pulled]) if pulled else [])
    command = [sys.executable, "-m", "dvc", "repro", *arguments]
    done = subprocess.run(command, env=environment, check=False)
    keep()
    if done.returncode:
        raise InputError(
            "the pipeline stopped; the lines above say where. Mend it and run `make repro` again"
        )
    publish(BOARD)  # DVC may have taken the board out of its cache without running the stage
    _publish_analyses()
    terms.write(given)
    terminal.show(BoardReader())
    print("\nNext: `make app` shows the board in a browser; `cosmos --help` lists what else there is.")


def _publish_analyses() -> None:
    """Puts the analyses before the app: DVC may have taken them out of its cache, too."""
    from leaderboard.analyses import publishing, report

    sections = report.REPORTS / report.SECTIONS
    if sections.exists():
        publishing.publish(sections)


def is_pulled(slug: str) -> bool:
    """Whether a source is here as it was built and its raw files are not, as after `dvc pull` in a clone."""
    here = status(slug)
    return bool(here.version) and not here.present


def _all_but(left_out: list[str]) -> list[str]:
    """What DVC shall look at, in the order of `dvc.yaml`, each by itself: else it would build those too."""
    from dvc.repo import Repo

    with Repo() as opened:
        names = [stage.addressing for stage in opened.stage.collect("dvc.yaml")]
    return ["--single-item", *(name for name in names if name not in left_out)]


if __name__ == "__main__":
    with stage.reported():
        main()
