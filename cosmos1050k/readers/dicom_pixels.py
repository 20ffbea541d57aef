"""The stored pixels of a DICOM file: those coded as JPEG or JPEG 2000 by GDCM, all others by pydicom.

Decoders take a frame's size from its code, and GDCM parses a file with no bound on memory. So a frame must
have the size that the header states, and GDCM is given a file made here of frames and what decoding needs.
"""

import math
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import JPEGLSTransferSyntaxes, RLELossless

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, by_simpleitk
from cosmos1050k.readers.voxels import truncated

#: Coded frames give more bytes for each only if they are blank, and few of those are as large as this.
_MOST_EXPANSION, _HARMLESS_BYTES = 1032, 2**26
#: What a decoder needs to know.
_NEEDED = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
)  # fmt: skip
#: How JPEG and JPEG-LS begin; behind a size marker stand bits, height, width and number of samples.
_JPEG, _JPEG_SIZE = b"\xff\xd8", struct.Struct(">xxBHHB")
_JPEG_STARTS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
#: JPEG 2000's first two markers, and behind them right, bottom, left, top, the tiles, samples, bits − 1.
_JPEG_2000, _JPEG_2000_SIZE = b"\xff\x4f\xff\x51", struct.Struct(">xxxxIIIIxxxxxxxxxxxxxxxxHB")


def refuse_promise(header: pydicom.Dataset, shape: Sequence[int], bits: int, name: str) -> None:
    """Refuses a header that states more pixels than the file can hold, before memory is taken for them.

    Args:
        shape: frames × rows × columns × samples.
        bits: of one sample.

    Raises:
        BadFile: it does.
    """
    stated, held = math.prod(shape) * bits // 8, len(header.PixelData)
    if header.file_meta.TransferSyntaxUID.is_encapsulated:
        held = max(held * _MOST_EXPANSION, _HARMLESS_BYTES)
    elif header.PhotometricInterpretation == "YBR_FULL_422":
        stated = stated * 2 // 3
    if stated > held:
        raise truncated(name, f"at most {held}", stated)


def stored_pixels(header: pydicom.Dataset, name: str) -> NDArray[np.integer]:
    """Frames × rows × columns, × 3 where they are colours: RGB, and those of a palette in 8 bits.

    Args:
        header: the whole data set, its pixels among it.

    Raises:
        BadFile: a frame is damaged, missing, or not of the size that the header states.
        Exception: pydicom's, of any kind, where fields are missing or contradict each other.
    """
    syntax = header.file_meta.TransferSyntaxUID
    gray = int(header.SamplesPerPixel) == 1
    frames = checked_frames(header, name)
    pixels: NDArray[Any]
    if frames is None or syntax in JPEGLSTransferSyntaxes:  # GDCM crashes on some damaged JPEG-LS
        pixels, _ = get_decoder(syntax).as_array(header)
    else:
        pixels = _by_gdcm(header, frames, name)
    shape = (
        int(header.get("NumberOfFrames") or 1),
        int(header.Rows),
        int(header.Columns),
        *([] if gray else [3]),
    )
    if pixels.size != np.prod(shape):
        raise BadFile(name, f"decodes to {pixels.size} numbers, not a shape of {shape}", AGAIN)
    pixels = pixels.reshape(shape).astype(pixels.dtype.newbyteorder("="), copy=False)
    if header.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, header)
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
    return pixels


def checked_frames(header: pydicom.Dataset, name: str) -> list[bytes] | None:
    """The frames as they are coded; None where they are plain, or run lengths, which hold no size.

    Raises:
        BadFile: a frame is missing, or not of the size that the header states.
    """
    syntax = header.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated or syntax == RLELossless:
        return None
    count = int(header.get("NumberOfFrames") or 1)
    frames = list(generate_frames(header.PixelData, number_of_frames=count))
    stated = (int(header.Rows), int(header.Columns), int(header.SamplesPerPixel))
    if len(frames) != count:
        raise BadFile(name, f"truncated: {len(frames)} of {count} frames", AGAIN)
    for number, frame in enumerate(frames, start=1):
        size, bits = _coded(frame)
        # GDCM crashes on some frames of more bits than it knows.
        if size != stated or not 2 <= bits <= max(int(header.BitsAllocated), 8):
            problem = f"frame {number} is coded as {size} of {bits} bits, where the header states {stated}"
            raise BadFile(name, problem, AGAIN)
    return frames


def _by_gdcm(header: pydicom.Dataset, frames: list[bytes], name: str) -> NDArray[np.generic]:
    plain = pydicom.Dataset()
    for field in _NEEDED:
        if header.get(field) is not None:
            plain[field] = header[field]
    if int(header.SamplesPerPixel) == 1:
        plain.PhotometricInterpretation = "MONOCHROME2"  # inversion, palette and scale come later
    plain.SOPClassUID = pydicom.uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    plain.SOPInstanceUID = "2.25.1"
    plain.file_meta = pydicom.dataset.FileMetaDataset()
    plain.file_meta.TransferSyntaxUID = header.file_meta.TransferSyntaxUID
    plain.PixelData = encapsulate(frames, has_bot=False)
    plain["PixelData"].VR = "OB"
    plain["PixelData"].is_undefined_length = True
    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
        plain.save_as(file, enforce_file_format=True)
        file.flush()
        return by_simpleitk.pixels(Path(file.name), name, "GDCMImageIO")


def _coded(frame: bytes) -> tuple[tuple[int, int, int], int]:
    """Height, width and number of samples of a coded frame, and bits of one; zeros where it has none."""
    if frame.startswith(_JPEG_2000) and len(frame) >= 4 + _JPEG_2000_SIZE.size:
        right, bottom, left, top, samples, bits = _JPEG_2000_SIZE.unpack_from(frame, 4)
        return (bottom - top, right - left, samples), (bits & 127) + 1
    place = 2 if frame.startswith(_JPEG) else len(frame)
    while place + 2 + _JPEG_SIZE.size <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker in _JPEG_STARTS:
            bits, height, width, samples = _JPEG_SIZE.unpack_from(frame, place + 2)
            return (height, width, samples), bits
        length = int.from_bytes(frame[place + 2 : place + 4], "big")
        place += 1 if marker == 0xFF else 2 + length
    return (0, 0, 0), 0
