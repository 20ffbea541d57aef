"""Run-length CSV as SIIM-ACR has it: columns ImageId and EncodedPixels, one or more rows per image.

The runs of a row are pairs of numbers: how far the run starts behind the end of the one before (the first:
behind the picture's start), and its length. They go down the columns, from left to right. `-1` is no run.
"""

import csv
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, Volume, refuse_size
from cosmos1050k.readers.messages import shown
from cosmos1050k.readers.pixels import as_volume

IMAGE, RUNS = "ImageId", "EncodedPixels"
NONE = "-1"
_NUMBER = re.compile(r"-?[0-9]{1,12}")


class _Row(NamedTuple):
    line: int
    runs: str


def read_rows(path: Path, name: str, row: str, shape: tuple[int, int]) -> Volume:
    """The mask of one image: 1 where any of its rows has a run, else 0 (uint8).

    Args:
        row: the ImageId.
        shape: height and width of the image; the table doesn't give them.

    Raises:
        BadFile: the table has no such image or is none, or a row's runs are no pairs of numbers, or leave the
            picture.
    """
    refuse_size(name, shape, 1)
    rows = _table(path, name).get(row)
    if rows is None:
        raise BadFile(name, f"no row of the image {row}", AGAIN)
    height, width = shape
    columns = np.zeros(height * width, np.uint8)  # one column after the other
    for found in rows:
        if found.runs != NONE:
            _draw(found, columns, name, row)
    return as_volume(columns.reshape(width, height).T[None])


def have_runs(path: Path, name: str) -> dict[str, bool]:
    """Every ImageId of the table, in its order, and whether any of its rows has a run.

    Raises:
        BadFile: it isn't such a table.
    """
    return {image: any(row.runs != NONE for row in rows) for image, rows in _table(path, name).items()}


def _draw(row: _Row, columns: NDArray[np.uint8], name: str, image: str) -> None:
    def bad(problem: str) -> BadFile:
        return BadFile(name, f"line {row.line}, image {image}: {problem}", AGAIN)

    texts = row.runs.split()
    wrong = next((text for text in texts if not _NUMBER.fullmatch(text)), None)
    if wrong is not None:
        raise bad(f"{wrong[:40]!r} is no number")
    numbers = [int(text) for text in texts]
    if len(numbers) % 2 or not numbers:
        raise bad(f"{len(numbers)} numbers, expected pairs of a start and a length")
    end = 0
    for offset, length in zip(numbers[::2], numbers[1::2], strict=True):
        start, end = end + offset, end + offset + length
        if offset < 0 or length < 1 or end > columns.size:
            raise bad(f"a run of pixels {start} to {end} in a picture of {columns.size}")
        columns[start:end] = 1


def _table(path: Path, name: str) -> dict[str, list[_Row]]:
    status = path.stat()
    return _parsed(path, name, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)
def _parsed(path: Path, name: str, size: int, time: int) -> dict[str, list[_Row]]:
    """ImageId → its rows. A file is parsed again only when its size or time changes."""
    rows: dict[str, list[_Row]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [column.strip() for column in next(reader, [])]
            for column in (IMAGE, RUNS):
                if column not in header:
                    raise BadFile(name, f"no column {column}", AGAIN)
            places = header.index(IMAGE), header.index(RUNS)
            for cells in filter(None, reader):
                # A row that breaks off has no runs at all, which its image alone is refused for.
                image, runs = (cells[place].strip() if place < len(cells) else "" for place in places)
                rows.setdefault(image, []).append(_Row(reader.line_num, runs))
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadFile(name, f"not a CSV table ({shown(error)})", AGAIN) from None
    return rows
