"""MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr): ITK's reading of header and geometry, one buffer of voxels.

The voxels are read here because ITK keeps them twice for a while, takes a gzip stream without its checksum,
and follows a header to any file.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, Volume, by_simpleitk, geometry, refuse_size, text_headers, voxels


def read(path: Path, name: str) -> Volume:
    """The stored voxels as a view of Fortran order.

    A 2D file is one slice. The volumes of a 4D file and the numbers of a vector are the last axis. A NRRD
    that names no space of the patient's has no affine.

    Raises:
        BadFile: truncated, damaged, a colour volume, not 2D to 4D, larger than `MAX_BYTES`, or its voxels lie
            in another file than the one of its name beside it.
    """
    nrrd = name.lower().endswith((".nrrd", ".nhdr"))
    header = text_headers.nrrd(path, name) if nrrd else text_headers.metaimage(path, name)
    if header.colour:
        raise BadFile(name, "a colour volume, expected one number per voxel", "give a gray volume")
    refuse_size(name, header.sizes, 1)
    reader = by_simpleitk.header(path, name, "NrrdImageIO" if nrrd else "MetaImageIO")
    sizes, components = list(header.sizes), 1
    if header.components is not None:
        components = sizes.pop(header.components)
    if (*reader.GetSize(), reader.GetNumberOfComponents()) != (*sizes, components):
        raise BadFile(name, "damaged header (its sizes contradict each other)", AGAIN)
    dtype = by_simpleitk.dtype_of(reader, name)
    affine = _affine(
        np.array(reader.GetDirection()), np.array(reader.GetSpacing()), np.array(reader.GetOrigin())
    )
    if header.placed and not geometry.spans(affine):
        raise BadFile(name, "the header's axes don't span the space", AGAIN)
    array = voxels.read(name, header.stored, header.sizes, dtype)
    if header.components is not None:
        array = np.moveaxis(array, header.components, -1)
        if len(sizes) < 3:
            array = array[:, :, None]
    return Volume(voxels.three_or_four(array, name), affine if header.placed else None)


def _affine(
    direction: NDArray[np.float64], spacing: NDArray[np.float64], origin: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of the first three axes; a 2D file's plane is the frame's first two axes, its slice 1 mm thick."""
    size = min(spacing.size, 3)
    steps, place = np.eye(3), np.zeros(3)
    axes = direction.reshape(spacing.size, -1) * spacing
    steps[:size, :size], place[:size] = axes[:size, :size], origin[:size]
    return geometry.from_lps(steps, place)
