"""MetaImage and NRRD are read as ITK reads them; one clear line for whatever is damaged or lies elsewhere."""

import gzip
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import Volume, read
from tests.cosmos1050k.bad_input import on_mutations, one_line, refused, within
from tests.cosmos1050k.itk_files import DAMAGED, DATA, GZIP, VOXELS, ZLIB, meta, meta_zlib, nrrd, written
from tests.cosmos1050k.real import real

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"]
KINDS = {".mha": "MetaImageIO", ".mhd": "MetaImageIO", ".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO"}


def by_itk(path: Path) -> tuple[np.ndarray, sitk.Image]:
    """SimpleITK's array with its axes as here, and its image."""
    image = sitk.ReadImage(str(path), imageIO=KINDS[path.suffix])
    axes = image.GetDimension()
    array = sitk.GetArrayFromImage(image)
    return array.transpose(*reversed(range(axes)), *range(axes, array.ndim)), image


def placed_as(found: Volume, image: sitk.Image) -> bool:
    """Whether indices are at ITK's points, whose first two axes run the other way."""
    for index in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (3, -2, 5)):
        more = (0,) * (image.GetDimension() - 3)
        flat = image.GetDimension() == 2
        point = image.TransformIndexToPhysicalPoint(index[:2] if flat else (*index, *more))
        x, y, z = (*point, float(index[2])) if flat else point[:3]
        if not np.allclose(found.affine @ [*index, 1], [-x, -y, z, 1], rtol=0, atol=1e-3):
            return False
    return True


@st.composite
def images(draw: st.DrawFn) -> sitk.Image:
    shape = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    vector = draw(st.sampled_from([0, 0, 2, 5])) if len(shape) < 4 else 0
    array = draw(arrays.arrays(draw(st.sampled_from(DTYPES)), [*shape, vector] if vector else shape))
    image = sitk.GetImageFromArray(array, isVector=bool(vector))
    axes = len(shape)
    image.SetSpacing(draw(st.lists(st.sampled_from([0.5, 1.0, 3.25]), min_size=axes, max_size=axes)))
    image.SetOrigin(draw(st.lists(st.integers(-99, 99), min_size=axes, max_size=axes)))
    turn = np.eye(axes)
    if axes > 2:
        signs = draw(st.lists(st.sampled_from([-1, 1]), min_size=3, max_size=3))
        turn[:3, :3] = np.diag(signs)[draw(st.permutations(range(3)))]
        if np.linalg.det(turn) < 0:
            turn[:3, 0] *= -1
    image.SetDirection(turn.ravel())
    return image


@pytest.mark.parametrize("ending", KINDS)
@pytest.mark.parametrize("compressed", [False, True])
@settings(max_examples=25)
@given(image=images())
def test_what_itk_writes_is_read_as_itk_reads_it(
    tmp_path_factory: pytest.TempPathFactory, ending: str, compressed: bool, image: sitk.Image
) -> None:
    path = tmp_path_factory.mktemp("itk") / f"a{ending}"
    sitk.WriteImage(image, str(path), useCompression=compressed)
    array, image = by_itk(path)
    if image.GetDimension() == 2:
        array = array[:, :, None]
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 4:
        for channel in range(array.shape[3]):
            found = read(path, path.name, channel)
            assert np.array_equal(found.array, array[..., channel], equal_nan=array.dtype.kind == "f")
    else:
        found = read(path, path.name)
        assert np.array_equal(found.array, array, equal_nan=array.dtype.kind == "f")
    assert found.array.dtype == array.dtype
    if ending in (".nrrd", ".nhdr") and image.GetDimension() != 3:
        assert found.affine is None  # ITK's writer then names no space
    else:
        assert placed_as(found, image)


@pytest.mark.parametrize("ending", KINDS)
def test_the_sound_files_by_hand(tmp_path: Path, ending: str) -> None:
    """In RAS+ the first two axes run backwards."""
    data = meta() if ending.startswith(".m") else nrrd()
    found = read(written(tmp_path / f"a{ending}", data), f"a{ending}")
    assert np.array_equal(found.array, VOXELS)
    assert found.array.flags.f_contiguous
    assert np.array_equal(found.affine, [[-2, 0, 0, -10], [0, -3, 0, -20], [0, 0, 4, 30], [0, 0, 0, 1]])


