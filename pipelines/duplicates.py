"""Stage `duplicates`: twins by content, and the lines that groups.csv lacks."""

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from cosmos1050k import duplicates
from cosmos1050k.disk import write_all
from cosmos1050k.duplicates import Found
from cosmos1050k.errors import InputError
from cosmos1050k.shards import DATA
from cosmos1050k.splits import GROUPS
from cosmos1050k.twin_groups import missing_lines
from pipelines import params, stage

OUT = Path("data/duplicates")
TWINS, LINES = "twins.csv", "lines.csv"


def run(slugs: Sequence[str], data: Path, out: Path, workers: int | None, groups: Path = GROUPS) -> None:
    """Looks for twins, writes them and the missing lines into `out`, and prints the lines alone on stdout."""
    found = duplicates.find(data, list(dict.fromkeys(slugs)), groups=groups, workers=workers)
    lines = missing_lines(found, groups)
    write(found, lines, out)
    for line in lines:
        print(line)
    print(describe(found, lines, out), file=sys.stderr)


def write(found: Found, lines: Sequence[str], out: Path) -> None:
    """Writes both tables, or none.

    Raises:
        InputError: the disk does not take them, or `out` is no folder.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is no folder; choose another --out")
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["kind", "source", "patient", "other_source", "other_patient", "pictures", "of", "likeness"]
    )
    for twin in found.twins:
        row = twin.kind, *twin.first, *twin.second, twin.pictures, twin.of, f"{twin.likeness:.3f}"
        table.writerow(row)
    missing = "".join(f"{line}\n" for line in lines)
    write_all({out / TWINS: text.getvalue().encode(), out / LINES: missing.encode()})


def describe(found: Found, lines: Sequence[str], out: Path) -> str:
    kinds = [twin.kind for twin in found.twins]
    missing = sum(not line.startswith("#") for line in lines)
    return (
        f"pictures {found.pictures}, of them left out as blank {found.blank}; "
        f"patients {len(found.patients)}; twins exact {kinds.count('exact')}, near {kinds.count('near')}; "
        f"lines missing {missing}; in {out}"
    )


def main() -> None:
    given = params.load()
    run(given.sources, DATA, OUT, given.runtime.workers)


if __name__ == "__main__":
    with stage.reported():
        main()
