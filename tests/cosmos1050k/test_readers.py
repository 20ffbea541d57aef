"""The reader gives nibabel's arrays, and one clear line for whatever is no volume."""

import gzip
import importlib.util
import os
import subprocess
import sys
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

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import CONTAINERS, Volume, read
from tests.conftest import ROOT
from tests.cosmos1050k.bad_input import one_line
from tests.cosmos1050k.nifti_files import AFFINE, DAMAGED, DAMAGED_GZ, SOUND, changed, header_of, nifti
from tests.cosmos1050k.real import real

DTYPES = ["u1", "i2", "u2", "i4", "f4", "f8", "i1", "u4", "i8", "u8"]


@contextmanager
def file(data: bytes, ending: str = ".nii") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{ending}"
        path.write_bytes(data)
        yield path


def refused(path: Path, root: Path | None = None, channel: int | None = None) -> BadFile:
    name = str(path.relative_to(root or path.parent))
    with pytest.raises(BadFile) as caught:
        read(path, name, channel)
    return one_line(caught.value, name)


def by_nibabel(path: Path) -> Volume:
    image: Any = nib.load(path)
    array = np.asanyarray(image.dataobj)
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    affine = image.affine
    if array.ndim == 2:
        array = array[:, :, None]
    if array.shape[2] == 1 and not affine[:3, 2].any():  # 1 mm along the normal
        affine[:3, 2] = np.cross(affine[:3, 0], affine[:3, 1])
        affine[:3, 2] /= np.linalg.norm(affine[:3, 2])
    return Volume(array, affine)


def same(found: Volume, expected: Volume) -> bool:
    return (
        found.array.dtype == expected.array.dtype
        and np.array_equal(found.array, expected.array, equal_nan=found.array.dtype.kind == "f")
        and found.affine.dtype == np.float64
        and np.array_equal(found.affine, expected.affine)
    )


@st.composite
def volumes(draw: st.DrawFn) -> tuple[bytes, str]:
    """A file of any sound kind, and the ending of its name."""
    axes = draw(st.sampled_from([2, 3, 3, 3]))
    more = draw(st.sampled_from([(), (1,), (1, 1)])) if axes == 3 else ()
    shape = draw(st.tuples(*[st.integers(1, 6)] * axes)) + more
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
        assert same(read(path, path.name), by_nibabel(path))


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
        found = read(path, path.name)
        assert same(found, by_nibabel(path))
    if form != "neither":
        assert np.allclose(found.affine, AFFINE if form == "sform" else turned, atol=1e-6)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_the_voxels_are_a_view_of_the_one_buffer(ending: str) -> None:
    """In Fortran order as stored, and at no time in memory twice."""
    array = np.random.default_rng(0).integers(0, 4000, (128, 128, 128)).astype(np.int16)
    data = nifti(array)
    with file(gzip.compress(data, 1) if ending == ".nii.gz" else data, ending) as path:
        read(path, path.name)  # what is imported or cached on the way doesn't count
        tracemalloc.start()
        found = read(path, path.name).array
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
            assert same(read(path, path.name), by_nibabel(path))


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
        sound = read(path, path.name)
        for place in range(10, len(data)):
            flipped = bytearray(data)
            flipped[place] ^= 1 << place % 8
            path.write_bytes(flipped)
            try:
                found = read(path, path.name)
            except BadFile:
                continue
            idle += 1
            assert gzip.decompress(flipped) == SOUND
            assert same(found, sound)
    assert idle < len(data) / 20


def test_a_missing_file(tmp_path: Path) -> None:
    assert "put the file there" in refused(tmp_path / "absent.nii.gz").remedy
    assert refused(tmp_path / "no/such/folder.nii", tmp_path).problem == f"not in {tmp_path / 'no/such'}"


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
    assert error.problem == "not a container that can be read"
    assert error.remedy == f"known are {', '.join(CONTAINERS)}"


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
def test_sixty_mutations() -> None:
    """Each is refused by the one error or read as nibabel reads it; some of either."""
    random = np.random.default_rng(1050)
    accepted = 0
    for number in range(60):
        data, ending = mutated(random), ".nii"
        if number % 2:
            data, ending = gzip.compress(data, 1), ".nii.gz"
        with file(data, ending) as path:
            try:
                found = read(path, path.name)
            except BadFile:
                refused(path)
            else:
                accepted += 1
                assert same(found, by_nibabel(path)), number
    assert 6 < accepted < 54


def test_the_template_that_nilearn_ships() -> None:
    package = importlib.util.find_spec("nilearn")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "datasets" / "data"
    name = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    found = read(folder / name, name)
    assert found.array.shape == (197, 233, 189)
    assert same(found, by_nibabel(folder / name))


@pytest.mark.parametrize("count", [2, 3])
def test_each_volume_of_a_4d_file(count: int) -> None:
    array = np.random.default_rng(4).integers(-9, 9, (4, 3, 5, count)).astype(np.int16)
    with file(gzip.compress(nifti(array)), ".nii.gz") as path:
        for channel in range(count):
            found = read(path, path.name, channel)
            assert same(found, Volume(array[..., channel], by_nibabel(path).affine)), channel
        assert refused(path, channel=count).problem == f"{count} volumes, but number {count} is wanted"
        problem = f"a volume of shape (4, 3, 5, {count}), expected three dimensions"
        assert refused(path).problem == problem


def test_a_3d_file_is_its_own_only_volume() -> None:
    with file(SOUND) as path:
        assert same(read(path, path.name, 0), by_nibabel(path))
        assert refused(path, channel=1).problem == "one volume, but number 1 is wanted"


def test_a_2d_file_is_one_slice() -> None:
    array = np.arange(30, dtype=np.uint8).reshape(6, 5)
    flat = np.diag([2.0, 3.0, 0.0, 1.0])  # as writers of 2D files leave the third axis
    with file(changed(nifti(array), srow_x=flat[0], srow_y=flat[1], srow_z=flat[2])) as path:
        found = read(path, path.name)
    assert found.array.shape == (6, 5, 1)
    assert np.array_equal(found.array[:, :, 0], array)
    assert np.array_equal(found.affine, np.diag([2.0, 3.0, 1.0, 1.0]))


def test_nothing_else_is_imported_for_it(tmp_path: Path) -> None:
    """The other containers' libraries take longer to import than a small volume to read."""
    (tmp_path / "a.nii").write_bytes(SOUND)
    code = (
        "import sys; from pathlib import Path; from cosmos1050k.readers import read; "
        "read(Path(sys.argv[1]), 'a.nii'); "
        "sys.exit(', '.join({'SimpleITK', 'highdicom', 'tifffile', 'cv2'} & set(sys.modules)) or 0)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.nii")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_real_volumes() -> None:
    """Owners' own files: every volume is nibabel's; one of four dimensions is read one by one."""
    read_ones, apart = 0, 0
    for path in real("**/*.nii.gz"):
        whole = by_nibabel(path)
        if whole.array.ndim == 4:
            for channel in (0, whole.array.shape[3] - 1):
                one = Volume(whole.array[..., channel], whole.affine)
                assert same(read(path, path.name, channel), one), path.name
            apart += 1
        elif whole.array.ndim > 4:
            assert "expected two to four dimensions" in refused(path).problem
        else:
            assert same(read(path, path.name), whole), path.name
            read_ones += 1
    assert read_ones
    assert apart