SAME = {
    "meta colons in values": (".mha", meta(Comment="12:30, x = 5")),
    "meta CRLF": (".mha", meta(b"").replace(b"\n", b"\r\n") + DATA),
    "meta more behind": (".mha", meta(DATA + b"more")),
    "meta lower case": (".mha", meta(ElementDataFile="local")),
    "meta big-endian": (".mha", meta(VOXELS.astype(">i2").tobytes("F"), BinaryDataByteOrderMSB="True")),
    "meta big-endian, otherwise": (
        ".mha",
        meta(VOXELS.astype(">i2").tobytes("F"), BinaryDataByteOrderMSB=None, ElementByteOrderMSB="True"),
    ),
    "meta no word on compression": (".mha", meta(CompressedData=None)),
    "meta no word on text": (".mha", meta(BinaryData=None)),
    "meta from the end": (".mha", meta(b"skipped" + DATA, HeaderSize="-1")),
    "meta behind zeros": (".mha", meta(b"", HeaderSize="400").ljust(400, b"\0") + DATA),
    "meta zlib": (".mha", meta_zlib(ZLIB)),
    "meta zlib, more behind": (".mha", meta_zlib(ZLIB + b"more")),
    "meta gzip": (".mha", meta_zlib(GZIP)),
    "meta slope": (".mha", meta(ElementToIntensityFunctionSlope="2")),
    "nrrd CRLF": (".nrrd", nrrd(b"").replace(b"\n", b"\r\n") + DATA),
    "nrrd key": (".nrrd", nrrd().replace(b"type:", b"data file:=../x.raw\nSegment0_Name:=a\ntype:")),
    "nrrd big-endian": (".nrrd", nrrd(VOXELS.astype(">i2").tobytes("F"), endian="big")),
    "nrrd from the end": (".nrrd", nrrd(b"skipped" + DATA, byte_skip="-1")),
    "nrrd no kinds": (".nrrd", nrrd(kinds=None)),
    "nrrd gzip": (".nrrd", nrrd(GZIP, encoding="gzip")),
    "nrrd gz": (".nrrd", nrrd(GZIP, encoding="gz")),
    "nrrd two members": (
        ".nrrd",
        nrrd(gzip.compress(DATA[:7]) + gzip.compress(DATA[7:]), encoding="gzip"),
    ),
    "nrrd blank voxels": (".nrrd", nrrd(b"\n" + DATA[1:])),
}  # fmt: skip


@pytest.mark.parametrize("what", SAME)
def test_each_way_to_store_them(tmp_path: Path, what: str) -> None:
    """By hand, and ITK reads the same."""
    ending, data = SAME[what]
    path = written(tmp_path / f"a{ending}", data)
    array, image = by_itk(path)
    found = read(path, path.name)
    assert found.array.dtype == np.int16
    assert found.array.dtype.isnative
    expected = np.frombuffer(b"\n" + DATA[1:], "<i2").reshape(VOXELS.shape, order="F")
    assert np.array_equal(found.array, expected if "blank" in what else VOXELS)
    assert np.array_equal(found.array, array)
    assert placed_as(found, image)


@pytest.mark.parametrize(
    ("header", "ending", "data"),
    [
        (meta(b"", ElementDataFile="a.raw"), ".raw", DATA),
        (meta(b"", ElementDataFile="a.raw", HeaderSize="5"), ".raw", b"12345" + DATA),
        (meta_zlib(b"", ElementDataFile="a.zraw", CompressedDataSize=str(len(ZLIB))), ".zraw", ZLIB),
        (nrrd(b"", data_file="a.raw"), ".raw", DATA),
        (nrrd(b"", datafile="a.raw", byteskip="-1"), ".raw", b"12345" + DATA),
        (nrrd(b"", data_file="a.raw.gz", encoding="gzip")[:-1], ".raw.gz", GZIP),
    ],
)  # fmt: skip
def test_voxels_beside_the_header(tmp_path: Path, header: bytes, ending: str, data: bytes) -> None:
    path = written(tmp_path / ("a.mhd" if header.startswith(b"Obj") else "a.nhdr"), header)
    written(tmp_path / f"a{ending}", data)
    assert np.array_equal(read(path, path.name).array, VOXELS)
    assert np.array_equal(by_itk(path)[0], VOXELS)


