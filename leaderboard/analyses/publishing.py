"""The sections for the app: one file per board beside the boards, so that the app computes nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from cosmos1050k import disk
from cosmos1050k.errors import InputError
from leaderboard.analyses.section import Section, numeric, rows_note, texts
from leaderboard.store.publish import STATE

FOLDER = "analyses"
#: Files that are kept, as many as boards.
KEPT = 2


@dataclass(frozen=True)
class Page:
    """A section as the app shows it: `columns` are (heading, whether it holds numbers), `rows` texts, `note`
    what stands below them, `figure` Plotly's JSON or empty.
    """

    key: str
    title: str
    sentence: str
    missing: str
    figure: str
    columns: list[tuple[str, bool]]
    rows: list[list[str]]
    note: str


@dataclass(frozen=True)
class Published:
    """The sections of the board `build_id`; `phantom`: some of its images are synthetic."""

    build_id: str
    phantom: bool
    pages: list[Page]


def dumped(found: Sequence[Section], board: Mapping[str, Any]) -> str:
    """The sections of a board as the text of a file; equal sections give an equal text."""
    told = {"build_id": board["build_id"], "phantom": bool(board["phantoms"])}
    return json.dumps({**told, "pages": [_told(one) for one in found]}) + "\n"


def publish(path: Path, state: Path = STATE) -> Path:
    """Puts a file of `dumped` before the app in one step, keeps the two newest; returns the copy.

    Raises:
        InputError: the file is missing or damaged, or the disk does not take the copy.
    """
    told = read(path)
    target = state / FOLDER / f"{told.build_id}.json"
    disk.write_all({target: path.read_bytes()})
    with disk.writing(target.parent):
        target.touch()  # written or as it was: it is the newest
        for old in _files(state)[KEPT:]:
            old.unlink()
    return target


def latest(build_id: str, state: Path = STATE) -> Path | None:
    """The file of the board `build_id`, or the newest of another; None if nobody analysed any."""
    found = _files(state)
    own = [path for path in found if path.stem == build_id]
    return next(iter(own or found), None)


def read(path: Path) -> Published:
    """What `dumped` made.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        told = json.loads(path.read_bytes())
        pages = [
            Page(**{**one, "columns": [tuple(column) for column in one["columns"]]}) for one in told["pages"]
        ]
        return Published(told["build_id"], told["phantom"], pages)
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: missing or damaged; run `dvc repro analyse`") from None


def _files(state: Path) -> list[Path]:
    """The newest first."""
    found = (state / FOLDER).glob("[!.]*.json")
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def _told(one: Section) -> dict[str, Any]:
    found = pa.table({}) if one.table is None else one.table
    return {
        "key": one.key,
        "title": one.title,
        "sentence": one.sentence,
        "missing": one.missing,
        "figure": "" if one.figure is None else one.figure.to_json(),
        "columns": [(field.name, numeric(field)) for field in found.schema],
        "rows": texts(found),
        "note": rows_note(one.key, found),
    }
