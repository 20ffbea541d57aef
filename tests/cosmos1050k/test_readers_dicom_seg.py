"""A segment lies where highdicom and its owner's label map have it, on the image's grid and in its order."""

from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.encaps import encapsulate

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import Volume, read
from cosmos1050k.readers.dicom_seg import read_segment
from cosmos1050k.readers.stack import read_stack
from tests.cosmos1050k.bad_input import on_mutations, one_line, within
from tests.cosmos1050k.dicom_files import AXIAL, CODECS, OBLIQUE, image, placed, saved, segmentation, series
from tests.cosmos1050k.real import real

CT = np.zeros((4, 6, 5), np.uint16)  # slices × rows × columns
MASKS = np.random.default_rng(8).integers(0, 2, (*CT.shape, 2)).astype(np.uint8)
MASKS[1, ..., 0] = 0  # highdicom leaves frames out that are empty


def volume_of(folder: Path, source: list[pydicom.Dataset]) -> Volume:
    files = [(saved(data, folder / f"{n}.dcm"), f"{n}.dcm") for n, data in enumerate(source)]
    return read_stack(files, by_position=True)[0]


def refused(path: Path, segment: int, image: Volume) -> BadFile:
    with pytest.raises(BadFile) as caught:
        read_segment(path, path.name, segment, image)
    return one_line(caught.value, path.name)


def case(
    folder: Path, kind: str = "BINARY", masks: np.ndarray = MASKS, **options: object
) -> tuple[Path, Volume]:
    """The object of some masks, and the volume that they were drawn on."""
    source = series(np.zeros(masks.shape[:3], np.uint16))
    return saved(segmentation(source, masks, kind, **options), folder / "a.dcm"), volume_of(folder, source)


def test_segments_of_bits(tmp_path: Path) -> None:
    path, image = case(tmp_path)
    assert int(pydicom.dcmread(path).NumberOfFrames) == 7  # of 2 segments × 4 slices, but for the empty one
    for segment in (1, 2):
        found = read_segment(path, path.name, segment, image)
        assert found.array.dtype == np.uint8
        assert np.array_equal(found.array, MASKS[..., segment - 1].T)
        assert np.array_equal(found.affine, image.affine)


@pytest.mark.parametrize("fractional_type", ["PROBABILITY", "OCCUPANCY"])
def test_a_fraction_counts_from_one_half(tmp_path: Path, fractional_type: str) -> None:
    """Of 200 the half is 100."""
    fractions = np.random.default_rng(9).choice([0, 0.25, 0.49, 0.5, 0.51, 1], (*CT.shape, 1))
    path, image = case(
        tmp_path, "FRACTIONAL", fractions, fractional_type=fractional_type, max_fractional_value=200
    )
    assert np.array_equal(read_segment(path, path.name, 1, image).array, (fractions[..., 0] >= 0.5).T)


@pytest.mark.parametrize("largest", [3, 300])
def test_a_label_map(tmp_path: Path, largest: int) -> None:
    """Of 8 and of 16 bits."""
    numbers = np.random.default_rng(10).integers(0, 3, CT.shape).astype(np.uint16)
    numbers[numbers == 2] = largest
    path, image = case(tmp_path, "LABELMAP", numbers)
    assert pydicom.dcmread(path).BitsAllocated == (8 if largest < 256 else 16)
    for segment in (1, largest):
        found = read_segment(path, path.name, segment, image)
        assert np.array_equal(found.array, (numbers == segment).T)
    assert refused(path, 2, image).problem == f"no segment 2; it has 1, {largest}"


@pytest.mark.parametrize("codec", ["JPEG 2000", "JPEG-LS", "run lengths"])
def test_coded_frames(tmp_path: Path, codec: str) -> None:
    path, image = case(tmp_path, "FRACTIONAL", MASKS.astype(float), max_fractional_value=255)
    data = pydicom.dcmread(path)
    if codec == "run lengths":
        data.compress(uid.RLELossless, generate_instance_uid=False)
    else:
        syntax, encode = CODECS[codec]
        data.PixelData = encapsulate([encode(np.ascontiguousarray(frame)) for frame in data.pixel_array])
        data.file_meta.TransferSyntaxUID = syntax
        data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    saved(data, path)
    for segment in (1, 2):
        found = read_segment(path, path.name, segment, image)
        assert np.array_equal(found.array, MASKS[..., segment - 1].T)


