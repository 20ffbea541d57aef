import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos1050k.errors import InputError
from tests.cosmos1050k import dicom_files
from tests.cosmos1050k.fuzzed import FUZZED
from tests.cosmos1050k.itk_files import meta, nrrd
from tests.cosmos1050k.mutations import mutant
from tests.cosmos1050k.nifti_files import nifti, promising
from tests.leaderboard.demo.upload_files import GRAY, VOXELS, dicom, opened_in, picture, tiff, zipped


def without_pixels(number: int) -> bytes:
    """A DICOM object of another kind, such as contours."""
    data = dicom_files.image(GRAY, SOPInstanceUID=f"2.25.{number}", Rows=None)
    del data.PixelData
    return dicom(data)


TEXT = b"patient,age\n1,50\n" * 40
SOUND = nifti(VOXELS)
SLICES = [dicom(data) for data in dicom_files.series(VOXELS.T)]

#: What is wrong → the files and what the sentence must say.
REFUSED: dict[str, tuple[dict[str, bytes], str]] = {
    "nothing": ({}, "no file was uploaded"),
    "empty": ({"a.png": b""}, "a.png: empty; upload PNG"),
    "text": ({"a.nii": TEXT}, "a.nii: text; upload PNG"),
    "pickle": ({"a.npy": pickle.dumps({"a": 1})}, "a pickled Python object"),
    "PDF": ({"a.png": b"%PDF-1.7\n" + bytes(99)}, "a PDF document"),
    "video": ({"a.mp4": b"\0\0\0\x18ftypisom" + bytes(99)}, "a video"),
    "rar": ({"a.rar": b"Rar!\x1a\7\1\0" + bytes(99)}, "a RAR archive"),
    "gzipped text": ({"a.nii.gz": gzip.compress(TEXT)}, "gzipped, but no NIfTI"),
    "noise": ({"a.dcm": bytes(range(256))}, "a.dcm: of no known kind"),
    "truncated": ({"a.png": SOUND[:-1]}, "a.png: truncated: at most"),
    "truncated gzip": ({"a.nii.gz": gzip.compress(SOUND)[:-9]}, "damaged gzip stream"),
    "truncated PNG": ({"a.png": picture(GRAY, "PNG")[:-30]}, "a.png: damaged picture"),
    "truncated DICOM": ({"a": SLICES[0][:-10]}, "a: "),
    "a truncated slice": ({"a": SLICES[0], "b": SLICES[1][:-10]}, "b: "),
    "unlike slices": (
        {"a.png": picture(GRAY, "PNG"), "b": picture(GRAY[1:], "PNG")},
        "b: a slice of shape (5, 5, 1), but a.png has (5, 6, 1)",
    ),
    "two volumes": ({"a.nii": SOUND, "b.nii": SOUND}, "one of 2 volumes; upload one at a time"),
    "segmentation": (
        {"a": dicom(dicom_files.segmentation(dicom_files.series(VOXELS.T), np.ones((7, 6, 5, 1), np.uint8)))},
        "a: a segmentation object; upload the images that it was drawn on",
    ),
    "contours": ({"a": without_pixels(1)}, "no picture in this DICOM file"),
    "contours twice": ({"a": without_pixels(1), "b": without_pixels(2)}, "not one image in 2 DICOM files"),
    "no number": ({"a.nii": nifti(np.full((4, 4, 4), np.nan, "f4"))}, "not one finite value"),
    "complex": ({"a.nii": nifti(np.zeros((4, 4, 4), "c8"))}, "voxels of type complex64"),
    "10^12 voxels": ({"a.nii": promising(10_000, 10_000, 10_000)}, "states more than 268435456 voxels"),
    "a gzipped bomb": ({"a": gzip.compress(promising(1500, 1000, 1000))}, "states more than 268435456"),
    "a MetaImage bomb": ({"a": meta(b"", DimSize="9999 9999 9999")}, "states more than 268435456"),
    "a NRRD bomb": ({"a": nrrd(b"", sizes="9999 9999 9999")}, "states more than 268435456"),
    "a PNG bomb": (
        {"a": picture(np.zeros((9000, 9000), bool), "PNG")},
        "9000 × 9000 pixels, more than 67108864",
    ),
    "a file of the machine": ({"a": meta(b"", ElementDataFile="/etc/passwd")}, "upload both files together"),
    "a file beside it": (
        {"a": meta(b"", ElementDataFile="../b.raw"), "b.raw": bytes(420)},
        "its header names '../b.raw' as the file of its voxels",
    ),
    "zip beside a file": ({"a.zip": zipped({}), "b": SOUND}, "a.zip: a zip beside other files"),
    "empty zip": ({"a.zip": zipped({})}, "a zip without a file in it"),
    "zip of text": ({"a.zip": zipped({"b/c.txt": TEXT})}, "b/c.txt: text"),
    "zip in a zip": ({"a.zip": zipped({"b": zipped({"c": SOUND})})}, "its member b is a zip too"),
    "leading out": ({"a.zip": zipped({"../b.nii": SOUND})}, "its member '../b.nii' leads out of the archive"),
    "absolute": ({"a.zip": zipped({"/etc/b.nii": SOUND})}, "leads out of the archive"),
    "truncated zip": ({"a.zip": zipped({"b.nii": SOUND})[:-30]}, "a.zip: a damaged or truncated zip"),
}  # fmt: skip


