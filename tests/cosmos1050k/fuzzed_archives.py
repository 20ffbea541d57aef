"""Archives to mutate, and what each format's own library unpacks."""

import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import py7zr
import rarfile
from py7zr.io import BytesIOFactory

from cosmos1050k.members import inside
from cosmos1050k.unpacking import extract
from tests.cosmos1050k.archive_files import archive
from tests.cosmos1050k.bad_input import one_line
from tests.cosmos1050k.mutations import Files

RNG = np.random.default_rng(1050)


def archive_files(ending: str) -> list[Files]:
    members = {"a.txt": b"first", "f/b.bin": RNG.bytes(300), "f/c.txt": bytes(200)}
    return [{f"a{ending}": archive(ending, one)} for one in (members, {"x/y.nii": RNG.bytes(90), **members})]


def unpacked(path: Path) -> tuple[dict[str, bytes], int]:
    """The members that came out sound, and how many were left out, with a line for each."""
    folder = path.parent / "out"
    folder.mkdir()
    problems = extract(path, path.name, folder)
    for problem in problems:
        one_line(problem, path.name)
    found = {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}
    return found, len(problems)


def members_by_library(path: Path) -> list[dict[str, bytes]]:
    """All that the format's own library reads of it, the first where a name comes twice."""
    reads = {".zip": _zip_members, ".7z": _seven_members, ".rar": _rar_members}.get(path.suffix, _tar_members)
    found: dict[str, bytes] = {}
    for name, read in reads(path):
        place = inside(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        try:
            content = read()
        except Exception:  # noqa: BLE001 (what the library can't read says nothing)
            continue
        if place:
            found.setdefault(place, content)
    return [found]


Members = Iterator[tuple[str, Callable[[], bytes]]]


def _zip_members(path: Path) -> Members:
    with zipfile.ZipFile(path) as opened:
        for info in opened.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise ValueError("zipfile follows no links")
            if not info.is_dir():
                yield info.filename, lambda info=info: opened.read(info)  # type: ignore[misc]


def _tar_members(path: Path) -> Members:
    with tarfile.open(path) as opened:
        for info in opened:
            if not info.isdir():
                yield info.name, lambda info=info: opened.extractfile(info).read()  # type: ignore[misc]


def _rar_members(path: Path) -> Members:
    with rarfile.RarFile(path) as opened:
        for info in opened.infolist():
            if info.is_symlink():
                raise ValueError("rarfile follows no links")
            if info.is_file():
                yield info.filename, lambda info=info: opened.read(info)  # type: ignore[misc]


def _seven_members(path: Path) -> Members:
    factory = BytesIOFactory(2**20)
    with py7zr.SevenZipFile(path) as opened:
        opened.extractall(factory=factory)
    for name, content in factory.products.items():
        yield name, content.read