@settings(max_examples=25)
@given(
    axes=st.permutations(range(3)),
    flips=st.tuples(*[st.booleans()] * 3),
    plane=st.sampled_from([AXIAL, OBLIQUE]),
    margin=st.tuples(*[st.integers(0, 2)] * 3),
)
def test_any_order_of_the_images_axes(
    tmp_path_factory: pytest.TempPathFactory,
    axes: list[int],
    flips: tuple[bool, ...],
    plane: tuple[tuple[float, ...], ...],
    margin: tuple[int, ...],
) -> None:
    """The image as another file may hold it: axes exchanged, reversed, and more of them around the object."""
    folder = tmp_path_factory.mktemp("seg")
    source = series(CT, plane=plane, step=2.5 * np.cross(*plane))
    image = volume_of(folder, source)
    path = saved(segmentation(source, MASKS), folder / "a.dcm")
    before = np.array(margin)
    array = np.pad(MASKS[..., 0].T, [(m, 1) for m in margin])
    affine = image.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ before
    turned, columns = array.transpose(axes), affine[:, [*axes, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            turned = np.flip(turned, axis)
            columns[:3, 3] += columns[:3, axis] * (turned.shape[axis] - 1)
            columns[:3, axis] *= -1
    found = read_segment(path, path.name, 1, Volume(np.zeros(turned.shape), columns))
    assert np.array_equal(found.array, turned)


def moved(image: Volume, *, by: float = 0, scale: float = 1, turn: float = 0) -> Volume:
    """The image with its first axis elsewhere: moved by voxels, scaled, turned in the plane."""
    affine = image.affine.copy()
    affine[:3, 3] += by * affine[:3, 0]
    affine[:3, 0] *= scale
    affine[:3, 0] += turn * affine[:3, 1]
    return Volume(image.array, affine)


def test_another_grid_is_refused(tmp_path: Path) -> None:
    path, image = case(tmp_path)
    for other in (
        moved(image, by=0.5),
        moved(image, scale=1.05),
        moved(image, scale=2),
        moved(image, turn=0.1),
        Volume(image.array, image.affine @ np.diag([1, 1, 2, 1])),
    ):
        assert refused(path, 1, other).problem == "does not lie on the grid of its image"
    for by in (1, -1, 100):
        assert refused(path, 1, moved(image, by=by)).problem == "reaches out of its image"
    for nearly in (moved(image, by=0.05), moved(image, scale=1.005), moved(image, turn=0.005)):
        found = read_segment(path, path.name, 1, nearly)
        assert np.array_equal(found.array, MASKS[..., 0].T)
    empty = np.zeros_like(MASKS)
    empty[0, 2, 3] = 1  # far from the edge: whole frames may reach out where they hold nothing
    path, _ = case(tmp_path, masks=empty)
    found = read_segment(path, path.name, 1, moved(image, by=1))
    assert np.argwhere(found.array).tolist() == [[2, 2, 0]]


def test_an_image_without_a_place(tmp_path: Path) -> None:
    path, image = case(tmp_path)
    problem = "its image has no place in the patient, nor one frame of its size"
    assert refused(path, 1, Volume(image.array)).problem == problem


def test_a_real_object_on_an_xray() -> None:
    (path,) = real("dicom_seg_highdicom/data/test_files/seg_image_cr_binary.dcm")
    pixels = pydicom.dcmread(path).pixel_array
    found = read_segment(path, path.name, 1, Volume(np.zeros((16, 16, 1))))
    assert np.array_equal(found.array[:, :, 0], pixels.T)
    assert found.affine is None
    assert "no place" in refused(path, 1, Volume(np.zeros((16, 15, 1)))).problem
    assert refused(path, 1, Volume(np.zeros((16, 16, 1)), np.eye(4))).problem == (
        "frames without a place in the patient"
    )


def test_what_is_no_segment_of_it(tmp_path: Path) -> None:
    path, image = case(tmp_path)
    assert refused(path, 3, image).problem == "no segment 3; it has 1, 2"
    assert refused(tmp_path / "0.dcm", 1, image).problem == "not a DICOM segmentation object"
    whole = path.read_bytes()
    for data, message in (
        (b"", "a DICOM file of 0 bytes"),
        (whole[:100], "not a DICOM file"),
        (whole[: len(whole) // 2], "damaged DICOM file"),
        (whole[:-20], "truncated: at most"),
        (b"patient,age\n1,50\n" * 40, "not a DICOM file"),
    ):
        path.write_bytes(data)
        assert message in refused(path, 1, image).problem, message


def test_contradictions(tmp_path: Path) -> None:
    path, image = case(tmp_path)

    def with_(**fields: object) -> Path:
        data = pydicom.dcmread(path)
        for field, value in fields.items():
            setattr(data, field, value)
        return saved(data, tmp_path / "b.dcm")

    for fields, message in (
        ({"NumberOfFrames": 6}, "6 frames, but 7 are described"),
        ({"NumberOfFrames": 10**6}, "truncated: at most"),
        ({"Rows": 60_000, "Columns": 60_000}, "truncated: at most"),
        ({"SegmentationType": "OTHER"}, "damaged DICOM file"),
        ({"PerFrameFunctionalGroupsSequence": []}, "damaged DICOM file"),
        ({"SegmentSequence": []}, "no segment 1"),
    ):
        assert message in refused(with_(**fields), 1, image).problem, message
        within(64, lambda: refused(tmp_path / "b.dcm", 1, image))


def test_mutations(tmp_path: Path) -> None:
    """Of a third of its bytes, in which the fields of segments and frames lie."""
    path, image = case(tmp_path)
    whole = path.read_bytes()
    for start in (132, len(whole) // 3, 2 * len(whole) // 3):

        def accepts(data: bytes, start: int = start) -> None:
            path.write_bytes(whole[:start] + data)
            read_segment(path, path.name, 1, image)

        assert on_mutations([whole[start:]], accepts, examples=15) < 15


def owners(folder: Path) -> list[tuple[Path, Path, list[int]]]:
    """Object, the owner's label map, and the segments in it."""
    return [
        (folder / "liver.dcm", folder / "liver_seg.nrrd", [1]),
        (folder / "partial_overlaps.dcm", folder / "partial_overlaps-1.nrrd", [1, 4, 5]),
        (folder / "partial_overlaps.dcm", folder / "partial_overlaps-2.nrrd", [2]),
        (folder / "partial_overlaps.dcm", folder / "partial_overlaps-3.nrrd", [3]),
        (folder / "23x38x3/seg/label.seg", folder / "23x38x3/nrrd/label.nrrd", [1]),
        (folder / "24x38x3/seg/label.seg", folder / "24x38x3/nrrd/label.nrrd", [1]),
        (folder / "sparse-labelmap-noppv.dcm", folder / "sparse_labelmap_noppv_seg.nrrd", [1]),
        (folder / "sparse-labelmap-ppv5.dcm", folder / "sparse_labelmap_ppv5_seg.nrrd", [1]),
    ]


def test_the_label_maps_of_real_objects() -> None:
    """What the owner exported from each object, by other software, to NRRD."""
    folder = real("dicom_seg_dcmqi/data/segmentations/liver.dcm")[0].parent
    slices = [(path, path.name) for path in sorted(folder.glob("ct-3slice/*.dcm"))]
    ct, _ = read_stack(slices, by_position=True)
    small = {width: read(folder / f"{width}x38x3/multiframe/mf.dcm", "mf.dcm") for width in (23, 24)}
    for path, map_path, segments in owners(folder):
        labels = read(map_path, map_path.name).array
        image = small.get(labels.shape[0], ct)
        assert labels.any()
        for segment in segments:
            found = read_segment(path, path.name, segment, image)
            expected = labels == segment if labels.max() > 1 else labels > 0
            assert np.array_equal(found.array, expected), (path.name, segment)


def test_real_objects_as_highdicom_has_them() -> None:
    """On the grid that highdicom makes of each; columns of its affine are slices, rows, columns, in LPS."""
    seen = set()
    for path in real("dicom_seg_highdicom/data/test_files/seg_image_ct_*.dcm"):
        seg = hd.seg.segread(path)
        for segment in seg.segment_numbers:
            volume = seg.get_volume(segment_numbers=[segment], allow_missing_positions=True)
            fractions = volume.array[..., 0].astype(float)
            affine = np.diag([-1.0, -1, 1, 1]) @ volume.affine[:, [2, 1, 0, 3]]
            found = read_segment(path, path.name, segment, Volume(np.zeros(fractions.T.shape), affine))
            assert np.array_equal(found.array, fractions.T >= 0.5), (path.name, segment)
            assert found.array.any()
            seen.add(seg.segmentation_type.value)
    assert seen == {"BINARY", "FRACTIONAL"}


def test_a_slide_is_refused() -> None:
    """Microscopy has another frame than the patient's."""
    (path,) = real("dicom_seg_highdicom/data/test_files/seg_image_sm_control.dcm")
    assert refused(path, 1, Volume(np.zeros((50, 50, 1)), np.eye(4))).problem == (
        "frames without a place in the patient"
    )


def test_the_image_is_not_mistaken_for_the_object(tmp_path: Path) -> None:
    path = saved(image(CT[0], **placed((0, 0, 0))), tmp_path / "a.dcm")
    assert refused(path, 1, read(path, path.name)).problem == "not a DICOM segmentation object"
