"""A DICOM file has GDCM's values and the place that it states; one clear line for whatever is damaged."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydicom import uid
from pydicom.data import DATA_ROOT

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import Volume, read
from tests.cosmos1050k.bad_input import refused
from tests.cosmos1050k.dicom_files import CODECS, OBLIQUE, PIXELS, image, multiframe, placed, saved, scaled
from tests.cosmos1050k.real import real

XRAY = uid.DigitalXRayImageStorageForPresentation
#: pydicom's own test files that GDCM reads wrongly: colours of more than 8 bits in run lengths, numbers of 32
#: bits whose highest byte is first, doses of one frame; and one for which it takes 1.4 GB.
NOT_AS_GDCM = {
    "SC_rgb_jpeg.dcm",
    "SC_rgb_rle_16bit.dcm", "SC_rgb_rle_16bit_2frame.dcm", "SC_rgb_rle_32bit.dcm",
    "SC_rgb_rle_32bit_2frame.dcm", "rtdose_expb.dcm", "rtdose_1frame.dcm", "rtdose_expb_1frame.dcm",
    "rtdose_rle_1frame.dcm",
}  # fmt: skip
#: One whose header states 14 bits where its code has 16: the numbers are GDCM's, the type is narrower.
NARROWER = {"693_J2KI.dcm"}


@pytest.fixture(autouse=True)
def _no_words(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing is written to the standard error, by Python or by a codec."""
    yield
    assert capfd.readouterr().err == ""


def rows(volume: Volume) -> np.ndarray:
    """Frames × rows × columns, as DICOM has them."""
    return volume.array.transpose(2, 1, 0, *range(3, volume.array.ndim))


def by_gdcm(path: Path) -> sitk.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sitk.ReadImage(str(path), imageIO="GDCMImageIO")


