"""One segment of a DICOM segmentation object, on the grid of the image it was drawn on."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from highdicom.seg import Segmentation, SegmentationTypeValues
from numpy.typing import NDArray

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, Volume
from cosmos1050k.readers.dicom import SEGMENTATIONS
from cosmos1050k.readers.dicom_header import damaged, planes, read_dataset
from cosmos1050k.readers.dicom_pixels import checked_frames, refuse_promise

#: How much a pixel's side may differ from the image's, in pixels, and how far a frame's corner may lie from
#: the centre of a pixel of the image.
_SAME_SIZE, _SAME_PLACE = 1e-2, 0.2
_OTHER_GRID = "give the image that it was drawn on"


def read_segment(path: Path, name: str, segment: int, image: Volume) -> Volume:
    """The voxels of a segment as 1, all others as 0, in the order of the image's own axes.

    Frames that the object leaves out are background. A fraction counts from one half. Of a label map the
    segment is the voxels of its number.

    Args:
        segment: its number in the object, from 1.
        image: of any container, if it has an affine; without one (X-ray) a single frame of the object's size.

    Raises:
        BadFile: no such object, damaged, without this segment, or one that doesn't lie on the image's grid.
    """
    header = read_dataset(path, name)
    array = np.zeros(image.array.shape[:3], np.uint8, order="F")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if header.get("SOPClassUID") not in SEGMENTATIONS:
                raise BadFile(name, "not a DICOM segmentation object", "give one, or name no segment")
            shape = (int(header.NumberOfFrames), int(header.Rows), int(header.Columns), 1)
            refuse_promise(header, shape, int(header.BitsAllocated), name)
            checked_frames(header, name)
            for frame, affine in _frames(header, segment, image, name):
                _draw(array, frame, affine, image, name)
    except (BadFile, MemoryError):
        raise
    except Exception as error:
        raise damaged(name, error) from error
    return Volume(array, image.affine)


def _frames(
    header: pydicom.Dataset, segment: int, image: Volume, name: str
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.float64] | None]]:
    """The segment's pixels in each of its frames, rows × columns, and the frame's affine."""
    seg = Segmentation.from_dataset(header, copy=False)
    if segment not in seg.segment_numbers:
        known = ", ".join(map(str, seg.segment_numbers))
        raise BadFile(name, f"no segment {segment}; it has {known}", "name one of these")
    indices = _indices(header, segment, seg.segmentation_type, name)
    found = planes(header, indices)
    if found is None and image.affine is not None:
        raise BadFile(name, "frames without a place in the patient", _OTHER_GRID)
    for number, index in enumerate(indices):
        pixels = seg.get_stored_frame(index, as_index=True)
        if seg.segmentation_type == SegmentationTypeValues.LABELMAP:
            chosen = pixels == segment
        elif seg.segmentation_type == SegmentationTypeValues.FRACTIONAL:
            chosen = pixels.astype(np.int64) * 2 >= int(header.MaximumFractionalValue)
        else:
            chosen = pixels != 0
        yield chosen, None if found is None else found[number]


def _indices(header: pydicom.Dataset, segment: int, kind: SegmentationTypeValues, name: str) -> list[int]:
    """The frames, from 0, in which the segment may have pixels."""
    count = int(header.NumberOfFrames)
    if kind == SegmentationTypeValues.LABELMAP:
        return list(range(count))
    groups = header.get("PerFrameFunctionalGroupsSequence") or []
    if len(groups) != count:
        raise BadFile(name, f"{count} frames, but {len(groups)} are described", AGAIN)
    shared = (header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    numbers = [
        (group.get("SegmentIdentificationSequence") or shared.SegmentIdentificationSequence)[0]
        for group in groups
    ]
    return [index for index, fields in enumerate(numbers) if fields.ReferencedSegmentNumber == segment]


def _draw(
    array: NDArray[np.uint8],
    frame: NDArray[np.bool_],
    affine: NDArray[np.float64] | None,
    image: Volume,
    name: str,
) -> None:
    """Sets the voxels of the array at which a frame has pixels."""
    height, width = frame.shape
    if image.affine is None or affine is None:
        if image.affine is not None or array.shape != (width, height, 1):
            raise BadFile(
                name, "its image has no place in the patient, nor one frame of its size", _OTHER_GRID
            )
        to_image = np.eye(4)
    else:
        to_image = np.linalg.inv(image.affine) @ affine
    steps, start = np.rint(to_image[:3, :2]), np.rint(to_image[:3, 3])
    corners = np.array([[0, width - 1, 0, width - 1], [0, 0, height - 1, height - 1]])
    off = to_image[:3, :2] @ corners + to_image[:3, 3:] - (steps @ corners + start[:, None])
    aligned = np.array_equal(steps.T @ steps, np.eye(2)) and np.abs(steps).max() == 1
    if not aligned or np.abs(to_image[:3, :2] - steps).max() > _SAME_SIZE or np.abs(off).max() > _SAME_PLACE:
        raise BadFile(name, "does not lie on the grid of its image", _OTHER_GRID)
    rows, columns = np.nonzero(frame)
    places = (steps @ np.array([columns, rows]) + start[:, None]).astype(np.int64)
    if places.size and ((places < 0).any() or (places.max(axis=1) >= array.shape).any()):
        raise BadFile(name, "reaches out of its image", _OTHER_GRID)
    array[tuple(places)] = 1
