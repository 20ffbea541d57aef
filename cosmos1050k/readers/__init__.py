"""Readers, one module per container. Each gives the voxels as stored, uncopied, and their geometry."""

import importlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.errors import BadFile

#: File name ending → module of this package with `read(path, name) -> Volume`.
CONTAINERS = {".nii": "nifti", ".nii.gz": "nifti"}


@dataclass(frozen=True)
class Volume:
    """A 3D array in the order it is stored in (dtype kept) and its affine, 4×4, index → RAS+ millimetres."""

    array: NDArray[np.generic]
    affine: NDArray[np.float64]


def read(root: Path, name: str) -> Volume:
    """Reads one raw file by the reader of its container.

    Args:
        root: the source's folder.
        name: the file, relative to it; it is what a message names.

    Raises:
        BadFile: the file is missing, damaged, or in no known container.
    """
    module = next((CONTAINERS[ending] for ending in CONTAINERS if name.lower().endswith(ending)), None)
    if module is None:
        raise BadFile(name, "not a container that can be read", f"known are {', '.join(CONTAINERS)}")
    try:
        return importlib.import_module(f"{__name__}.{module}").read(root / name, name)
    except FileNotFoundError:
        raise BadFile(name, f"not in {root}", "put the file there or fetch the source again") from None
    except PermissionError:
        raise BadFile(name, "not readable", "change its permissions") from None
    except OSError as error:
        raise BadFile(name, f"can't be read ({error.strerror or error})", "put a file in its place") from None
