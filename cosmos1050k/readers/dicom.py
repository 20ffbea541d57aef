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
from pydicom.uid import SegmentationStorage

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, Volume, geometry, refuse_size
from cosmos1050k.readers.dicom_header import damaged, numbers, planes, read_dataset
from cosmos1050k.readers.dicom_pixels import refuse_promise, stored_pixels
from cosmos1050k.readers.messages import shown

#: Of bits or fractions, and of label maps, which pydicom has no name for yet.
SEGMENTATIONS = (SegmentationStorage, "1.2.840.10008.5.1.4.1.1.66.7")

#: PhotometricInterpretation; GDCM decodes frames of any kind.
_ONE_SAMPLE = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")


@dataclass(frozen=True)
class _Layout:
    """How the header has the values scaled, and where the frames lie together."""

    slope: float
    intercept: float
    affine: NDArray[np.float64] | None


def read(path: Path, name: str) -> Volume:
    """The frames as slices, in their stored order, integral where slope and intercept are, else float64.

    The affine is that of the first and last frame, as in `geometry.stacked`; None where the file doesn't
    place its frames in the patient (X-ray, ultrasound), or they don't form one stack.

    Raises:
        BadFile: not DICOM, no picture, a segmentation object, truncated, damaged, of an unknown coding, with
            frames scaled differently, or larger than `MAX_BYTES`.
    """
    header = read_dataset(path, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layout = _layout(header, name)
            pixels = _rescaled(_as_shown(stored_pixels(header, name), header), layout, header)
    except (BadFile, MemoryError):
        raise
    except Exception as error:
        raise damaged(name, error) from error
    if pixels.ndim == 4:
        return Volume(pixels.transpose(2, 1, 0, 3), layout.affine, colour=True)
    return Volume(pixels.transpose(2, 1, 0), layout.affine)


def _layout(header: pydicom.Dataset, name: str) -> _Layout:
    """The header, checked before any pixel is decoded."""
    if header.get("SOPClassUID") in SEGMENTATIONS:
        raise BadFile(name, "a segmentation object", "name the segment to read")
    if not header.get("Rows") or not header.get("Columns") or "PixelData" not in header:
        raise BadFile(name, "no picture in this DICOM file", "give the file of an image")
    frames, samples = int(header.get("NumberOfFrames") or 1), int(header.SamplesPerPixel)
    bits = int(header.BitsAllocated)
    if samples not in (1, 3) or bits not in (8, 16, 32):
        raise BadFile(name, f"{samples} samples of {bits} bits per pixel", "give a gray or RGB image")
    if (samples == 1) != ((kind := header.PhotometricInterpretation) in _ONE_SAMPLE):
        raise BadFile(name, f"{samples} samples per pixel of the kind {shown(kind)!r}", AGAIN)
    shape = (frames, int(header.Rows), int(header.Columns), samples)
    slope, intercept = _rescaling(header, name)
    refuse_size(name, shape, bits // 8 if slope.is_integer() and intercept.is_integer() else 8)
    refuse_promise(header, shape, bits, name)
    found = planes(header, range(frames))
    return _Layout(slope, intercept, None if found is None else _together(found))


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
    pairs = {
        (_number(fields, "RescaleSlope", 1.0), _number(fields, "RescaleIntercept", 0.0))
        for fields in scaled or [header]
    }
    if len(pairs) > 1:
        raise BadFile(name, "frames scaled differently", "give one file per frame")
    slope, intercept = pairs.pop()
    if not np.isfinite([slope, intercept]).all() or slope == 0:
        raise ValueError(f"slope {slope} and intercept {intercept}")
    return slope, intercept


def _number(fields: pydicom.Dataset, keyword: str, default: float) -> float:
    found = numbers(fields, keyword, 1)
    return default if found is None else float(found[0])


def _full_range(header: pydicom.Dataset) -> tuple[int, int]:
    """The lowest and the highest value that the stored bits can hold."""
    half = 1 << (int(header.BitsStored) - 1)
    return (-half, half - 1) if header.PixelRepresentation else (0, 2 * half - 1)


def _as_shown(pixels: NDArray[np.integer], header: pydicom.Dataset) -> NDArray[np.integer]:
    if header.PhotometricInterpretation != "MONOCHROME1":
        return pixels
    return pixels.dtype.type(sum(_full_range(header))) - pixels


def _rescaled(
    pixels: NDArray[np.integer], layout: _Layout, header: pydicom.Dataset
) -> NDArray[np.integer] | NDArray[np.float64]:
    """In the smallest integral type for all that the stored bits can give, as in ITK; else in float64."""
    slope, intercept = layout.slope, layout.intercept
    if (slope, intercept) == (1, 0) or pixels.ndim == 4:
        return pixels
    if slope.is_integer() and intercept.is_integer():
        lowest, highest = _full_range(header)
        stored = (min(lowest, int(pixels.min())), max(highest, int(pixels.max())))
        ends = sorted(int(slope) * value + int(intercept) for value in stored)
        for kind in ("u1", "u2", "u4") if ends[0] >= 0 else ("i1", "i2", "i4"):
            if np.iinfo(kind).min <= ends[0] and ends[1] <= np.iinfo(kind).max:
                return pixels.astype(kind) * np.dtype(kind).type(slope) + np.dtype(kind).type(intercept)
    return pixels.astype(np.float64) * slope + intercept


def _together(found: list[NDArray[np.float64]]) -> NDArray[np.float64] | None:
    if not all(geometry.parallel(found[0], plane) for plane in found[1:]):
        return None
    return geometry.stacked(found[0], np.array([plane[:3, 3] for plane in found]))