def test_a_link_to_the_voxels_stays_in_the_release(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside.raw", tmp_path / "release"
    (root / "case").mkdir(parents=True)
    (root / "voxels").mkdir()
    written(outside, DATA)
    written(root / "voxels/1.raw", DATA)
    path = written(root / "case/a.mhd", meta(b"", ElementDataFile="a.raw"))
    (root / "case/a.raw").symlink_to("../voxels/1.raw")
    assert np.array_equal(read(path, "case/a.mhd").array, VOXELS)
    (root / "case/a.raw").unlink()
    (root / "case/a.raw").symlink_to(outside)
    with pytest.raises(BadFile) as caught:
        read(path, "case/a.mhd")
    assert "is a link out of the release" in one_line(caught.value, "case/a.mhd").problem


def test_the_spaces_of_a_nrrd(tmp_path: Path) -> None:
    """By hand: in RAS the directions are the affine's columns; a space that names no sides places nothing."""
    affines = {}
    for number, space in enumerate(
        ["right-anterior-superior", "left-anterior-superior", "LPS", "scanner-xyz", "3D-left-handed"]
    ):
        path = written(tmp_path / f"{number}.nrrd", nrrd(space=space))
        affines[space] = read(path, path.name).affine
    ras, las, lps, *others = affines.values()
    assert np.array_equal(ras, [[2, 0, 0, 10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]])
    assert np.array_equal(las, [[-2, 0, 0, -10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]])
    assert np.array_equal(lps, [[-2, 0, 0, -10], [0, -3, 0, -20], [0, 0, 4, 30], [0, 0, 0, 1]])
    assert others == [None, None]
    plain = nrrd(space=None, space_directions=None, space_origin=None, spacings="2 3 4")
    assert read(written(tmp_path / "a.nrrd", plain), "a.nrrd").affine is None


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("kind", ["list", "vector"])
def test_the_lists_of_a_segmentation(tmp_path: Path, place: str, kind: str) -> None:
    """3D Slicer keeps overlapping segments as layers on the first axis."""
    layers = np.arange(240, dtype=np.uint8).reshape(6, 5, 4, 2)
    order = (3, 0, 1, 2) if place == "first" else (0, 1, 2, 3)
    words = [f"{kind}", *["domain"] * 3] if place == "first" else [*["domain"] * 3, kind]
    steps = ["(2,0,0)", "(0,3,0)", "(0,0,4)"]
    data = nrrd(
        layers.transpose(order).tobytes("F"), type="uchar", dimension="4", kinds=" ".join(words),
        sizes="2 6 5 4" if place == "first" else "6 5 4 2",
        space_directions=" ".join(["none", *steps] if place == "first" else [*steps, "none"]),
    )  # fmt: skip
    path = written(tmp_path / "a.seg.nrrd", data)
    for layer in (0, 1):
        found = read(path, path.name, layer)
        assert np.array_equal(found.array, layers[..., layer])
        assert np.array_equal(found.affine, [[-2, 0, 0, -10], [0, -3, 0, -20], [0, 0, 4, 30], [0, 0, 0, 1]])
    assert "expected three dimensions" in refused(path).problem


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_file_is_one_clear_line(
    tmp_path: Path, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    ending, data, message = DAMAGED[what]
    assert message in refused(written(tmp_path / f"a{ending}", data)).problem
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("what", [name for name in DAMAGED if "10^" in name or "bomb" in name])
def test_a_promise_takes_no_memory(tmp_path: Path, what: str) -> None:
    ending, data, _ = DAMAGED[what]
    path = written(tmp_path / f"a{ending}", data)
    refused(path)  # what is imported on the way doesn't count
    within(16, lambda: refused(path))


def test_a_bomb_is_read_no_further_than_promised(tmp_path: Path) -> None:
    """A gigabyte of zeros behind a header of 240 bytes: the stream is followed, nothing of it kept."""
    data = meta_zlib(zlib.compress(bytes(2**28), 9))
    path = written(tmp_path / "a.mha", data)
    read(path, path.name)
    within(16, lambda: read(path, path.name))


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_the_voxels_are_in_memory_once(tmp_path: Path, ending: str, compressed: bool) -> None:
    array = np.random.default_rng(0).integers(0, 9, (64, 128, 128)).astype(np.int16)
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path), useCompression=compressed)
    read(path, path.name)
    tracemalloc.start()
    found = read(path, path.name).array
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(found, array.transpose(2, 1, 0))
    assert peak < array.nbytes + 4 * 2**20
    assert peak < 4 * array.nbytes


SOUND = {".mha": [meta(), meta_zlib(ZLIB)], ".nrrd": [nrrd(), nrrd(GZIP, encoding="gzip")]}


def as_itk(path: Path) -> None:
    """Reads a file here and by ITK, which must not see other voxels, nor elsewhere."""
    found = read(path, path.name)
    try:
        array, image = by_itk(path)
    except RuntimeError:  # refused by ITK alone, as a gzip stream whose first bytes are odd
        return
    assert np.array_equal(found.array.squeeze(), array.squeeze())
    assert found.affine is None or placed_as(found, image)


@pytest.mark.parametrize("ending", SOUND)
def test_mutations(tmp_path: Path, ending: str) -> None:
    """Each is refused by the one error or read as ITK reads it."""
    path = tmp_path / f"a{ending}"
    count = on_mutations(SOUND[ending], lambda data: as_itk(written(path, data)))
    assert 10 < count < 60


@pytest.mark.parametrize("ending", SOUND)
def test_every_digit_of_the_header_changed(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    read_ones = 0
    for data in SOUND[ending]:
        end = data.index(b"LOCAL\n") if ending == ".mha" else data.index(b"\n\n")
        for place in range(end):
            for digit in b"0157" if data[place : place + 1].isdigit() else b"":
                changed = data[:place] + bytes([digit]) + data[place + 1 :]
                try:
                    as_itk(written(path, changed))
                    read_ones += 1
                except BadFile as error:
                    one_line(error, path.name)
    assert read_ones > 80


def test_real_nrrd_files() -> None:
    for path in real("*/data/**/*.nrrd"):
        array, image = by_itk(path)
        found = read(path, path.name)
        assert found.array.dtype == array.dtype
        assert np.array_equal(found.array, array), path.name
        assert placed_as(found, image), path.name
