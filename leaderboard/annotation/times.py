"""Reads a study's table of times."""

import csv
import math
from pathlib import Path

from leaderboard.annotation.folder import TASKS, TIME_COLUMNS, TIMES, AnnotationStudy, Task

#: Of one image in one task: less is a slip, more a clock that was left running.
LEAST_SECONDS, MOST_SECONDS = 1, 3600
#: Who → task → image → seconds.
Times = dict[str, dict[Task, dict[str, float]]]


def read(folder: Path, study: AnnotationStudy) -> tuple[Times | None, list[str]]:
    """The times that can be used, none of a table that can't be read, and a line for each that can't."""
    try:
        # With the mark that spreadsheets put first.
        lines = (folder / TIMES).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return None, [f"{TIMES}: missing; its header is {','.join(TIME_COLUMNS)}"]
    except (OSError, UnicodeDecodeError):
        return None, [f"{TIMES}: can't be read as text in UTF-8; save it as CSV in UTF-8"]
    rows = csv.reader(lines)
    try:
        # Each with the number of the line that it ends on.
        numbered = [(rows.line_num, [cell.strip() for cell in row]) for row in rows]
    except csv.Error as error:
        return None, [f"{TIMES}, line {rows.line_num}: no CSV ({error}); mend it"]
    header = numbered[0][1] if numbered else []
    if header != list(TIME_COLUMNS):
        return None, [
            f"{TIMES}: its first line is {','.join(header)[:100]!r}; make it {','.join(TIME_COLUMNS)}"
        ]
    images = {image.file for image in study.images}
    found: Times = {}
    problems = []
    for number, cells in numbered[1:]:
        if not any(cells):
            continue
        problem = _added(cells, images, found)
        if problem:
            problems.append(f"{TIMES}, line {number}: {problem}")
    return found, problems


def _added(cells: list[str], images: set[str], found: Times) -> str:
    """Adds a line's time; or what is wrong with the line."""
    if len(cells) != len(TIME_COLUMNS):
        return f"{len(cells)} values; give {len(TIME_COLUMNS)}: {', '.join(TIME_COLUMNS)}"
    who, task, image, text = cells
    if not who:
        return "no annotator; name one"
    if task not in TASKS:
        return f"no task {task!r}; there are {' and '.join(TASKS)}"
    if image not in images:
        return f"no image {image!r} in the study; give its file's name, such as {min(images)}"
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    own = found.setdefault(who, {}).setdefault(task, {})
    if image in own:
        return f"a second time of {who}, {task}, {image}; keep one"
    own[image] = seconds  # also a wrong one: it is not missing as well
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        return f"{text[:100]!r} seconds; give a number from {LEAST_SECONDS} to {MOST_SECONDS}"
    return ""
