"""The stored pixels of a DICOM file: plain and run-length coded ones by pydicom, the JPEG family by GDCM.

GDCM parses files with no bound on memory and takes a frame's size from the frame. So it is given a file made
here: what decoding needs, the frames framed anew, and only if each has the size that the header states.
"""

import struct
import tempfile
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import RLELossless

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, by_simpleitk

#: What a decoder needs to know.
_NEEDED = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
)  # fmt: skip
#: Frames of JPEG, JPEG-LS; of those, where height, width and number of samples stand behind the marker.
_JPEG, _JPEG_SIZE = b"\xff\xd8", struct.Struct(">xxxHHB")
_JPEG_STARTS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
#: JPEG 2000's first two markers, and behind them right, bottom, left, top (tiles: 4 more), samples.
_JPEG_2000, _JPEG_2000_SIZE = b"\xff\x4f\xff\x51", struct.Struct(">xxxxIIIIxxxxxxxxxxxxxxxxH")


def stored_pixels(header: pydicom.Dataset, name: str) -> NDArray[np.generic]:
    """Frames × rows × columns, × 3 where they are colours: RGB, and those of a palette in 8 bits.

    Args:
        header: the whole data set, its pixels among it.

    Raises:
        BadFile: a frame is damaged, missing, or not of the size that the header states.
        Exception: what pydicom raises for fields that contradict each other.
    """
    syntax = header.file_meta.TransferSyntaxUID
    gray = int(header.SamplesPerPixel) == 1
    if syntax.is_encapsulated and syntax != RLELossless:
        pixels = _by_gdcm(header, name)
    else:
        pixels, _ = get_decoder(syntax).as_array(header)
    shape = (
        int(header.get("NumberOfFrames") or 1),
        int(header.Rows),
        int(header.Columns),
        *([] if gray else [3]),
    )
    if pixels.size != np.prod(shape):
        raise BadFile(name, f"decodes to {pixels.size} numbers, not a shape of {shape}", AGAIN)
    pixels = pixels.reshape(shape)
    if header.PhotometricInterpretation == "PALETTE COLOR":
        colours = apply_color_lut(pixels, header)
        pixels = colours if colours.dtype == np.uint8 else (colours >> 8).astype(np.uint8)
    return pixels


def _by_gdcm(header: pydicom.Dataset, name: str) -> NDArray[np.generic]:
    count = int(header.get("NumberOfFrames") or 1)
    frames = list(generate_frames(header.PixelData, number_of_frames=count))
    stated = (int(header.Rows), int(header.Columns), int(header.SamplesPerPixel))
    if len(frames) != count:
        raise BadFile(name, f"truncated: {len(frames)} of {count} frames", AGAIN)
    for number, frame in enumerate(frames, start=1):
        if (size := _coded_size(frame)) != stated:
            problem = f"frame {number} is coded as {size or 'nothing known'}, the header says {stated}"
            raise BadFile(name, problem, AGAIN)
    plain = pydicom.Dataset()
    for field in _NEEDED:
        if header.get(field) is not None:
            plain[field] = header[field]
    if stated[2] == 1:
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


def _coded_size(frame: bytes) -> tuple[int, int, int] | None:
    """Height, width and number of samples of a coded frame, of its first image; None where it has none."""
    if (place := frame.find(_JPEG_2000, 0, 512)) >= 0 and len(frame) >= place + 4 + _JPEG_2000_SIZE.size:
        right, bottom, left, top, samples = _JPEG_2000_SIZE.unpack_from(frame, place + 4)
        return bottom - top, right - left, samples
    place = 2 if frame.startswith(_JPEG) else len(frame)
    while place + 2 + _JPEG_SIZE.size <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker in _JPEG_STARTS:
            height, width, samples = _JPEG_SIZE.unpack_from(frame, place + 2)
            return height, width, samples
        length = int.from_bytes(frame[place + 2 : place + 4], "big")
        place += 1 if marker == 0xFF else 2 + length
    return None
