"""DICOM files, segmentation objects and series to mutate, and what pydicom or GDCM reads from them."""

import tempfile
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom import uid
from pydicom.pixels import apply_color_lut

from cosmos1050k.readers import Volume
from cosmos1050k.readers.dicom_seg import read_segment
from cosmos1050k.readers.stack import read_stack
from tests.cosmos1050k.dicom_files import (
    CODECS,
    PIXELS,
    SPACING,
    image,
    multiframe,
    placed,
    saved,
    segmentation,
    series,
)  # fmt: skip
from tests.cosmos1050k.fuzzed_pictures import COLOUR, turned
from tests.cosmos1050k.fuzzed_volumes import read_by_itk
from tests.cosmos1050k.mutations import Files

#: The grid of `series`, index → RAS+ mm.
GRID = np.diag([-SPACING[1], -SPACING[0], 2.5, 1])
GRID[:3, 3] = -10, 20, 30


def _dicom_bytes(data: pydicom.Dataset) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return saved(data, Path(folder) / "a.dcm").read_bytes()


def dicom_files() -> list[Files]:
    frames = np.stack([PIXELS, PIXELS[::-1]])
    data = [
        image(PIXELS, **placed((1, 2, 3)), RescaleSlope=1, RescaleIntercept=-1024),
        image(PIXELS, bits=12, PhotometricInterpretation="MONOCHROME1"),
        image(PIXELS, syntax=uid.ImplicitVRLittleEndian, RescaleSlope=0.5, RescaleIntercept=3),
        multiframe(frames, [(0, 0, 0), (0, 0, 4)]),
        image(COLOUR),
    ]
    return [{"a.dcm": _dicom_bytes(one)} for one in data]


def coded_dicom_files() -> list[Files]:
    small = PIXELS.astype(np.uint8)
    coded = [image(small, syntax=syntax, coded=[encode(small)]) for syntax, encode in CODECS.values()]
    coded.append(image(small))
    coded[-1].compress(uid.RLELossless, generate_instance_uid=False)
    return [{"a.dcm": _dicom_bytes(one)} for one in coded]


def _shown(data: pydicom.Dataset, pixels: np.ndarray) -> np.ndarray:
    """Stored pixels inverted, coloured and rescaled as the standard says."""
    if data.PhotometricInterpretation == "MONOCHROME1":
        signed = bool(data.PixelRepresentation)
        pixels = (-1 if signed else (1 << int(data.BitsStored)) - 1) - pixels.astype(np.int64)
    if data.PhotometricInterpretation == "PALETTE COLOR":
        return apply_color_lut(pixels, data)
    if int(data.SamplesPerPixel) > 1:
        return pixels
    return pixels * float(data.get("RescaleSlope", 1)) + float(data.get("RescaleIntercept", 0))


def by_pydicom(path: Path) -> list[np.ndarray]:
    data = pydicom.dcmread(path)
    return [_shown(data, data.pixel_array).squeeze()]


def by_pydicom_or_gdcm(path: Path) -> list[np.ndarray]:
    """GDCM where pydicom has no decoder; of equal code they decode the same."""
    data = pydicom.dcmread(path)
    try:
        pixels = data.pixel_array
    except RuntimeError:
        pixels = sitk.GetArrayFromImage(read_by_itk(path, "GDCMImageIO"))
    return [_shown(data, pixels).squeeze()]


def segmentation_files() -> list[Files]:
    masks = np.random.default_rng(8).integers(0, 2, (3, 6, 5, 2)).astype(np.uint8)
    source = series(np.zeros(masks.shape[:3], np.uint16))
    data = [
        segmentation(source, masks),
        segmentation(source, masks / 2, "FRACTIONAL", max_fractional_value=200),
        segmentation(source, masks[..., 0] + 2 * masks[..., 1] * (1 - masks[..., 0]), "LABELMAP"),
    ]
    return [{"a.dcm": _dicom_bytes(one)} for one in data]


def segment(path: Path) -> np.ndarray:
    return read_segment(path, path.name, 1, Volume(np.zeros((5, 6, 3), np.uint16), GRID)).array


def segment_by_pydicom(path: Path) -> list[np.ndarray]:
    """Each frame of the segment at the place that it states, on the grid of `series`."""
    data = pydicom.dcmread(path)
    pixels = data.pixel_array.reshape(-1, int(data.Rows), int(data.Columns))
    found = np.zeros((5, 6, 3), np.uint8)
    kind = data.SegmentationType
    for frame, group in zip(pixels, data.PerFrameFunctionalGroupsSequence, strict=True):
        if kind == "LABELMAP":
            frame = frame == 1
        elif group.SegmentIdentificationSequence[0].ReferencedSegmentNumber != 1:
            continue
        elif kind == "FRACTIONAL":
            frame = frame >= int(data.MaximumFractionalValue) / 2
        x, y, z = map(float, group.PlanePositionSequence[0].ImagePositionPatient)
        column, row, place = np.linalg.solve(GRID, [-x, -y, z, 1])[:3].round().astype(int)
        ys, xs = np.nonzero(frame)
        found[xs + column, ys + row, place] = 1
    return [found]


def stack_files() -> list[Files]:
    data = [_dicom_bytes(one) for one in series(np.stack([PIXELS, PIXELS[::-1], PIXELS // 2]))]
    return [{"b.dcm": data[1], "a.dcm": data[0], "c.dcm": data[2]}]


def _slices(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.dcm"))


def stacked(path: Path) -> np.ndarray:
    return turned(read_stack([(one, one.name) for one in _slices(path)], by_position=True)[0])


def stacked_by_pydicom(path: Path) -> list[np.ndarray]:
    """By the place along the slices' normal."""
    slices = [pydicom.dcmread(one) for one in _slices(path)]
    turn = np.array(slices[0].ImageOrientationPatient, float)
    across = np.cross(turn[:3] / np.linalg.norm(turn[:3]), turn[3:] / np.linalg.norm(turn[3:]))
    slices.sort(key=lambda one: float(np.dot(across, np.array(one.ImagePositionPatient, float))))
    return [np.stack([_shown(one, one.pixel_array) for one in slices])]
