"""From opened cases to rows: the keep rule and tiles against the words of the protocol, and whole cases."""

import gzip
import hashlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from PIL import Image

from cosmos1050k import regions, rows
from cosmos1050k.errors import BadFile
from cosmos1050k.instances import instances_of
from cosmos1050k.opening import Layer, Opened
from cosmos1050k.slicing import Slices, stored
from cosmos1050k.source import Case, Label, Mask
from tests.cosmos1050k import literal, packs
from tests.cosmos1050k.nifti_files import nifti
from tests.cosmos1050k.test_instances import above, as_found, by_value
from tests.cosmos1050k.test_slicing import CODES
from tests.many import many


@dataclass(frozen=True)
class Masks:
    """The masks of a volume: slices × rows × columns, their labels, what a pixel counts in place of them."""

    size: tuple[int, int]
    layers: list[tuple[np.ndarray, list[Label], int | None]]

    def opened(self, cut: bool) -> Opened:
        """As a case of a volume (columns, rows, slices) is opened, each mask whole or cut out."""
        layers = []
        for mask, labels, pixel in self.layers:
            whole = mask.transpose(2, 1, 0)
            box = (slice(None),) * 3
            if cut and whole.any():
                box = tuple(slice(used.min(), used.max() + 1) for used in np.nonzero(whole))
            start = [part.start or 0 for part in box]
            slices = Slices(np.asfortranarray(whole[box]), stored(2), start, whole.shape)
            layers.append(Layer("mask.nii", slices, tuple(labels), pixel))
        image = Slices(np.zeros(self.layers[0][0].shape[::-1]), stored(2))
        return Opened(image, layers, self.size, len(self.layers[0][0]), None)


SIDES = [Label(object="Kidney", value=number, instance=name) for number, name in ((1, "left"), (2, "right"))]