@pytest.mark.parametrize("what", list(REFUSED))
def test_what_cannot_be_opened_is_explained_in_a_sentence(tmp_path: Path, what: str) -> None:
    files, said = REFUSED[what]
    with pytest.raises(InputError) as raised:
        opened_in(tmp_path / "upload", files)
    assert said in str(raised.value)
    assert_a_sentence(raised.value, tmp_path)


def assert_a_sentence(error: InputError, folder: Path) -> None:
    text = str(error)
    assert text.isprintable()
    assert len(text) < 500
    for word in ("Traceback", str(folder), "fetch", "release"):
        assert word not in text


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.nii").write_bytes(SOUND)
    data = bytearray(zipped({"b.nii": SOUND}))
    data[6] |= 1  # the flag of the member itself, and that of the directory at the end
    data[data.rindex(b"PK\1\2") + 8] |= 1
    with pytest.raises(InputError, match=r"a\.zip: encrypted; unpack it and upload what is in it"):
        opened_in(tmp_path / "upload", {"a.zip": bytes(data)})


def test_limits_count_before_anything_is_read(tmp_path: Path) -> None:
    bytes_needed = VOXELS.size * 8
    for files in (
        {"a": SOUND}, {"a": gzip.compress(SOUND)}, {"a": tiff(VOXELS.T)},
        {"a": dicom(dicom_files.image(VOXELS.T.copy()))},
        {str(number): data for number, data in enumerate(SLICES)},
        {str(number): picture(GRAY, "PNG") for number in range(7)},
    ):  # fmt: skip
        assert opened_in(tmp_path / "upload", files, most_bytes=bytes_needed).volume.array.size == VOXELS.size
        with pytest.raises(InputError, match="header states more than 209 voxels"):
            opened_in(tmp_path / "upload", files, most_bytes=bytes_needed - 1)
    packed = {"a.zip": zipped({"b": SOUND})}
    with pytest.raises(InputError, match="bytes unpacked, more than"):
        opened_in(tmp_path / "upload", packed, most_bytes=len(SOUND) - 1)


# Anything at all


@pytest.mark.parametrize("kind", [kind for kind in FUZZED if kind != "rle" and kind[:10] != "archive .t"])
def test_damaged_files_give_a_study_or_a_sentence(kind: str, tmp_path: Path) -> None:
    sound, generator = FUZZED[kind].sound(), np.random.default_rng(3)
    for _ in range(25):
        opened_or_refused(tmp_path, mutant(sound, generator))


#: How files of each kind begin.
STARTS = (
    b"", b"\x1f\x8b\x08", b"\x89PNG\r\n\x1a\n", b"II*\0", b"BM", b"NRRD0004\n", b"NDims = 3\n", b"PK\3\4",
    b"\x5c\1\0\0", b"\0\0\2\x1c", bytes(128) + b"DICM", b"\xff\xd8\xff", b"GIF89a",
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(STARTS), st.binary(max_size=700))
def test_any_bytes_give_a_study_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes
) -> None:
    opened_or_refused(tmp_path_factory.getbasetemp(), {"a": start + rest})


def opened_or_refused(folder: Path, files: dict[str, bytes]) -> None:
    try:
        study = opened_in(folder / "upload", files)
    except InputError as error:
        assert_a_sentence(error, folder)
        return
    for plane in study.planes:
        shown = study.picture(plane, study.depth(plane) // 2)
        assert (shown.dtype, shown.shape[:2]) == (np.uint8, study.size(plane))
