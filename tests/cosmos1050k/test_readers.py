"""The reader gives nibabel's arrays, and one clear line for whatever is no volume."""

import gzip
import importlib.util
import os
import pickle
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.readers import Volume, read
from tests.cosmos1050k.nifti_files import AFFINE, DAMAGED, DAMAGED_GZ, SOUND, changed, header_of, nifti
from tests.cosmos1050k.real import real

DTYPES = ["u1", "i2", "u2", "i4", "f4", "f8", "i1", "u4", "i8", "u8"]


@contextmanager
def file(data: bytes, ending: str = ".nii") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{ending}"
        path.write_bytes(data)
        yield path


def by_nibabel(path: Path) -> Volume:
    image: Any = nib.load(path)
    array = np.asanyarray(image.dataobj)
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return Volume(array, image.affine)


def same(found: Volume, expected: Volume) -> bool:
    return (
        found.array.dtype == expected.array.dtype
        and np.array_equal(found.array, expected.array, equal_nan=found.array.dtype.kind == "f")
        and found.affine.dtype == np.float64
        and np.array_equal(found.affine, expected.affine)
    )


def refused(path: Path, root: Path | None = None) -> BadFile:
    """The one error, checked to be one line that names the file and a remedy, and to survive pickling."""
    root = root or path.parent
    name = str(path.relative_to(root))
    with pytest.raises(BadFile) as caught:
        read(root, name)
    error = caught.value
    assert isinstance(error, InputError)
    assert error.file == name
    assert str(error) == f"{name}: {error.problem}; {error.remedy}"
    assert "\n" not in str(error)
    assert len(error.problem) > 5
    assert len(error.remedy) > 5
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is BadFile
    assert (str(again), again.file, again.problem, again.remedy) == (
        str(error), error.file, error.problem, error.remedy
    )  # fmt: skip
    return error


@st.composite
def volumes(draw: st.DrawFn) -> tuple[bytes, str]:
    """A file of any sound kind, and the ending of its name."""
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3)) + draw(st.sampled_from([(), (1,), (1, 1)]))
    array = draw(arrays.arrays(draw(st.sampled_from(DTYPES)), shape))
    scaling = draw(
        st.sampled_from([None, None, (1.0, 0.0), (2.0, 0.0), (0.5, -1024.0), (0.0, 5.0), (1.0, 3.0)])
    )
    turn = draw(st.permutations(range(3)))
    affine = np.eye(4)
    affine[:3, :3] = np.diag(draw(st.tuples(*[st.sampled_from([-3.0, 0.7, 1.0])] * 3)))[turn]
    affine[:3, 3] = draw(st.tuples(*[st.integers(-200, 200)] * 3))
    data = nifti(
        array,
        affine,
        version=draw(st.sampled_from([1, 2])),
        order=draw(st.sampled_from("<>")),
        scaling=scaling,
        extension=draw(st.sampled_from([b"", b"", b"a note", b"x" * 5000])),
    )
    members = draw(st.integers(0, 3))
    if not members:
        return data, draw(st.sampled_from([".nii", ".NII"]))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), min_size=members - 1, max_size=members - 1)))
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return b"".join(map(gzip.compress, parts)) + bytes(draw(st.sampled_from([0, 0, 7]))), ".nii.gz"


@given(volumes())
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_any_volume_is_nibabels(written: tuple[bytes, str]) -> None:
    with file(*written) as path:
        assert same(read(path.parent, path.name), by_nibabel(path))


def test_the_files_of_the_test_above_differ_in_what_they_should() -> None:
    plain = np.zeros((2, 3, 4), np.int16)
    assert header_of(nifti(plain, version=2))["sizeof_hdr"] == 540
    assert nifti(plain, order=">")[:4] == (348).to_bytes(4, "big")
    assert header_of(nifti(plain, scaling=(0.5, -1024))).get_slope_inter() == (0.5, -1024)
    assert header_of(nifti(plain)).get_slope_inter() in ((None, None), (1.0, 0.0))
    assert header_of(nifti(plain, extension=b"x" * 5000))["vox_offset"] > 5000
    assert header_of(nifti(plain[..., None])).get_data_shape() == (2, 3, 4, 1)


@pytest.mark.parametrize("form", ["sform", "qform", "neither"])
def test_each_way_to_state_the_affine(form: str) -> None:
    codes = {"sform": (2, 1), "qform": (0, 1), "neither": (0, 0)}[form]
    # a rotation, so that a quaternion can state it, unlike the sform beside it
    header = nib.Nifti1Header()
    turned = np.array([[0, -2.0, 0, 5], [2.0, 0, 0, -7], [0, 0, 3, 9], [0, 0, 0, 1]])
    header.set_qform(turned)
    fields = {name: header[name] for name in ("quatern_b", "quatern_c", "quatern_d", "pixdim")}
    fields |= {f"qoffset_{axis}": header[f"qoffset_{axis}"] for axis in "xyz"}
    data = changed(SOUND, **fields, sform_code=codes[0], qform_code=codes[1])
    with file(data) as path:
        found = read(path.parent, path.name)
        assert same(found, by_nibabel(path))
    if form != "neither":
        assert np.allclose(found.affine, AFFINE if form == "sform" else turned, atol=1e-6)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_the_voxels_are_a_view_of_the_one_buffer(ending: str) -> None:
    """In Fortran order as stored, and at no time in memory twice."""
    array = np.random.default_rng(0).integers(0, 4000, (128, 128, 128)).astype(np.int16)
    data = nifti(array)
    with file(gzip.compress(data, 1) if ending == ".nii.gz" else data, ending) as path:
        read(path.parent, path.name)  # what is imported or cached on the way doesn't count
        tracemalloc.start()
        found = read(path.parent, path.name).array
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert np.array_equal(found, array)
    assert found.flags.f_contiguous
    assert not found.flags.owndata
    assert not found.flags.writeable
    assert peak < len(data) + 3 * 2**20  # igzip's input and its chunks
    assert peak < 2 * len(data)


