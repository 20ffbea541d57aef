"""What each container's own library reads from a raw file, as the pictures a row could show."""

import gzip
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
import tifffile
from PIL import Image

#: How a radiologist sees a RAS+ volume: the patient's right on the left, anterior or superior up.
PLANES = {
    "transverse": (2, lambda plane: plane[::-1, ::-1].T),
    "coronal": (1, lambda plane: plane[::-1, ::-1].T),
    "sagittal": (0, lambda plane: plane[::-1, ::-1].T),
}


@lru_cache(maxsize=8)
def loaded(path: Path) -> tuple[list[np.ndarray], np.ndarray | None]:
    """The arrays of a file (one, or one per volume of a 4D file), axes as stored, and the RAS+ affine."""
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        image = nib.load(path)
        array = np.asanyarray(image.dataobj)
        volumes = [array] if array.ndim < 4 else [array[..., place] for place in range(array.shape[3])]
        return volumes, image.affine
    if name.endswith((".mhd", ".mha", ".nrrd", ".nhdr", ".hdr")):
        image = sitk.ReadImage(path)
        array = sitk.GetArrayFromImage(image).T
        if array.ndim != 3:
            return [array], None
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
        affine[:3, 3] = image.GetOrigin()
        return [array], np.diag([-1, -1, 1, 1]) @ affine  # ITK's axes run to the left and to posterior
    if name.endswith(".dcm"):
        file = pydicom.dcmread(path)
        return [file.pixel_array, pydicom.pixels.apply_modality_lut(file.pixel_array, file)], None
    if name.endswith((".tif", ".tiff")):
        array = tifffile.imread(path)
        if array.shape[2:] == (2,):  # shown as red and green
            array = np.pad(array, ((0, 0), (0, 0), (0, 1)))
        return [array], None
    with gzip.open(path) if name.endswith(".gz") else path.open("rb") as file, Image.open(file) as picture:
        return [np.asarray(picture)], None


def displayed(path: Path, view: str) -> Iterator[np.ndarray]:
    """Every slice of a volume in an anatomical plane, by its affine, as it is displayed."""
    volumes, affine = loaded(path)
    axis, turned = PLANES[view]
    for volume in volumes:
        canonical = nib.as_closest_canonical(nib.Nifti1Image(volume, affine, dtype=volume.dtype))
        for plane in np.moveaxis(np.asanyarray(canonical.dataobj), axis, 0):
            yield turned(plane)


def stored(path: Path, index: int) -> Iterator[np.ndarray]:
    """The picture, page or slice `index` of a file along any axis, however it is turned."""
    for whole in loaded(path)[0]:
        array = np.squeeze(whole)
        if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)):
            yield from _turned(array[..., :3] if array.ndim == 3 else array)
        if array.ndim == 3:
            for axis in range(3):
                if 0 <= index < array.shape[axis]:
                    yield from _turned(np.take(array, index, axis))
            for plane in np.moveaxis(array, 2, 0) if index < 0 else ():  # a picture's channels
                yield from _turned(plane)


def _turned(picture: np.ndarray) -> Iterator[np.ndarray]:
    for quarter in range(4):
        yield np.rot90(picture, quarter)
        yield np.rot90(picture.swapaxes(0, 1), quarter)


def holds(picture: np.ndarray, values: np.ndarray) -> bool:
    """Whether `values` are the picture, or a tile of it."""
    if picture.shape == values.shape:
        return np.array_equal(picture, values, equal_nan=True)
    if picture.ndim != values.ndim or any(a < b for a, b in zip(picture.shape, values.shape, strict=True)):
        return False
    height, width = values.shape[:2]
    starts = (picture == values[0, 0]) if picture.ndim == 2 else (picture == values[0, 0]).all(axis=-1)
    return any(np.array_equal(picture[y : y + height, x : x + width], values) for y, x in np.argwhere(starts))
