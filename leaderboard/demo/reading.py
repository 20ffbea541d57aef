"""Reads what was chosen of an upload into a study, within limits, and names files as their owner did."""

import importlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import nibabel as nib
import numpy as np

from cosmos1050k import readers
from cosmos1050k.errors import BadFile
from cosmos1050k.readers import Volume
from leaderboard.demo import contents
from leaderboard.demo.study import Study

#: Kinds whose readers look at the path too: for a voxel file beside it, or because ITK opens it.
LINKED = frozenset({".mha", ".mhd", ".nrrd", ".nhdr", ".hdr"})
SMALLER = "upload a smaller one, or a part of it"
#: The largest picture or slice, in pixels.
_MOST_PIXELS = 2**26
#: Voxels are counted as the largest numbers that a reader makes of them.
_NUMBER_BYTES = 8


@dataclass(frozen=True)
class Brought:
    """One file: where it lies, what it was called, the ending of its content ("" of what is not known)."""

    path: Path
    name: str
    kind: str

    @property
    def base(self) -> str:
        """Its name without folders."""
        return PurePosixPath(self.name).name


class Reading:
    """Reads by names that end as the content does; `renamed` tells what they were.

    Args:
        folder: private, and empty of what is linked here.
        most_bytes: what the voxels may take at eight bytes each.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder, self._most = folder, most_bytes
        self.renamed: dict[str, str] = {}

    def one(self, file: Brought, voxels: Brought | None = None, note: str = "") -> Study:
        """A file of its own, or a header and its voxel file.

        Raises:
            BadFile: damaged, too large, or of a kind that is not opened.
        """
        name = self._named(file)
        path = self._linked(file, voxels) if file.kind in LINKED else file.path
        self._refuse(name, contents.promised(path, name, file.kind))
        module = importlib.import_module(f"{readers.__name__}.{readers.CONTAINERS[file.kind]}")
        volume = readers.guarded(module.read, path, name)
        return self._study(file.base, name, volume, note, contents.nifti_header(path, file.kind))

    def stack(self, files: Sequence[Brought], name: str, note: str, by_position: bool = False) -> Study:
        """Files of one slice each, in the order given or by their places.

        Args:
            name: the study's.

        Raises:
            BadFile: one is damaged or unlike the first, or together they are too large.
        """
        from cosmos1050k.readers.stack import read_stack

        named = [(file.path, self._named(file)) for file in files]
        total = 0
        for file, (path, called) in zip(files, named, strict=True):
            total += contents.promised(path, called, file.kind)
            self._refuse(called, total)
        volume, _ = read_stack(named, by_position)
        return self._study(name, named[0][1], volume, note)

    def _study(
        self, shown: str, name: str, volume: Volume, note: str, header: nib.Nifti1Header | None = None
    ) -> Study:
        if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).any():
            raise BadFile(name, "not one finite value", readers.AGAIN)
        study = Study(shown, volume, note=note, header=header)
        for plane in study.planes:
            height, width = study.size(plane)
            if height * width > _MOST_PIXELS:
                raise BadFile(name, f"{height} × {width} pixels, more than {_MOST_PIXELS} in all", SMALLER)
        return study

    def _refuse(self, name: str, numbers: int) -> None:
        if numbers > (most := self._most // _NUMBER_BYTES):
            raise BadFile(name, f"its header states more than {most} voxels", SMALLER)

    def _named(self, file: Brought) -> str:
        """The file's name, with the ending that readers choose by."""
        if file.name.lower().endswith(file.kind):
            return file.name
        name = file.name + file.kind
        self.renamed[name] = file.name
        return name

    def _linked(self, header: Brought, voxels: Brought | None) -> Path:
        """The file in a folder of its own, its voxel file beside it by the name that the reader expects."""
        folder = self._folder / "read"
        folder.mkdir()
        stem, ending = _voxel_name(header, voxels)
        if voxels is not None:
            link(voxels.path, folder / f"{stem}{ending}")
        return link(header.path, folder / f"{stem}{header.kind}")


def _voxel_name(header: Brought, voxels: Brought | None) -> tuple[str, str]:
    """Stem and ending of the voxel file, as the header names it; of one that may not be named so, ours."""
    if header.kind == ".hdr":
        gzipped = voxels is not None and contents.is_gzipped(voxels.path)
        return "voxels", ".img.gz" if gzipped else ".img"
    said = contents.voxel_file(header.path) or ""
    for ending in readers.PARTNERS.get(header.kind, ()):
        stem = said.removesuffix(ending)
        if stem != said and stem.isprintable() and "/" not in stem and 0 < len(stem.encode()) < 200:
            return stem, ending
    return "voxels", ".raw"


def link(path: Path, to: Path) -> Path:
    """The file at a second place; a copy where the disk can't link."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copyfile(path, to)
    return to
