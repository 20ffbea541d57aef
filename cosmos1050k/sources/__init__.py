"""The registry: every module here declares one source as `SOURCE` and pairs its files in `cases(root)`."""

import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.source import Case, Source

RAW = Path("data/raw")


class SourceModule(Protocol):
    """What each module of this package provides."""

    SOURCE: Source

    def cases(self, root: Path) -> Iterator[Case | BadFile]:
        """The cases found under `root`, in a fixed order, and the files that can't be made one."""


def slugs() -> list[str]:
    """All sources' slugs, sorted; nothing is imported."""
    return list(_slugs())


@functools.cache
def _slugs() -> tuple[str, ...]:
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def get(slug: str) -> SourceModule:
    """The module of one source.

    Raises:
        InputError: there is no such source.
    """
    if slug not in _slugs():
        raise InputError(f"unknown source {slug!r}; `cosmos sources` lists those that exist")
    return cast(SourceModule, importlib.import_module(f"{__name__}.{slug}"))


def cases_of(module: SourceModule, root: Path) -> tuple[list[Case], list[BadFile]]:
    """The cases found under `root`, each name and modality once, and what was found that is none."""
    cases: dict[tuple[str, str], Case] = {}
    bad = []
    for found in module.cases(root):
        if isinstance(found, BadFile):
            bad.append(found)
        elif (first := cases.setdefault((found.case, found.modality), found)) is not found:
            twin = f"the same case as {first.image_files[0]}"
            bad.append(BadFile(found.image_files[0], twin, "remove one of the two"))
    return list(cases.values()), bad


def raw_root(source: Source, raw: Path | None = None) -> Path:
    """The folder of a source's raw files: `raw` if given, inside its package, or `data/raw/<slug>`.

    Raises:
        InputError: the package that ships the source is not installed.
    """
    if raw is not None:
        return raw
    if source.package is None:
        return RAW / source.slug
    package, _, folder = source.package.partition("/")
    spec = importlib.util.find_spec(package)  # finds the package without importing it
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"source {source.slug}: the package {package} is missing; run `make setup`")
    return Path(spec.submodule_search_locations[0]) / folder
