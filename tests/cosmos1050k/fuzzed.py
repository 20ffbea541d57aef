"""Every reader with sound files to mutate, and what each container's own library reads from a file."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cosmos1050k.readers import Volume
from tests.cosmos1050k import fuzzed_archives as archives
from tests.cosmos1050k import fuzzed_dicom as dicom
from tests.cosmos1050k import fuzzed_pictures as pictures
from tests.cosmos1050k import fuzzed_volumes as volumes
from tests.cosmos1050k.mutations import Files


@dataclass(frozen=True)
class Fuzzed:
    """One reader.

    Args:
        sound: cases that it reads.
        read: what it reads of the case whose first file is at a path: a volume, pictures, or an archive's
            members and how many were left out.
        library: what may be found there, any of these; an error where the library reads nothing.
    """

    sound: Callable[[], list[Files]]
    read: Callable[[Path], Any]
    library: Callable[[Path], list[Any]]


def _fuzzed() -> dict[str, Fuzzed]:
    found = {
        "nifti": Fuzzed(lambda: volumes.nifti_files(".nii"), volumes.volume, volumes.by_nibabel),
        "nifti gz": Fuzzed(lambda: volumes.nifti_files(".nii.gz"), volumes.volume, volumes.by_nibabel),
        "analyze": Fuzzed(volumes.analyze_files, volumes.volume, volumes.pair_by_nibabel),
        "dicom": Fuzzed(dicom.dicom_files, pictures.pages, dicom.by_pydicom),
        "dicom coded": Fuzzed(dicom.coded_dicom_files, pictures.pages, dicom.by_pydicom_or_gdcm),
        "dicom_seg": Fuzzed(dicom.segmentation_files, dicom.segment, dicom.segment_by_pydicom),
        "stack": Fuzzed(dicom.stack_files, dicom.stacked, dicom.stacked_by_pydicom),
        "tiff": Fuzzed(pictures.tiff_files, pictures.pages, pictures.by_tifffile),
        "rle": Fuzzed(pictures.rle_files, pictures.drawn_here, pictures.drawn_literally),
    }
    for ending in (".mha", ".mhd", ".zraw", ".nrrd", ".nhdr"):
        found[f"itk {ending}"] = Fuzzed(partial(volumes.itk_files, ending), volumes.volume, volumes.by_itk)
    for ending in ("png", "jpg", "bmp", "gif", "ppm", "ppm.gz"):
        found[f"picture {ending}"] = Fuzzed(
            partial(pictures.picture_files, ending), pictures.pages, pictures.by_pillow
        )
    for ending in (".zip", ".tar", ".tar.gz", ".7z", ".rar"):
        found[f"archive {ending}"] = Fuzzed(
            partial(archives.archive_files, ending), archives.unpacked, archives.members_by_library
        )
    return found


#: Reader and container → how it is tested.
FUZZED = _fuzzed()


def same(found: Any, allowed: list[Any]) -> bool:
    """Whether it is one of what is allowed: the same numbers, of a volume also in the same type and place; of
    members whether each is the library's and none is lost.
    """
    if isinstance(found, tuple):
        members, left_out = found
        known = allowed[0]
        return len(known) <= len(members) + left_out and all(known.get(n) == members[n] for n in members)
    if isinstance(found, Volume):
        return any(
            _equal(found.array.squeeze(), one.array.squeeze()) and _alike(found, one) for one in allowed
        )
    return any(_equal(found, one) for one in allowed)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f" == other.dtype.kind)


def _alike(one: Volume, other: Volume) -> bool:
    if one.array.dtype.newbyteorder("=") != other.array.dtype.newbyteorder("="):
        return False
    return (
        one.affine is None
        or other.affine is None
        or np.allclose(one.affine, other.affine, rtol=1e-6, atol=1e-3)
    )
