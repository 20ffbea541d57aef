"""Small DICOM files, written by pydicom and highdicom."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sr.codedict import codes

#: A slice plane at an angle to all axes: direction along a row, down a column.
OBLIQUE = ((0.8, 0.6, 0.0), (0.0, 0.0, -1.0))
AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
SPACING = (0.5, 0.75)  # between rows, between columns
PIXELS = np.arange(6 * 5, dtype=np.uint16).reshape(6, 5) * 100
#: Syntax and coder of one frame, without loss.
CODECS = {
    "lossless JPEG": (uid.JPEGLosslessSV1, lambda frame: imagecodecs.ljpeg_encode(frame)),
    "JPEG-LS": (uid.JPEGLSLossless, lambda frame: imagecodecs.jpegls_encode(frame)),
    "JPEG 2000": (
        uid.JPEG2000Lossless,
        lambda frame: imagecodecs.jpeg2k_encode(frame, codecformat="J2K", reversible=True),
    ),
}


def image(
    pixels: np.ndarray,
    *,
    storage: str = uid.CTImageStorage,
    bits: int | None = None,
    syntax: str = uid.ExplicitVRLittleEndian,
    coded: Sequence[bytes] | None = None,
    **fields: Any,
) -> Dataset:
    """A data set of pixels frames × rows × columns (× 3), or rows × columns.

    Args:
        coded: the frames as they are to be stored, if they are coded.
        fields: further ones, or other values; None leaves one out.
    """
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.SOPClassUID = storage
    data.SOPInstanceUID = uid.generate_uid(entropy_srcs=[pixels.tobytes().hex(), repr(fields), repr(coded)])
    colour = pixels.ndim > 2 and pixels.shape[-1] == 3
    shape = pixels.shape[:-1] if colour else pixels.shape
    data.Rows, data.Columns = shape[-2:]
    if len(shape) == 3:
        data.NumberOfFrames = shape[0]
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    data.BitsAllocated = pixels.dtype.itemsize * 8
    data.BitsStored = bits or data.BitsAllocated
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    for field, value in fields.items():
        if value is None:
            delattr(data, field)
        else:
            setattr(data, field, value)
    if coded is None:
        data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        data["PixelData"].VR = "OB" if data.BitsAllocated == 8 else "OW"
    else:
        data.PixelData = encapsulate(list(coded))
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
    return data


def saved(data: Dataset, path: Path) -> Path:
    data.save_as(path, enforce_file_format=True)
    return path


def placed(
    place: Sequence[float], plane: Sequence[Sequence[float]] = AXIAL, thickness: float | None = 2.0
) -> dict[str, Any]:
    """The fields that place a slice."""
    fields = {
        "ImagePositionPatient": list(place),
        "ImageOrientationPatient": [*plane[0], *plane[1]],
        "PixelSpacing": list(SPACING),
    }
    return fields if thickness is None else fields | {"SliceThickness": thickness}


def series(
    volume: np.ndarray,
    start: Sequence[float] = (10.0, -20.0, 30.0),
    step: Sequence[float] = (0.0, 0.0, 2.5),
    plane: Sequence[Sequence[float]] = AXIAL,
    **fields: Any,
) -> list[Dataset]:
    """CT slices one after the other, of slices × rows × columns, with all fields that highdicom asks for."""
    found = []
    for number, pixels in enumerate(volume):
        place = np.array(start) + number * np.array(step)
        data = image(
            pixels, **placed(place, plane), InstanceNumber=number + 1, Modality="CT", PatientID="p",
            PatientName="p^", PatientBirthDate="", PatientSex="", StudyDate="", StudyTime="", StudyID="",
            AccessionNumber="", ReferringPhysicianName="", StudyInstanceUID="2.25.11",
            SeriesInstanceUID="2.25.12", FrameOfReferenceUID="2.25.13", PositionReferenceIndicator="",
            **fields,
        )  # fmt: skip
        data.SOPInstanceUID = f"2.25.14{number}"
        found.append(data)
    return found


def multiframe(pixels: np.ndarray, places: Sequence[Sequence[float]], **fields: Any) -> Dataset:
    """An enhanced CT object, its orientation and spacing stated once."""
    shared, groups = Dataset(), []
    turn, sizes = Dataset(), Dataset()
    turn.ImageOrientationPatient = [*AXIAL[0], *AXIAL[1]]
    sizes.PixelSpacing, sizes.SliceThickness = list(SPACING), 2.0
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [turn], [sizes]
    for place in places:
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = list(place)
        group.PlanePositionSequence = [position]
        groups.append(group)
    return image(
        pixels, storage=uid.EnhancedCTImageStorage, SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=groups, **fields,
    )  # fmt: skip


def scaled(slope: float, intercept: float) -> Dataset:
    """A functional group that holds only a rescaling."""
    group, scale = Dataset(), Dataset()
    scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = slope, intercept, "US"
    group.PixelValueTransformationSequence = [scale]
    return group


def segmentation(
    source: Sequence[Dataset], masks: np.ndarray, kind: str = "BINARY", **options: Any
) -> Dataset:
    """A DICOM-SEG object by highdicom.

    Args:
        masks: slices × rows × columns × segments of 0/1 or fractions, or slices × rows × columns of numbers.
    """
    numbers = range(1, masks.shape[3] + 1) if masks.ndim == 4 else np.unique(masks[masks > 0]).tolist()
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"organ {number}",
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number in numbers
    ]
    return hd.seg.Segmentation(
        source_images=list(source), pixel_array=masks, segmentation_type=kind, segment_descriptions=described,
        series_instance_uid="2.25.21", series_number=1, sop_instance_uid="2.25.22", instance_number=1,
        manufacturer="none", manufacturer_model_name="none", software_versions="1", device_serial_number="1",
        **options,
    )  # fmt: skip
