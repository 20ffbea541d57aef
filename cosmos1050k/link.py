"""Makes a source's raw folder a link to where the lab keeps its release."""

import os
from pathlib import Path

from cosmos1050k import release, sources
from cosmos1050k.errors import InputError


def link(slug: str, folder: Path) -> tuple[Path, Path | None]:
    """Makes `data/raw/<slug>` a link to `folder`. A link that is there is replaced; files never are.

    Returns:
        The place that the link leads to, and the one it led to before, if it was a link.

    Raises:
        InputError: there is no such source, it needs no folder, the folder can't be one of raw files, or
            something that is no link is in the link's place.
    """
    source = sources.get(slug).SOURCE
    if source.package is not None:
        package = source.package.partition("/")[0]
        raise InputError(f"{slug}: its files come with the package {package}; there is nothing to link")
    target, place = _followed(folder), sources.RAW / slug
    raw = sources.RAW.resolve()
    if target.is_relative_to(raw):
        raise InputError(f"{folder}: inside {sources.RAW}; give the folder where the lab keeps the release")
    if raw.is_relative_to(target):
        raise InputError(f"{folder}: holds {sources.RAW} itself; give the folder of this release alone")
    _refuse_empty(folder, target)
    before = place.readlink() if place.is_symlink() else None
    if before is None and place.exists():
        _clear(place)
    temporary = place.with_name(f".{slug}.link")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(place)
    except OSError as error:
        raise InputError(f"{place}: can't be written ({error.strerror}); mend {sources.RAW}") from None
    return target, before


def _followed(folder: Path) -> Path:
    """The folder itself, whatever links lead to it."""
    try:
        target = Path(os.path.realpath(folder, strict=True))
        next(target.iterdir(), None)
    except FileNotFoundError:
        raise InputError(f"{folder}: missing; give the folder that holds the release") from None
    except NotADirectoryError:
        raise InputError(f"{folder}: not a folder; give the folder that holds the release") from None
    except OSError as error:  # no permission, or links that lead in a circle
        raise InputError(f"{folder}: can't be read ({error.strerror}); mend it or give another") from None
    return target


def _refuse_empty(folder: Path, target: Path) -> None:
    try:
        names = release.files(target)
    except OSError as error:
        problem = f"{error.filename} can't be read ({error.strerror})"
        raise InputError(f"{folder}: {problem}; mend it or give another") from None
    if all(Path(name).name.startswith(".") for name in names):
        raise InputError(f"{folder}: holds no file; give the folder that holds the release")


def _clear(place: Path) -> None:
    """Removes an empty folder from the link's place."""
    try:
        place.rmdir()
    except OSError:
        what = "a folder that is not empty" if place.is_dir() else "a file"
        raise InputError(f"{place}: {what}, not a link; move it elsewhere first") from None
