"""Damaged, hostile and absurd DICOM files: one clear line each, in bounded memory, and no crash."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.encaps import generate_frames

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import read
from tests.cosmos1050k.bad_input import on_mutations, refused, within
from tests.cosmos1050k.dicom_files import CODECS, PIXELS, image, multiframe, placed, saved


@pytest.fixture(autouse=True)
def _no_words(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing is written to the standard error, by Python or by a codec."""
    yield
    assert capfd.readouterr().err == ""


def _changed(**fields: object) -> pydicom.Dataset:
    return image(PIXELS, **fields)


def _coded(
    codec: str, marker: int | None = None, place: int = 0, value: int = 0, **fields: object
) -> pydicom.Dataset:
    """An image of 8 bits; in its code one byte is another, so far behind the first of a kind of marker."""
    syntax, encode = CODECS[codec]
    code = bytearray(encode(PIXELS.astype(np.uint8)))
    if marker is not None:
        code[code.index(bytes([0xFF, marker])) + place] = value
    return image(PIXELS.astype(np.uint8), syntax=syntax, coded=[bytes(code)], **fields)


def _preset() -> pydicom.Dataset:
    """A JPEG-LS segment that has a counter reset at 1: CharLS of older versions crashes on it."""
    syntax, encode = CODECS["JPEG-LS"]
    code = encode(PIXELS.astype(np.uint8))
    scan = code.index(b"\xff\xda")
    preset = b"\xff\xf8" + struct.pack(">HBHHHHH", 13, 1, 255, 3, 7, 21, 1)
    return image(PIXELS.astype(np.uint8), syntax=syntax, coded=[code[:scan] + preset + code[scan:]])


def _bomb() -> pydicom.Dataset:
    """Code of 60 000 × 60 000 pixels in a header of 6 × 5."""
    syntax, encode = CODECS["JPEG 2000"]
    code = bytearray(encode(PIXELS.astype(np.uint8)))
    struct.pack_into(">II", code, 8, 60_000, 60_000)
    struct.pack_into(">II", code, 24, 60_000, 60_000)
    return image(PIXELS.astype(np.uint8), syntax=syntax, coded=[bytes(code)])


BAD = {
    "no pixels": (lambda: _changed(Rows=None), "no picture"),
    "rows of 0": (lambda: _changed(Rows=0), "no picture"),
    "more rows": (lambda: _changed(Rows=7), "truncated: at most 60 of 70 bytes"),
    "10^12 voxels": (
        lambda: _changed(Rows=60_000, Columns=60_000, NumberOfFrames=278), "bytes, more than"
    ),
    "10^9 voxels": (lambda: _changed(Rows=60_000, Columns=60_000), "truncated: at most 60 of 7200000000"),
    "frames below 0": (lambda: _changed(NumberOfFrames=-1), "of shape (-1, 6, 5, 1)"),
    "2 samples": (lambda: _changed(SamplesPerPixel=2), "2 samples of 16 bits"),
    "no samples": (lambda: _changed(SamplesPerPixel=None), "damaged DICOM file"),
    "12 bits packed": (lambda: _changed(BitsAllocated=12), "1 samples of 12 bits"),
    "1 bit": (lambda: _changed(BitsAllocated=1), "1 samples of 1 bits"),
    "more bits than there are": (lambda: _changed(BitsStored=40), "damaged DICOM file"),
    "no interpretation": (lambda: _changed(PhotometricInterpretation=None), "damaged DICOM file"),
    "unknown interpretation": (
        lambda: _coded("lossless JPEG", PhotometricInterpretation="MONOCHROME9"), "of the kind 'MONOCHROME9'"
    ),
    "gray of 3 samples": (
        lambda: image(np.zeros((6, 5, 3), np.uint8), PhotometricInterpretation="MONOCHROME2"),
        "3 samples per pixel of the kind 'MONOCHROME2'",
    ),
    "palette without": (lambda: _changed(PhotometricInterpretation="PALETTE COLOR"), "damaged DICOM file"),
    "slope 0": (lambda: _changed(RescaleSlope=0), "damaged DICOM file (slope 0.0"),
    "flat": (lambda: _changed(**placed((0, 0, 0), ((1, 0, 0), (1, 0, 0)))), "span no space"),
    "position short": (lambda: _changed(**placed((0, 0))), "ImagePositionPatient has 2 numbers"),
    "spacing 0": (lambda: _changed(**placed((0, 0, 0)) | {"PixelSpacing": [0, 1]}), "span no space"),
    "segmentation": (lambda: _changed(storage=uid.SegmentationStorage), "a segmentation object"),
    "report": (lambda: _changed(storage=uid.EnhancedSRStorage, Columns=None), "no picture"),
    "lossless JPEG, bits": (lambda: _coded("lossless JPEG", 0xC3, 4, 127), "of 127 bits, where the header"),
    "JPEG-LS, no start": (lambda: _coded("JPEG-LS", 0xD8, 1, 0), "frame 1 is coded as (0, 0, 0)"),
    "JPEG-LS, preset": (_preset, "damaged DICOM file"),
    "JPEG 2000, damaged": (lambda: _coded("JPEG 2000", 0x5C, 1, 0), "can't be decoded"),
    "JPEG 2000, other size": (lambda: _coded("JPEG 2000", Rows=5), "frame 1 is coded as (6, 5, 1) of 8 bits"),
    "JPEG 2000, bomb": (_bomb, "frame 1 is coded as (60000, 60000, 1)"),
    "JPEG 2000, 10^9": (lambda: _coded("JPEG 2000", Rows=60_000, Columns=60_000), "truncated: at most"),
    "JPEG 2000, frames": (lambda: _coded("JPEG 2000", NumberOfFrames=2), "truncated: 1 of 2 frames"),
    "run lengths": (
        lambda: image(PIXELS, syntax=uid.RLELossless, coded=[bytes(64)]), "damaged DICOM file"
    ),
    "run lengths, 10^9": (
        lambda: image(PIXELS, syntax=uid.RLELossless, coded=[bytes(64)], Rows=60_000, Columns=60_000),
        "truncated: at most",
    ),
    "unknown coding": (lambda: image(PIXELS, syntax=uid.HEVCMP51, coded=[bytes(64)]), "frame 1 is coded as"),
    "no coding": (lambda: image(PIXELS, syntax="1.2.3"), "damaged DICOM file"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, what: str) -> None:
    make, message = BAD[what]
    data = make()
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True, **_order(data))
    assert message in refused(tmp_path / "a.dcm").problem
    within(64, lambda: refused(tmp_path / "a.dcm"))


