"""How each file that a source wants stands in its raw folder."""

from pathlib import Path
from typing import Literal, NamedTuple

from cosmos1050k import release
from cosmos1050k.archives import stem
from cosmos1050k.fetch.sums import Ledger
from cosmos1050k.source import Download

#: Below a raw folder, where files grow until they are whole and known to be right; hidden, so never indexed.
STAGING = ".fetch"


class State(NamedTuple):
    """A wanted file and how it stands: `unpacked` by hand, and so not needed; or `begun` to be fetched."""

    download: Download
    word: Literal["right", "wrong", "unpacked", "begun", "missing"]
    detail: str


def part_of(root: Path, download: Download) -> Path:
    """Where a file grows while it is fetched."""
    return root / STAGING / f"{download.file}.part"


def state(root: Path, download: Download, ledger: Ledger) -> State:
    """How a file stands. A sum is made only if the index does not remember it."""
    path = root / download.file
    if path.is_symlink() and release.leaves(root, path):
        return State(download, "wrong", "a link that leads out of the folder")
    if path.is_file():
        try:
            problem = ledger.problem(download, path)
        except OSError as error:
            problem = f"it can't be read ({error.strerror})"
        return State(download, "wrong" if problem else "right", problem or _known(download, ledger))
    if path.exists():
        return State(download, "wrong", "no file")
    folder = stem(path.name)
    if folder and path.with_name(folder).is_dir():
        return State(download, "unpacked", f"its folder {folder} is there")
    part = part_of(root, download)
    if part.is_file():
        return State(download, "begun", f"{part.stat().st_size} bytes are there")
    return State(download, "missing", "")


def _known(download: Download, ledger: Ledger) -> str:
    wanted = ledger.known(download)
    if wanted is None:
        return "no sum is known"
    return f"its {wanted.algorithm} is " + ("the release's" if wanted.declared else "the first fetch's")