def test_bytes_behind_the_voxels_are_ignored_as_nibabel_does() -> None:
    for data, ending in ((SOUND + b"more", ".nii"), (gzip.compress(SOUND + bytes(2_000_000)), ".nii.gz")):
        with file(data, ending) as path:
            assert same(read(path.parent, path.name), by_nibabel(path))


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_file_is_one_clear_line(what: str) -> None:
    data, message = DAMAGED[what]
    with file(data) as path:
        assert message in refused(path).problem


@pytest.mark.parametrize("what", DAMAGED_GZ)
def test_a_damaged_gzip_file_is_one_clear_line(what: str) -> None:
    data, message = DAMAGED_GZ[what]
    with file(data, ".nii.gz") as path:
        assert message in refused(path).problem


@pytest.mark.parametrize("what", [name for name in DAMAGED if "10^" in name])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_promise_takes_no_memory(what: str, ending: str) -> None:
    data, _ = DAMAGED[what]
    with file(gzip.compress(data) if ending == ".nii.gz" else data, ending) as path:
        refused(path)
        tracemalloc.start()
        refused(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 * 2**20


def test_every_bit_of_a_gzip_body_counts() -> None:
    """A flipped bit is noticed, or it is one that says nothing: zlib then gives the same bytes."""
    data = gzip.compress(SOUND, mtime=0)
    idle = 0
    with file(data, ".nii.gz") as path:
        sound = read(path.parent, path.name)
        for place in range(10, len(data)):
            flipped = bytearray(data)
            flipped[place] ^= 1 << place % 8
            path.write_bytes(flipped)
            try:
                found = read(path.parent, path.name)
            except BadFile:
                continue
            idle += 1
            assert gzip.decompress(flipped) == SOUND
            assert same(found, sound)
    assert idle < len(data) / 20


def test_a_missing_file(tmp_path: Path) -> None:
    assert "put the file there" in refused(tmp_path / "absent.nii.gz").remedy
    assert refused(tmp_path / "no/such/folder.nii", tmp_path).problem == f"not in {tmp_path}"


def test_a_folder_with_the_files_name(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").mkdir()
    (tmp_path / "b.nii").mkdir()
    assert "directory" in refused(tmp_path / "a.nii.gz").problem
    assert "directory" in refused(tmp_path / "b.nii").problem


def test_a_file_in_a_folders_place(tmp_path: Path) -> None:
    (tmp_path / "case").write_text("")
    assert "irectory" in refused(tmp_path / "case/a.nii", tmp_path).problem


def test_an_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(SOUND)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        error = refused(path)
    finally:
        os.seteuid(user)
    assert (error.problem, error.remedy) == ("not readable", "change its permissions")


@pytest.mark.parametrize("name", ["a.txt", "a.nii.zip", "a", "nii", "a.gz"])
def test_an_unknown_ending(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(SOUND)
    error = refused(tmp_path / name)
    assert (error.problem, error.remedy) == ("not a container that can be read", "known are .nii, .nii.gz")


def mutated(random: np.random.Generator) -> bytes:
    """A sound file of either version and order with one to four bytes, most of the header, changed."""
    version, order = int(random.integers(1, 3)), "<>"[int(random.integers(2))]
    array = random.integers(0, 100, (4, 3, 5)).astype(random.choice(["u1", "i2", "f4"]))
    data = bytearray(nifti(array, version=version, order=order))
    for _ in range(random.integers(1, 5)):
        place = int(random.integers(len(data) if random.random() < 0.2 else 348))
        data[place] = random.choice([0, 1, 0x7F, 0x80, 0xFF, int(random.integers(256))])
    if random.random() < 0.2:
        del data[int(random.integers(len(data))) :]
    return bytes(data)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_three_hundred_mutations() -> None:
    """Each is refused by the one error or read as nibabel reads it; some of either."""
    random = np.random.default_rng(1050)
    accepted = 0
    for number in range(300):
        data, ending = mutated(random), ".nii"
        if number % 2:
            data, ending = gzip.compress(data, 1), ".nii.gz"
        with file(data, ending) as path:
            try:
                found = read(path.parent, path.name)
            except BadFile:
                refused(path)
            else:
                accepted += 1
                assert same(found, by_nibabel(path)), number
    assert 30 < accepted < 270


def test_the_template_that_nilearn_ships() -> None:
    package = importlib.util.find_spec("nilearn")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "datasets" / "data"
    name = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    found = read(folder, name)
    assert found.array.shape == (197, 233, 189)
    assert same(found, by_nibabel(folder / name))


def test_real_volumes() -> None:
    """Owners' own files: every one is nibabel's, or has four dimensions and is refused."""
    read_ones = 0
    for path in real("**/*.nii.gz"):
        if by_nibabel(path).array.ndim > 3:
            assert "expected three dimensions" in refused(path).problem
        else:
            assert same(read(path.parent, path.name), by_nibabel(path)), path.name
            read_ones += 1
    assert read_ones
