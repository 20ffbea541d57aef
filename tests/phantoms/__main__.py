"""Writes synthetic releases, one folder per source: `python -m tests.phantoms --out DIR [SLUG…]`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests import phantoms


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.phantoms", description=phantoms.__doc__)
    parser.add_argument("slugs", nargs="*", metavar="SLUG", help="sources; all that have a phantom if none")
    parser.add_argument("--out", type=Path, required=True, help="where to put their folders")
    parser.add_argument("--patients", type=int, default=3, help="of each source; default 3")
    parser.add_argument("--seed", type=int, default=0, help="equal seeds give equal files; default 0")
    options = parser.parse_args(arguments)
    known = phantoms.slugs()
    wanted = options.slugs or known
    if problem := _problem(options, wanted, known):
        parser.exit(2, f"{problem}\n")
    for slug in wanted:
        folder = options.out / slug
        rows = phantoms.write(slug, folder, options.patients, options.seed)
        patients = len({row.patient for row in rows})
        sys.stdout.write(f"{folder}: {patients} patients, to become {len(rows)} rows\n")


def _problem(options: argparse.Namespace, wanted: Sequence[str], known: Sequence[str]) -> str | None:
    """What is wrong with the command, in one line; found before anything is written."""
    if unknown := [slug for slug in wanted if slug not in known]:
        return f"no phantom of {unknown[0]!r}; there are {', '.join(known)}"
    if options.patients < 1 or options.seed < 0:
        return "--patients must be 1 or more, --seed 0 or more"
    for folder in (options.out, *(options.out / slug for slug in wanted)):
        if folder.exists() and not folder.is_dir():
            return f"{folder} is a file; name another --out"
        if folder != options.out and folder.exists() and any(folder.iterdir()):
            return f"{folder} exists and is not empty; name another --out or remove it"
    return None


if __name__ == "__main__":
    main()
