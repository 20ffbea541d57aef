"""Writers of the owners' containers; equal arguments give equal bytes."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
import tifffile
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
    generate_uid,
)

#: The first bytes of what macOS keeps of a file beside it, in an archive named `._<file>`.
_APPLE_DOUBLE = bytes.fromhex("00051607 00020000") + b"Mac OS X".ljust(16) + bytes(32)


def nifti(path: Path, array: NDArray[np.generic], affine: NDArray[np.float64]) -> None:
    """A .nii or .nii.gz of the array's own type, unscaled.

    Args:
        array: (i, j, k) or (i, j, k, t).
        affine: 4×4, index → RAS+ mm.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine, dtype=array.dtype)
    image.header.set_slope_inter(1, 0)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def metaimage(
    path: Path,
    array: NDArray[np.generic],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1),
    compressed: bool = False,
) -> None:
    """A .mhd and its .raw or, compressed, .zraw; or whatever else SimpleITK writes under the name.

    Args:
        array: (i, j, k).
        origin, direction: in ITK's frame, whose axes run to the patient's left, to posterior and up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    sitk.WriteImage(image, path, useCompression=compressed)


def picture(path: Path, array: NDArray[np.generic], **options: object) -> NDArray[np.generic]:
    """A PNG, JPEG, BMP, GIF, PPM or TIFF by Pillow; returns what Pillow reads back.

    Args:
        array: H×W of bool, uint8 or uint16, or H×W×3 or ×4 of uint8.
        options: of Pillow's writer, such as `quality`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    with Image.open(path) as again:
        return np.asarray(again)


def resource_fork(path: Path) -> None:
    """What macOS leaves in an archive beside a file: `._<name>`, no file of its kind."""
    (path.parent / f"._{path.name}").write_bytes(_APPLE_DOUBLE)


def tiff(path: Path, array: NDArray[np.generic], **options: object) -> None:
    """A TIFF by tifffile: one page, or as many as the array's first axis is long if it has three.

    Args:
        array: H×W or k×H×W; H×W×c where `photometric` or `planarconfig` says so.
        options: of tifffile's writer, such as `compression`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, **{"photometric": "minisblack", **options})


def dicom(path: Path, pixels: NDArray[np.generic], uid: str, jpeg: bytes = b"", **tags: object) -> Dataset:
    """One DICOM image of gray pixels, explicit VR, little endian; returns what was written.

    Args:
        pixels: H×W of uint8, uint16 or int16.
        uid: of the instance; study and series are `tags`.
        jpeg: the pixels as a JPEG, which is stored in their place.
        tags: further elements, by keyword.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    bits = 8 * pixels.dtype.itemsize
    file = Dataset()
    file.SOPClassUID = SecondaryCaptureImageStorage
    file.SOPInstanceUID = uid
    file.Rows, file.Columns = pixels.shape
    file.BitsAllocated = file.BitsStored = bits
    file.HighBit, file.SamplesPerPixel = bits - 1, 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    file.PhotometricInterpretation = "MONOCHROME2"
    for keyword, value in tags.items():
        setattr(file, keyword, value)
    file.PixelData = encapsulate([jpeg]) if jpeg else pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    file["PixelData"].VR = "OB" if jpeg or bits == 8 else "OW"
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID
    file.file_meta.MediaStorageSOPInstanceUID = uid
    file.save_as(path, enforce_file_format=True)
    return file


def uid(*parts: object) -> str:
    """A DICOM identifier; equal parts give equal ones."""
    return str(generate_uid(entropy_srcs=[repr(parts)]))


def analyze(path: Path, array: NDArray[np.generic], spacing: tuple[float, float, float]) -> None:
    """An Analyze 7.5 pair, .hdr and .img, whose header says nothing of directions.

    Args:
        array: (i, j, k) or (i, j, k, 1) of uint8, int16 or float32.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.AnalyzeImage(array, None)
    image.header.set_data_dtype(array.dtype)
    image.header.set_zooms((*spacing, 1.0)[: array.ndim])
    nib.save(image, path)


def slicer(
    path: Path,
    array: NDArray[np.uint8],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
) -> None:
    """A .seg.nrrd as 3D Slicer saves layers: four axes, of which the first, the layers, has the length 1.

    Args:
        array: (i, j, k), axes to the patient's left, to posterior and up.
        origin: in the same frame.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    steps = " ".join(str(tuple(map(float, row))).replace(" ", "") for row in np.diag(spacing))
    header = (
        "NRRD0004",
        "type: unsigned char",
        "dimension: 4",
        "space: left-posterior-superior",
        f"sizes: 1 {' '.join(map(str, array.shape))}",
        f"space directions: none {steps}",
        "kinds: list domain domain domain",
        "encoding: gzip",
        f"space origin: {str(tuple(map(float, origin))).replace(' ', '')}",
        "Segment0_LabelValue:=1",
        "Segment0_Layer:=0",
        f"Segment0_Name:={path.name.partition('.')[0]}",
    )
    voxels = gzip.compress(array.tobytes(order="F"), mtime=0)
    path.write_bytes("\n".join((*header, "", "")).encode() + voxels)


def gzipped(path: Path) -> Path:
    """Puts `<name>.gz` in a file's place, as gzip does; returns its path."""
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    path.unlink()
    return packed


def series(
    folder: Path,
    values: NDArray[np.generic],
    names: Sequence[str],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    kind: str,
    **tags: object,
) -> list[Path]:
    """A folder of DICOM slices without anybody's name; returns the path of each.

    Args:
        values: transverse slices from the lowest up × rows × columns.
        names: of the files, without their ending, slice by slice.
        spacing: millimetres along columns, rows and slices.
        origin: of the lowest slice, in DICOM's frame.
        kind: the SOP class.
    """
    paths = [folder / f"{name}.dcm" for name in names]
    for level, (path, plane) in enumerate(zip(paths, values, strict=True)):
        dicom(
            path,
            plane,
            uid(tags, level, plane.tobytes()),
            SOPClassUID=kind,
            PixelSpacing=[spacing[1], spacing[0]],
            SliceThickness=spacing[2],
            ImagePositionPatient=[*origin[:2], origin[2] + level * spacing[2]],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            InstanceNumber=len(values) - level,
            **tags,
        )
    return paths