def by_pydicom(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(path)
        pixels = data.pixel_array
    return pixels * float(data.get("RescaleSlope", 1)) + float(data.get("RescaleIntercept", 0))


def test_the_files_of_pydicom(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Plain, run lengths, JPEG of 8 and 12 bits, lossless, JPEG-LS, JPEG 2000; gray, RGB, YBR, palette."""
    syntaxes, equal = set(), 0
    for path in sorted((Path(DATA_ROOT) / "test_files").glob("*.dcm")):
        link = tmp_path / "a.dcm"
        link.unlink(missing_ok=True)
        link.symlink_to(path)
        try:
            found = read(link, link.name)
        except BadFile:
            refused(link)
            continue
        if path.name in NOT_AS_GDCM:
            expected = by_pydicom(path)
            assert np.array_equal(rows(found).ravel(), expected.ravel()), path.name
        else:
            expected = sitk.GetArrayFromImage(by_gdcm(path))
            assert np.array_equal(rows(found), expected), path.name
            assert (found.array.dtype == expected.dtype) != (path.name in NARROWER), path.name
        assert found.colour == (expected.shape[-1] == 3)
        syntaxes.add(str(pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID")))
        equal += 1
    assert equal >= 50
    assert len(syntaxes) >= 10
    capfd.readouterr()  # what GDCM says for itself


@st.composite
def stored(draw: st.DrawFn) -> pydicom.Dataset:
    """A gray image of any kind, its numbers within the stated bits."""
    dtype = np.dtype(draw(st.sampled_from(["u1", "u2", "i2"])))
    bits = draw(st.integers(8 if dtype.itemsize == 1 else 9, dtype.itemsize * 8))
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if dtype.kind == "i" else (0, (1 << bits) - 1)
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 5)))
    pixels = draw(arrays.arrays(dtype, shape, elements=st.integers(low, high)))
    fields = {}
    if draw(st.booleans()):
        fields["RescaleSlope"] = draw(st.sampled_from([1, 2, -1, 0.5]))
        fields["RescaleIntercept"] = draw(st.sampled_from([0, -1024, 7, 0.25]))
    whole = bits == dtype.itemsize * 8 or dtype.kind == "u"  # GDCM refuses others
    if whole and draw(st.booleans()):
        fields["PhotometricInterpretation"] = "MONOCHROME1"
    syntax = draw(st.sampled_from([uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian]))
    return image(pixels, bits=bits, syntax=syntax, **fields)


@settings(max_examples=100)
@given(stored())
def test_any_gray_image_is_gdcms(tmp_path_factory: pytest.TempPathFactory, data: pydicom.Dataset) -> None:
    path = saved(data, tmp_path_factory.mktemp("dicom") / "a.dcm")
    found, expected = read(path, path.name), sitk.GetArrayFromImage(by_gdcm(path))
    assert np.array_equal(rows(found), expected)
    assert found.array.dtype == expected.dtype
    assert found.affine is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [[0, 1], [100, 4095]]),
        ({"RescaleSlope": 2, "RescaleIntercept": -5}, [[-5, -3], [195, 8185]]),
        ({"RescaleSlope": 0.5, "RescaleIntercept": 1}, [[1, 1.5], [51, 2048.5]]),
        ({"PhotometricInterpretation": "MONOCHROME1"}, [[4095, 4094], [3995, 0]]),
        (
            {"PhotometricInterpretation": "MONOCHROME1", "RescaleSlope": 1, "RescaleIntercept": -1000},
            [[3095, 3094], [2995, -1000]],
        ),
    ],
)
def test_values_by_hand(tmp_path: Path, fields: dict[str, object], expected: list[list[float]]) -> None:
    """Twelve bits: bright is high, whichever way it is stored."""
    data = image(np.array([[0, 1], [100, 4095]], np.uint16), bits=12, storage=XRAY, **fields)
    path = saved(data, tmp_path / "a.dcm")
    assert rows(read(path, path.name))[0].tolist() == expected


def test_an_inverted_image_of_signed_numbers(tmp_path: Path) -> None:
    pixels = np.array([[-2048, 0, 2047]], np.int16)
    data = image(pixels, bits=12, PhotometricInterpretation="MONOCHROME1")
    path = saved(data, tmp_path / "a.dcm")
    assert rows(read(path, path.name)).tolist() == [[[2047, -1, -2048]]]


@pytest.mark.parametrize("codec", [*CODECS, "run lengths"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_frames_that_imagecodecs_coded(tmp_path: Path, codec: str, dtype: str) -> None:
    """Without loss: what was coded comes back, from each frame."""
    random = np.random.default_rng(3)
    frames = random.integers(0, 256, (3, 33, 40)).cumsum(axis=2).astype(dtype)
    if codec == "run lengths":
        data = image(frames, storage=uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage)
        data.compress(uid.RLELossless, generate_instance_uid=False)
    else:
        syntax, encode = CODECS[codec]
        data = image(frames, syntax=syntax, coded=[encode(np.ascontiguousarray(frame)) for frame in frames])
    path = saved(data, tmp_path / "a.dcm")
    assert np.array_equal(rows(read(path, path.name)), frames)


def test_colours(tmp_path: Path) -> None:
    """Ultrasound: frames become slices, the colours come last, whichever plane they were stored in."""
    frames = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    for planar in (0, 1):
        pixels = frames if planar == 0 else frames.transpose(0, 3, 1, 2)
        data = image(frames, storage=uid.UltrasoundMultiFrameImageStorage, PlanarConfiguration=planar)
        data.PixelData = pixels.tobytes()
        path = saved(data, tmp_path / "a.dcm")
        found = read(path, path.name)
        assert found.colour
        assert found.affine is None
        assert found.array.shape == (4, 3, 2, 3)
        assert np.array_equal(rows(found), frames)


@pytest.mark.parametrize("thickness", [2.0, None])
def test_the_place_of_a_slice(tmp_path: Path, thickness: float | None) -> None:
    """By hand, at an angle; a step along the slice normal is its thickness, 1 mm where none is stated."""
    path = saved(image(PIXELS, **placed((10, 20, 30), OBLIQUE, thickness)), tmp_path / "a.dcm")
    found = read(path, path.name)
    assert found.array.shape == (5, 6, 1)
    # 0.75 mm along a row, 0.5 mm down a column; normal = row × column = (−0.6, 0.8, 0)
    k = thickness or 1.0
    by_hand = [[-0.6, 0, 0.6 * k, -10], [-0.45, 0, -0.8 * k, -20], [0, -0.5, 0, 30], [0, 0, 0, 1]]
    assert np.allclose(found.affine, by_hand, atol=1e-12)
    itk = by_gdcm(path)
    for index in ((0, 0, 0), (3, 1, 0), (2, 5, 0)):
        x, y, z = itk.TransformIndexToPhysicalPoint(index)
        assert np.allclose(found.affine @ [*index, 1], [-x, -y, z, 1], atol=1e-9)


def test_an_xray_has_no_place(tmp_path: Path) -> None:
    """The pixels of its detector have a size, and the patient stands anywhere before it."""
    data = image(PIXELS, storage=XRAY, ImagerPixelSpacing=[0.1, 0.1], PatientOrientation=["L", "F"])
    path = saved(data, tmp_path / "a.dcm")
    assert read(path, path.name).affine is None


STACKS = {
    "up": ([(10, 20, 30), (10, 20, 34), (10, 20, 38)], (0, 0, 4)),
    "down": ([(10, 20, 38), (10, 20, 34), (10, 20, 30)], (0, 0, -4)),
    "uneven": ([(10, 20, 30), (10, 20, 31), (10, 20, 40)], (0, 0, 5)),
    "tilted": ([(10, 20, 30), (10, 21, 34), (10, 22, 38)], (0, -1, 4)),
    "back and forth": ([(10, 20, 30), (10, 20, 38), (10, 20, 34)], None),
    "a film": ([(10, 20, 30)] * 3, None),
    "one without": ([(10, 20, 30), (10, 20, 34)], None),
}


@pytest.mark.parametrize("what", STACKS)
def test_the_place_of_many_frames(tmp_path: Path, what: str) -> None:
    """The frames stay in their order, whatever it is; the affine is right for the first and the last."""
    places, step = STACKS[what]
    frames = np.stack([PIXELS, PIXELS + 1, PIXELS + 2])
    path = saved(multiframe(frames, places), tmp_path / "a.dcm")
    found = read(path, path.name)
    assert np.array_equal(rows(found), frames)
    if step is None:
        assert found.affine is None
    else:
        x, y, z = places[0]
        by_hand = np.array([[-0.75, 0, 0, -x], [0, -0.5, 0, -y], [0, 0, 0, z], [0, 0, 0, 1]])
        by_hand[:3, 2] = step
        assert np.allclose(found.affine, by_hand, atol=1e-12)


def test_frames_turned_against_each_other_have_no_place(tmp_path: Path) -> None:
    data = multiframe(np.stack([PIXELS, PIXELS]), [(0, 0, 0), (0, 0, 4)])
    turn = pydicom.Dataset()
    turn.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    data.PerFrameFunctionalGroupsSequence[1].PlaneOrientationSequence = [turn]
    path = saved(data, tmp_path / "a.dcm")
    assert read(path, path.name).affine is None


def test_the_scale_of_many_frames(tmp_path: Path) -> None:
    frames = np.stack([PIXELS, PIXELS + 1])
    data = multiframe(frames, [(0, 0, 0), (0, 0, 4)])
    groups = data.PerFrameFunctionalGroupsSequence
    for group in groups:
        group.PixelValueTransformationSequence = scaled(3, -7).PixelValueTransformationSequence
    path = saved(data, tmp_path / "a.dcm")
    assert np.array_equal(rows(read(path, path.name)), frames.astype(int) * 3 - 7)
    groups[1].PixelValueTransformationSequence = scaled(2, -7).PixelValueTransformationSequence
    saved(data, path)
    assert refused(path).problem == "frames scaled differently"


def test_real_files() -> None:
    """A CT of three slices, and enhanced objects on whose grid their owners' NRRD label maps lie."""
    for path in real("dicom_seg_dcmqi/data/segmentations/ct-3slice/*.dcm"):
        found, itk = read(path, path.name), by_gdcm(path)
        assert np.array_equal(rows(found), sitk.GetArrayFromImage(itk))
        x, y, z = itk.TransformIndexToPhysicalPoint((100, 7, 0))
        assert np.allclose(found.affine @ [100, 7, 0, 1], [-x, -y, z, 1], atol=1e-6)
    for path in real("dicom_seg_dcmqi/data/segmentations/*/multiframe/mf.dcm"):
        found = read(path, path.name)
        assert np.array_equal(rows(found), pydicom.dcmread(path).pixel_array)
        label = read(path.parents[1] / "nrrd/label.nrrd", "label.nrrd")
        assert label.array.shape == found.array.shape
        assert np.allclose(label.affine, found.affine, atol=1e-4)
