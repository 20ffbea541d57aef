"""One DICOM file as a volume: its frames as slices, in real-world values, with the geometry it states.

MONOCHROME1, where low values are bright, is inverted (full range − value) before it is rescaled: a row is to
look as a radiologist sees it.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import UID, SegmentationStorage

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, Volume, geometry, refuse_size
from cosmos1050k.readers.dicom_header import damaged, numbers, planes, read_dataset
from cosmos1050k.readers.dicom_pixels import stored_pixels
from cosmos1050k.readers.voxels import truncated

#: No codec here makes more bytes of one, but for frames that are blank throughout.
_MOST_EXPANSION = 1032
#: Of bits or fractions, and of label maps, which pydicom has no name for yet.
SEGMENTATIONS = (SegmentationStorage, "1.2.840.10008.5.1.4.1.1.66.7")


@dataclass(frozen=True)
class _Layout:
    """What the header states: frames, rows, columns, samples; rescaling; where the frames lie together."""

    shape: tuple[int, int, int, int]
    slope: float
    intercept: float
    affine: NDArray[np.float64] | None


def read(path: Path, name: str) -> Volume:
    """The frames as slices, in their stored order, integral where slope and intercept are, else float64.

    The affine is that of the first and last frame, as in `geometry.stacked`; None where the file doesn't
    place its frames in the patient (X-ray, ultrasound), or they don't form one stack.

    Raises:
        BadFile: not DICOM, no picture, a segmentation object, truncated, damaged, coded in a way that can't be
            read, scaled differently from frame to frame, or larger than `MAX_BYTES`.
    """
    header = read_dataset(path, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layout = _layout(header, path.stat().st_size, name)
            pixels = stored_pixels(header, name)
            if header.PhotometricInterpretation == "MONOCHROME1":
                pixels = _full_range(header)[0] + _full_range(header)[1] - pixels
            pixels = _rescaled(pixels, layout, *_full_range(header))
    except BadFile:
        raise
    except Exception as error:
        raise damaged(name, error) from error
    if pixels.ndim == 4:
        return Volume(pixels.transpose(2, 1, 0, 3), layout.affine, colour=True)
    return Volume(pixels.transpose(2, 1, 0), layout.affine)


def _layout(header: pydicom.Dataset, held: int, name: str) -> _Layout:
    """The header, checked before any pixel is decoded."""
    if header.get("SOPClassUID") in SEGMENTATIONS:
        raise BadFile(name, "a segmentation object", "name the segment to read")
    if not header.get("Rows") or not header.get("Columns") or "PixelData" not in header:
        raise BadFile(name, "no picture in this DICOM file", "give the file of an image")
    frames, samples = int(header.get("NumberOfFrames") or 1), int(header.SamplesPerPixel)
    bits = int(header.BitsAllocated)
    if samples not in (1, 3) or bits not in (8, 16, 32):
        raise BadFile(name, f"{samples} samples of {bits} bits per pixel", "give a gray or RGB image")
    shape = (frames, int(header.Rows), int(header.Columns), samples)
    slope, intercept = _rescaling(header, name)
    refuse_size(name, shape, bits // 8 if slope.is_integer() and intercept.is_integer() else 8)
    stored = int(np.prod(shape, dtype=object)) * bits // 8
    if UID(header.file_meta.TransferSyntaxUID).is_encapsulated:
        held *= _MOST_EXPANSION
    elif header.PhotometricInterpretation == "YBR_FULL_422":
        stored = stored * 2 // 3
    if stored > held:
        raise truncated(name, f"at most {held}", stored)
    found = planes(header, frames)
    return _Layout(shape, slope, intercept, None if found is None else _together(found))


def _rescaling(header: pydicom.Dataset, name: str) -> tuple[float, float]:
    """Slope and intercept, which must be the same for every frame."""
    groups = [
        *(header.get("SharedFunctionalGroupsSequence") or []),
        *(header.get("PerFrameFunctionalGroupsSequence") or []),
    ]
    scaled = [
        group.PixelValueTransformationSequence[0]
        for group in groups
        if group.get("PixelValueTransformationSequence")
    ]
    pairs = set()
    for fields in scaled or [header]:
        slope, intercept = numbers(fields, "RescaleSlope", 1), numbers(fields, "RescaleIntercept", 1)
        pairs.add(
            (1.0 if slope is None else float(slope[0]), 0.0 if intercept is None else float(intercept[0]))
        )
    if len(pairs) > 1:
        raise BadFile(name, "frames scaled differently", "give one file per frame")
    slope, intercept = pairs.pop()
    if not np.isfinite([slope, intercept]).all() or slope == 0:
        raise ValueError(f"slope {slope} and intercept {intercept}")
    return slope, intercept


def _full_range(header: pydicom.Dataset) -> tuple[int, int]:
    """The lowest and the highest value that the stored bits can hold."""
    bits = int(header.BitsStored)
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if header.PixelRepresentation else (0, (1 << bits) - 1)


def _rescaled(pixels: NDArray[np.generic], layout: _Layout, lowest: int, highest: int) -> NDArray[np.generic]:
    """In the smallest integral type that holds every value the bits can give, as ITK has it; else in float64."""
    slope, intercept = layout.slope, layout.intercept
    if (slope, intercept) == (1, 0):
        return pixels
    ends = (lowest * slope + intercept, highest * slope + intercept)
    kinds = (np.uint8, np.uint16, np.uint32) if min(ends) >= 0 else (np.int8, np.int16, np.int32)
    if slope.is_integer() and intercept.is_integer():
        for kind in kinds:
            if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
                return pixels.astype(kind) * kind(slope) + kind(intercept)
    return pixels.astype(np.float64) * slope + intercept


def _together(found: list[NDArray[np.float64]]) -> NDArray[np.float64] | None:
    if not all(geometry.parallel(found[0], plane) for plane in found[1:]):
        return None
    return geometry.stacked(found[0], np.array([plane[:3, 3] for plane in found]))