def _order(data: pydicom.Dataset) -> dict[str, bool]:
    private = str(data.file_meta.TransferSyntaxUID) == "1.2.3"
    return {"implicit_vr": False, "little_endian": True} if private else {}


def test_what_is_no_dicom_file(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    whole = saved(_changed(), tmp_path / "b.dcm").read_bytes()
    for data, message in (
        (b"", "a DICOM file of 0 bytes"),
        (b"patient,age\n1,50\n" * 40, "not a DICOM file"),
        (whole[:100], "not a DICOM file"),
        (whole[:128] + b"DICK" + whole[132:], "not a DICOM file"),
        (whole[:140], "no picture"),
        (whole[:400], "no picture"),
        (whole[:-1], "truncated: at most 59 of 60 bytes"),
        (whole[:-60], "truncated: at most 0 of 60 bytes"),
    ):
        path.write_bytes(data)
        assert message in refused(path).problem, message


def test_a_deflated_file_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    pixels = np.zeros((4000, 4000), np.uint16)
    path = saved(image(pixels, syntax=uid.DeflatedExplicitVRLittleEndian), tmp_path / "a.dcm")
    assert path.stat().st_size < 100_000
    assert refused(path).problem == "a deflated DICOM file"
    within(8, lambda: refused(path))


def test_a_length_that_lies_takes_no_memory(tmp_path: Path) -> None:
    """4 GB of a text field, of pixels, and of the version that the file begins with."""
    whole = saved(_changed(Manufacturer="of this", PixelPaddingValue=0), tmp_path / "b.dcm").read_bytes()
    path = tmp_path / "a.dcm"
    for tag in (b"\xe0\x7f\x10\x00OW\0\0", b"\x28\x00\x20\x01US", b"\x02\x00\x01\x00OB\0\0"):
        place = whole.index(tag) + len(tag)
        size = 4 if tag.endswith(b"\0\0") else 2
        path.write_bytes(whole[:place] + b"\xfe" + b"\xff" * (size - 1) + whole[place + size :])
        _read_or_not(path)
        within(8, lambda: _read_or_not(path))


def _read_or_not(path: Path) -> None:
    try:
        read(path, path.name)
    except BadFile:
        refused(path)


def test_a_blank_image_may_be_coded_in_few_bytes(tmp_path: Path) -> None:
    """A ratio of some thousand is no bomb if what it gives is small."""
    syntax, encode = CODECS["JPEG 2000"]
    pixels = np.zeros((1024, 1024), np.uint8)
    data = image(pixels, syntax=syntax, coded=[encode(pixels)])
    path = saved(data, tmp_path / "a.dcm")
    assert len(next(generate_frames(data.PixelData, number_of_frames=1))) < 1000
    assert not read(path, path.name).array.any()


def _sound() -> dict[str, pydicom.Dataset]:
    small = PIXELS.astype(np.uint8)
    found = {
        "plain": image(PIXELS, **placed((1, 2, 3)), RescaleSlope=1, RescaleIntercept=-1024),
        "frames": multiframe(np.stack([PIXELS, PIXELS]), [(0, 0, 0), (0, 0, 4)]),
        "colours": image(np.arange(36, dtype=np.uint8).reshape(3, 4, 3)),
        "run lengths": image(small),
    }
    found["run lengths"].compress(uid.RLELossless, generate_instance_uid=False)
    return found | {codec: _coded(codec) for codec in CODECS}


@pytest.mark.parametrize("what", ["plain", "frames", "colours", "run lengths", *CODECS])
def test_mutations(tmp_path: Path, what: str) -> None:
    """Nothing passes but a volume and the one error; a crash of a codec would end the run."""
    whole = saved(_sound()[what], tmp_path / "b.dcm").read_bytes()
    path = tmp_path / "a.dcm"
    # Of the start, which says one word, and of the end, where the pixels are.
    for kept in (132, len(whole) - 250):

        def accepts(data: bytes, kept: int = kept) -> None:
            path.write_bytes(whole[:kept] + data)
            read(path, path.name)

        assert on_mutations([whole[kept:]], accepts, examples=20) < 20
