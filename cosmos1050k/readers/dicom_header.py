"""A DICOM file as pydicom parses it, and where it says that its frames lie."""

import mmap
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, MAX_BYTES, geometry
from cosmos1050k.readers.messages import shown

# Odd values of fields that nothing here asks for are no reason to complain.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


def read_dataset(path: Path, name: str) -> pydicom.Dataset:
    """All fields, the pixels undecoded.

    Raises:
        BadFile: not DICOM, larger than `MAX_BYTES`, truncated within a field, or damaged.
    """
    if not 0 < (size := path.stat().st_size) <= MAX_BYTES:
        raise BadFile(name, f"a DICOM file of {size} bytes", AGAIN)
    # A mapped file gives no more bytes than it has, whatever length a field claims.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pydicom.filereader.read_preamble(mapped, force=False)  # type: ignore[arg-type]
                meta = pydicom.filereader._read_file_meta_info(mapped)  # type: ignore[arg-type]
                if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                    raise BadFile(name, "a deflated DICOM file", "save it without deflate")
                mapped.seek(0)
                return pydicom.dcmread(mapped)  # type: ignore[arg-type]
        except (BadFile, OSError, MemoryError):
            raise
        except InvalidDicomError:
            raise BadFile(name, "not a DICOM file", AGAIN) from None
        except Exception as error:
            raise damaged(name, error) from error


def damaged(name: str, error: Exception) -> BadFile:
    return BadFile(name, f"damaged DICOM file ({shown(error)})", AGAIN)


def planes(header: pydicom.Dataset, frames: Sequence[int]) -> list[NDArray[np.float64]] | None:
    """The affine of each of these frames as a slice of its own; None where the file doesn't place them all.

    The step to the next slice is the distance or thickness that is stated, else 1 mm.

    Args:
        frames: indices of frames, from 0.
    """
    groups = header.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        plane = _plane(header, header, header) if list(frames) == [0] else None
        return None if plane is None else [plane]
    shared = (header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    found = []
    for frame in frames:
        if frame >= len(groups):
            return None
        place, turn, size = (
            (groups[frame].get(field) or shared.get(field) or [None])[0]
            for field in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
        )
        if (plane := _plane(place, turn, size)) is None:
            return None
        found.append(plane)
    return found


def _plane(
    place: pydicom.Dataset | None, turn: pydicom.Dataset | None, size: pydicom.Dataset | None
) -> NDArray[np.float64] | None:
    """One slice, from the data sets that hold its position, its orientation and its pixels' size."""
    origin = numbers(place, "ImagePositionPatient", 3)
    cosines = numbers(turn, "ImageOrientationPatient", 6)
    spacing = numbers(size, "PixelSpacing", 2)
    if origin is None or cosines is None or spacing is None:
        return None
    thickness = numbers(size, "SpacingBetweenSlices", 1)
    if thickness is None or not thickness[0] > 0:
        thickness = numbers(size, "SliceThickness", 1)
    if thickness is None or not thickness[0] > 0:
        thickness = np.ones(1)
    with np.errstate(all="ignore"):
        along_row, down_column = (part / np.linalg.norm(part) for part in (cosines[:3], cosines[3:]))
        across = np.cross(along_row, down_column)
        steps = np.column_stack([along_row * spacing[1], down_column * spacing[0], across * thickness[0]])
    affine = geometry.from_lps(steps, origin)
    if not geometry.spans(affine):
        raise ValueError("its position, orientation and spacing span no space")
    return affine


def numbers(fields: pydicom.Dataset | None, keyword: str, count: int) -> NDArray[np.float64] | None:
    """So many numbers of a field; None where it is absent or empty.

    Raises:
        ValueError: it has another count.
    """
    value = None if fields is None else fields.get(keyword)
    if value is None or value == "" or (hasattr(value, "__len__") and not len(value)):
        return None
    found = np.atleast_1d(np.array(value, np.float64))
    if found.shape != (count,):
        raise ValueError(f"{keyword} has {found.size} numbers, expected {count}")
    return found
