"""Analyze and pairs of NIfTI files have nibabel's voxels; only the latter have a place."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from cosmos1050k.readers import read
from tests.cosmos1050k.bad_input import on_mutations, refused, within
from tests.cosmos1050k.itk_files import DATA, VOXELS, written


def analyze(path: Path, array: np.ndarray, order: str = "<") -> Path:
    header = nib.AnalyzeHeader(endianness=order)
    header.set_data_dtype(array.dtype)
    nib.save(nib.AnalyzeImage(array, None, header), path)
    return path


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 4, 1), (6, 5), (6, 5, 4, 2)])
def test_analyze_has_nibabels_voxels_and_no_place(
    tmp_path: Path, dtype: str, order: str, shape: tuple[int, ...]
) -> None:
    array = np.random.default_rng(1).integers(0, 99, shape).astype(dtype)
    path = analyze(tmp_path / "a.hdr", array, order)
    stored = np.asanyarray(nib.load(path).dataobj)
    assert np.array_equal(stored, array)
    whole = array.reshape((6, 5, -1) if len(shape) == 2 else shape)
    channels = [0, 1] if shape[3:] == (2,) else [None]
    for channel in channels:
        found = read(path, path.name, channel)
        expected = whole[..., channel] if channel is not None else whole.reshape(whole.shape[:3])
        assert found.array.dtype == np.dtype(dtype)
        assert np.array_equal(found.array, expected)
        assert found.affine is None
    if len(shape) == 3:  # ITK has the voxels in the same order, and another idea of where they are
        image = sitk.ReadImage(str(path))
        assert np.array_equal(sitk.GetArrayFromImage(image), array.T)
        assert not np.allclose(np.diag(nib.load(path).affine)[:2], [-1, -1])


def test_a_type_that_analyze_has_not_but_files_have(tmp_path: Path) -> None:
    path = analyze(tmp_path / "a.hdr", VOXELS)
    header = bytearray(path.read_bytes())
    header[70:72] = (512).to_bytes(2, "little")  # unsigned short, as in NIfTI
    found = read(written(path, bytes(header)), path.name)
    assert found.array.dtype == np.uint16
    assert np.array_equal(found.array, VOXELS)


def test_analyze_with_its_voxels_gzipped(tmp_path: Path) -> None:
    path = analyze(tmp_path / "a.hdr", VOXELS)
    written(tmp_path / "a.img.gz", gzip.compress((tmp_path / "a.img").read_bytes()))
    (tmp_path / "a.img").unlink()
    assert np.array_equal(read(path, path.name).array, VOXELS)
    written(tmp_path / "a.img.gz", gzip.compress(DATA)[:-1])
    assert "damaged compressed voxels" in refused(path).problem


@pytest.mark.parametrize("scaling", [None, (2.0, -5.0)])
def test_a_pair_of_nifti_files_has_nibabels_place(
    tmp_path: Path, scaling: tuple[float, float] | None
) -> None:
    affine = np.array([[0, -2.0, 0, 5], [1.5, 0, 0.5, -7], [0, 0, 3, 9], [0, 0, 0, 1]])
    image = nib.Nifti1Pair(VOXELS, affine)
    image.header.set_slope_inter(*(scaling or (1, 0)))
    path = tmp_path / "a.hdr"
    nib.save(image, path)
    found = read(path, path.name)
    assert np.array_equal(found.array, np.asanyarray(nib.load(path).dataobj))
    assert np.array_equal(found.affine, affine)
    assert found.array.dtype == (np.int16 if scaling is None else np.float64)


def _with(place: int, value: bytes) -> bytes:
    header = nib.AnalyzeHeader()
    header.set_data_dtype(np.int16)
    header.set_data_shape(VOXELS.shape)
    data = bytearray(header.binaryblock)
    data[place : place + len(value)] = value
    return bytes(data)


def _int16(*values: int) -> bytes:
    return np.array(values, "<i2").tobytes()


BAD_ANALYZE = {
    "empty": (b"", "not an Analyze or NIfTI header"),
    "half": (_with(0, b"")[:200], "not an Analyze or NIfTI header"),
    "text": (b"patient,age\n1,50\n" * 40, "not an Analyze or NIfTI header"),
    "magic": (_with(0, b"\0\0\0\0"), "not an Analyze or NIfTI header"),
    "type": (_with(70, _int16(77)), "damaged Analyze header"),
    "complex": (_with(70, _int16(32)), "voxels of type complex64"),
    "RGB": (_with(70, _int16(128)), "voxels of type"),
    "no voxel": (_with(40, _int16(3, 6, 0, 4)), "of shape (6, 0, 4)"),
    "negative": (_with(40, _int16(3, 6, -5, 4)), "of shape (6, -5, 4)"),
    "5D": (_with(40, _int16(5, 6, 5, 2, 1, 2)), "expected two to four dimensions"),
    "1D": (_with(40, _int16(1, 120)), "expected two to four dimensions"),
    "too many": (_with(40, _int16(3, 6, 5, 5)), "truncated: at most 240 of 300 bytes"),
    "10^13": (_with(40, _int16(3, 30000, 30000, 30000)), "bytes, more than"),
    "offset": (_with(108, np.array([8], "<f4").tobytes()), "truncated: at most 232 of 240 bytes"),
    "offset below 0": (_with(108, np.array([-8], "<f4").tobytes()), "voxels from byte -8"),
    "offset nan": (_with(108, np.array([np.nan], "<f4").tobytes()), "damaged Analyze header"),
}


@pytest.mark.parametrize("what", BAD_ANALYZE)
def test_a_damaged_analyze_header(tmp_path: Path, what: str) -> None:
    data, message = BAD_ANALYZE[what]
    written(tmp_path / "a.img", DATA)
    path = written(tmp_path / "a.hdr", data)
    assert message in refused(path).problem
    within(16, lambda: refused(path))


def test_analyze_without_its_voxels(tmp_path: Path) -> None:
    path = analyze(tmp_path / "a.hdr", VOXELS)
    (tmp_path / "a.img").unlink()
    assert refused(path).problem == "its voxel file a.img is not beside it"
    written(tmp_path / "a.img", DATA[:-1])
    assert "truncated: at most 239 of 240 bytes" in refused(path).problem


def test_analyze_mutations(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing passes but a volume and the one error, and nibabel says nothing of what it mends."""
    path, voxels = tmp_path / "a.hdr", tmp_path / "a.img"
    pair = nib.Nifti1Pair(VOXELS, np.eye(4))
    nib.save(pair, tmp_path / "b.hdr")
    written(voxels, DATA)
    assert 4 < on_mutations(
        [_with(0, b""), (tmp_path / "b.hdr").read_bytes()], lambda data: read(written(path, data), path.name)
    ) < 56  # fmt: skip
    assert not caplog.records