@st.composite
def volumes(draw: st.DrawFn) -> list[Masks]:
    """A pack of volumes of one to three masks, of which few or many pixels are labelled."""
    shape = draw(st.integers(1, 2)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    layers = []
    for _ in range(draw(st.integers(1, 3))):
        pack = draw(packs.codes((packs.PACK, *shape), 4))
        pack *= pack < 1 + np.arange(packs.PACK)[:, None, None, None] % 16
        labels, pixel = draw(st.lists(st.one_of(by_value(), above()), min_size=1, max_size=3)), None
        if draw(st.integers(0, 3)) == 0:
            pack, labels, pixel = pack % 3, SIDES, draw(st.sampled_from([1, 3, 17, 255]))
        layers.append((pack, labels, pixel))
    volumes = zip(*(pack for pack, _, _ in layers), strict=True)
    return [
        Masks(shape[1:], [(mask, *rest) for mask, (_, *rest) in zip(masks, layers, strict=True)])
        for masks in volumes
    ]


def test_many_volumes_keep_the_slices_whose_values_sum_to_more_than_50() -> None:
    kept = {True: 0, False: 0}
    sums = set()

    def check(masks: Masks) -> None:
        whole, cut = masks.opened(cut=False), masks.opened(cut=True)
        for index in range(whole.depth):
            expected, total = [], 0
            for mask, labels, pixel in masks.layers:
                expected += literal.instances(mask[index], labels)
                total += literal.sum_of_values(mask[index], labels, pixel)
            for opened in (whole, cut):
                found = list(map(as_found, rows.kept(opened, index)))
                assert found == (expected if total > 50 else [])
            kept[bool(found)] += 1
            sums.add(total)

    packs.on_many(volumes(), check)
    assert min(kept.values()) > many(2000)
    assert {49, 50, 51} < sums


@st.composite
def crowds(draw: st.DrawFn) -> list[tuple[np.ndarray, np.ndarray]]:
    """A pack of pictures full of cells, some of them in many pieces, and of a second mask over them."""
    shape = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    cells = draw(packs.codes((packs.PACK, *shape), 8)) % np.uint16(draw(st.sampled_from([3, 12, 256])))
    over = draw(packs.codes((packs.PACK, *shape), draw(st.sampled_from([1, 2])))) == 0
    return list(zip(cells, over, strict=True))


@pytest.mark.slow
def test_many_pictures_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit of few regions in place of 255: the longer side is halved until each tile fits."""
    monkeypatch.setattr(regions, "MAX_REGIONS", 5)
    counts: list[int] = []
    packs.on_many(crowds(), lambda drawn: counts.append(compare(*drawn, 5)))
    assert all(counts.count(number) > many(100) for number in (1, 2, 3, 4))


def compare(cells: np.ndarray, over: np.ndarray, most: int) -> int:
    """The tiles of a picture against the words; returns their number."""
    height, width = cells.shape
    found = [
        *instances_of(cells, [Label(object="Cell", above=0, instances="values")]),
        *instances_of(over, [Label(object="Eye", above=0)]),
    ]
    expected = literal.tiles(list(map(as_found, found)), (0, 0, width, height), most)
    tiles = list(rows.tiles(found, (height, width)))
    for tile, (place, inside) in zip(tiles, expected, strict=True):
        assert (tile.left, tile.top, *tile.regions.shape[::-1]) == place
        assert list(map(as_found, tile.instances)) == inside
        masks = [pixels for _, _, pixels in inside]
        assert (tile.regions.tolist(), tile.members) == literal.regions(masks, *place[2:], most)
    return len(tiles)


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (17, 17), (16, 16), (3, 200), (1, 600), (41, 40)])
def test_crowds_of_more_than_255(shape: tuple[int, int]) -> None:
    """Every pixel a cell of its own, or few of them; the protocol's own limit."""
    random = np.random.default_rng(1050)
    for most in (255, 256, 257, 400, 60_000):
        cells = random.permutation(np.prod(shape)).reshape(shape) % most
        over = random.random(shape) < 0.3
        regions = np.unique(2 * cells + over)
        assert (compare(cells.astype(np.uint16), over, 255) > 1) == (np.count_nonzero(regions) > 255)


#: Whole cases, written and read as files: fewer.
CASES = settings(max_examples=100, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
KIDNEY = Label(object="Kidney", value=4, instances="sides")
PLAIN = (
    Label(object="Liver", value=1),
    Label(object="Spleen", value=(2, 3), instance="a"),
    Label(object="Rib", value=5, instances="components"),
)
TUMOUR = (Label(object="Liver Tumour", above=0, weight=17),)
#: Millimetres to the right, to the front, upwards.
SIZES = (0.5, 2.0, 3.0)


def built(case: Case, files: dict[str, bytes]) -> list[dict]:
    """The case's rows, its pictures decoded by Pillow."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / name for name in files}
        for name, data in files.items():
            paths[name].write_bytes(data)
        sums = {name: f"sum of {name}" for name in files}
        found = rows.rows_of(case, "source", "test", paths, sums).table.to_pylist()
    for row in found:
        for column in ("image", "mask"):
            png = Image.open(io.BytesIO(row[column]["bytes"]))
            row[column] = np.asarray(png).tolist()
    return found


def row(name: str, index: int, case: Case, picture: np.ndarray, inside: list[literal.Found]) -> dict:
    """What a row should hold, by the words of the protocol and the schema."""
    height, width = picture.shape[:2]
    label_map, values = literal.regions([pixels for _, _, pixels in inside], width, height)
    objects = []
    for (organ, instance, pixels), own in zip(inside, values, strict=True):
        mask = np.zeros((height, width), bool)
        mask[tuple(zip(*((y, x) for x, y in pixels), strict=True))] = True
        found = literal.prompts(mask)
        points = {"points_pos": found.positive, "points_neg": found.negative}
        named = {"object": organ, "instance": instance, "pair": f"{organ}-{case.modality}"}
        objects.append({"values": own, **named, "area": found.area, "box": found.box, **points})
    return {
        "image_id": f"source/{name}/{case.modality}/{index}",
        "image": picture.tolist(),
        "mask": label_map,
        "source": "source",
        "patient": case.patient,
        "case": name,
        "slice_index": index,
        "view": case.view,
        "modality": case.modality,
        "split": "test",
        "height": height,
        "width": width,
        "spacing_mm": None,
        "objects": objects,
        "raw_sha256": f"sum of {case.image}",
    }


@CASES
@given(st.data())
def test_volumes_from_their_files_to_their_rows(data: st.DataObject) -> None:
    """In every orientation and plane: a map of organs, one of them with two sides, and a mask over it."""
    shape = data.draw(st.tuples(*[st.integers(1, 7)] * 3))
    codes = data.draw(st.sampled_from(CODES))
    view = data.draw(st.sampled_from(["transverse", "coronal", "sagittal", "section"]))
    axis = data.draw(st.integers(0, 2)) if view == "section" else None
    image = data.draw(packs.codes(shape, 8)).astype(data.draw(st.sampled_from(["u1", "i2", "f4"])))
    organs = data.draw(packs.codes(shape, 4)) % 6
    tumour = data.draw(packs.codes(shape, 2)) // 3
    masks = Mask(file="organs.nii", labels=(*PLAIN, KIDNEY)), Mask(file="tumour.nii.gz", labels=TUMOUR)
    case = Case(
        case="a+1", patient="p", modality="CT", view=view, axis=axis, image="image.nii.gz", masks=masks,
        slices=data.draw(st.sampled_from([None, (1, 4)])),
    )  # fmt: skip

    def shown(array: np.ndarray) -> np.ndarray:
        return literal.sliced(array, codes, view) if axis is None else literal.sliced_as_stored(array, axis)

    change = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    affine = np.diag([*SIZES, 1]) @ inv_ornt_aff(change, (7, 7, 7))
    millimetres = [SIZES["RLAPSI".index(code) // 2] for code in codes]
    down_and_right = [codes[other] for other in (2, 1, 0) if other != axis]
    if axis is None:
        down_and_right = literal.DISPLAY[view][:2]
    kidneys = []
    for name, voxels in literal.sides(organs == 4, codes, millimetres).items():
        side = np.zeros(shape, bool)
        side[tuple(zip(*voxels, strict=True))] = True
        kidneys.append((name or None, shown(side)))
    expected = []
    for index, (picture, map_, spots) in enumerate(zip(*map(shown, (image, organs, tumour)), strict=True)):
        inside = literal.instances(map_, PLAIN)
        inside += [("Kidney", name, packs.pixels(side[index])) for name, side in kidneys if side[index].any()]
        inside += literal.instances(spots, TUMOUR)
        if int(map_.sum()) + 17 * int(spots.sum()) > 50 and (case.slices is None or 1 <= index < 4):
            expected.append(row("a+1", index, case, literal.normalised(picture), inside))
            expected[-1]["spacing_mm"] = [SIZES["RLAPSI".index(to) // 2] for to in down_and_right]
    files = {
        "image.nii.gz": gzip.compress(nifti(image, affine)),
        "organs.nii": nifti(organs, affine),
        "tumour.nii.gz": gzip.compress(nifti(tumour, affine)),
    }
    assert built(case, files) == expected


@CASES
@given(st.data())
def test_pictures_from_their_files_to_their_rows(data: st.DataObject) -> None:
    """8 bits stay as they are, 16 are normalised; more than 255 cells make tiles."""
    height, width = data.draw(st.tuples(st.integers(1, 30), st.integers(1, 30)))
    channels = data.draw(st.sampled_from([(), (3,)]))
    picture = data.draw(packs.codes((height, width, *channels), 8))
    deep = data.draw(st.booleans())
    cells = data.draw(packs.codes((height, width), data.draw(st.sampled_from([2, 8]))))
    cells = cells.astype(np.uint16) * (
        1 + np.arange(width, dtype=np.uint16) % data.draw(st.sampled_from([1, 9]))
    )
    label = Label(object="Cell", above=0, instances="values")
    case = Case(
        case="b", patient="p", modality="Microscopy", view="picture", image="b.png",
        masks=(Mask(file="b_label.png", labels=(label,)),),
    )  # fmt: skip
    expected = []
    if cells.sum() > 50:
        as_kept = literal.normalised(picture) if deep else picture
        for (left, top, w, h), inside in literal.tiles(
            literal.instances(cells, [label]), (0, 0, width, height)
        ):
            name = "b" if (w, h) == (width, height) else f"b+y{top}x{left}"
            expected.append(row(name, -1, case, as_kept[top : top + h, left : left + w], inside))
    files = {"b.png": _png(picture.astype(np.uint16) * 3 if deep else picture), "b_label.png": _png(cells)}
    assert built(case, files) == expected


def test_black_may_be_a_colour_though_masks_are_cut_to_what_is_not_zero() -> None:
    """Two masks, so that each is cut out; in the one an object is black around a little white."""
    picture = np.arange(200, dtype=np.uint8).reshape(10, 20)
    scene = np.zeros((10, 20, 3), np.uint8)
    scene[2:4, 3:5] = 255
    spot = np.zeros((10, 20), np.uint8)
    spot[4:7, 4:7] = 255
    tool, eye = Label(object="Tool", colour=(0, 0, 0)), Label(object="Eye", above=127, weight=255)
    masks = Mask(file="scene.png", labels=(tool,)), Mask(file="spot.png", labels=(eye,))
    case = Case(case="c", patient="p", modality="Colonoscopy", view="picture", image="c.png", masks=masks)
    files = {"c.png": _png(picture), "scene.png": _png(scene), "spot.png": _png(spot)}
    inside = [*literal.instances(scene, [tool]), *literal.instances(spot, [eye])]
    assert [len(pixels) for _, _, pixels in inside] == [200 - 4, 9]
    assert built(case, files) == [row("c", -1, case, picture, inside)]


def test_the_sum_of_an_image_in_two_files_is_of_both_and_of_no_mask() -> None:
    header = (
        "ObjectType = Image\nNDims = 3\nDimSize = 9 8 2\nElementType = MET_UCHAR\nElementSpacing = 1 1 1\n"
        "Offset = 0 0 0\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nElementDataFile = {}.raw\n"
    )
    data = np.arange(144, dtype=np.uint8).tobytes()
    files = {f"{name}.mhd": header.format(name).encode() for name in ("a", "m")}
    files |= {"a.raw": data, "m.raw": bytes([1]) * 144}
    masks = (Mask(file="m.mhd", labels=(Label(object="Lung", value=1),)),)
    case = Case(case="a", patient="p", modality="CT", view="transverse", image="a.mhd", masks=masks)
    both = hashlib.sha256(b"sum of a.mhdsum of a.raw").hexdigest()
    assert [found["raw_sha256"] for found in built(case, files)] == [both, both]


def test_a_mask_that_does_not_fit_its_labels_is_one_line() -> None:
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[2:9, 3:15] = 7, 8, 9
    masks = (Mask(file="m.png", labels=(Label(object="Polyp", value=1),)),)
    case = Case(case="c", patient="p", modality="Colonoscopy", view="picture", image="c.png", masks=masks)
    with pytest.raises(BadFile, match=r"m\.png: slice 0: a mask in colour, but its labels are values; fetch"):
        built(case, {"c.png": _png(picture), "m.png": _png(picture)})


def _png(picture: np.ndarray) -> bytes:
    """cv2 takes colours the other way round."""
    return cv2.imencode(".png", picture if picture.ndim == 2 else picture[..., ::-1])[1].tobytes()
