"""Owners' own files through their adapters, row by row against Pillow, tifffile and the protocol's words."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from cosmos1050k import build, index, pictures, pool, shards, sources, units
from tests.cosmos1050k.built_phantoms import in_this_process
from tests.cosmos1050k.real import FOLDER, real

#: Of 20, to save time; some of these have more pieces than a label map has values.
SECTIONS = 6
Rows = dict[str, dict[str, Any]]
Built = Callable[[str, Path], Rows]


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    """Builds a source from its raw folder: image_id → row, pictures decoded."""
    monkeypatch.setattr(pool, "run", in_this_process)

    def rows(slug: str, raw: Path) -> Rows:
        module, out = sources.get(slug), tmp_path / "out"
        found = index.scan(module.SOURCE, raw, memory=tmp_path / "seen")
        store = units.Units("build", tmp_path / "units")
        manifest = build.build(slug, found, out, raw=raw, workers=1, store=store)
        assert manifest.skipped == ()
        assert not manifest.phantom
        return {
            row["image_id"]: row | {name: pictures.decode(row[name]["bytes"]) for name in ("image", "mask")}
            for case in shards.load_cases(out)
            for row in shards.read_case(out, case).to_pylist()
        }

    return rows


def masks(row: dict[str, Any]) -> dict[tuple[str, str | None], np.ndarray]:
    """Object and instance → mask; each is there once."""
    found = {
        (entry["object"], entry["instance"]): np.isin(row["mask"], entry["values"])
        for entry in row["objects"]
    }
    assert len(found) == len(row["objects"])
    for (name, instance), mask in found.items():
        entry = next(e for e in row["objects"] if (e["object"], e["instance"]) == (name, instance))
        ys, xs = np.nonzero(mask)
        assert entry["area"] == ys.size > 0
        assert entry["box"] == [xs.min(), ys.min(), xs.max(), ys.max()]
    return found


def opened(path: Path, mode: str = "") -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert(mode) if mode else picture)


def eight_bits(values: np.ndarray) -> np.ndarray:
    """255·(I − I_min)/(I_max − I_min) in float64, truncated."""
    wide = values.astype(np.float64)
    return np.trunc(255 * (wide - wide.min()) / (wide.max() - wide.min())).astype(np.uint8)


def test_drive(built: Built) -> None:
    images = real("drive/DRIVE/*/images/*.tif")
    rows = built("drive", FOLDER / "drive")
    assert len(rows) == len(images) == 22
    for path in images:
        number, part = path.stem.split("_")
        row = rows[f"drive/{part}_{number}/Fundus/-1"]
        assert np.array_equal(row["image"], opened(path))
        assert row["image"].shape == (584, 565, 3)
        found = masks(row)
        assert list(found) == [("Eye", None), ("Retinal Vessel", None)]
        eye = opened(path.parents[1] / "mask" / f"{path.stem}_mask.gif", "L")
        vessels = opened(path.parents[1] / "1st_manual" / f"{number}_manual1.gif", "L")
        assert np.array_equal(found["Eye", None], eye == 255)
        assert np.array_equal(found["Retinal Vessel", None], vessels == 255)
        assert (found["Eye", None] & found["Retinal Vessel", None]).any()
        assert row["patient"] == number
        assert row["split"] == "test" or part == "training"


def test_cellseg(built: Built) -> None:
    images = real("cellseg_neurips22/data/Train_Labeled/images/*")
    rows = built("cellseg_challenge_neurips_2022", FOLDER / "cellseg_neurips22")
    cells = {}
    for path in images:
        row = rows[f"cellseg_challenge_neurips_2022/training_{path.stem}/Microscopy/-1"]
        if path.suffix == ".png":
            assert np.array_equal(row["image"], opened(path, "RGB"))
        else:
            values = tifffile.imread(path)
            assert values.dtype == np.uint16
            assert np.array_equal(row["image"], eight_bits(values))
        labels = tifffile.imread(path.parents[1] / "labels" / f"{path.stem}_label.tiff")
        found = masks(row)
        assert set(found) == {("Cell", str(value)) for value in np.unique(labels) if value}
        for (_, instance), mask in found.items():
            assert np.array_equal(mask, labels == int(instance or 0))
        cells[path.name] = len(found)
    assert len(rows) == len(cells)
    assert cells == {"cell_00225.png": 6, "cell_00528.tif": 44, "cell_00849.png": 187}


def test_kvasir_seg(built: Built) -> None:
    images = real("kvasir_seg/Kvasir-SEG/images/*.jpg")
    rows = built("kvasir_seg", FOLDER / "kvasir_seg")
    assert len(rows) == len(images) == 5
    for path in images:
        row = rows[f"kvasir_seg/{path.stem}/Colonoscopy/-1"]
        assert np.array_equal(row["image"], opened(path, "RGB"))
        stored = opened(path.parents[1] / "masks" / path.name, "RGB")
        assert len(np.unique(stored)) > 2  # JPEG: near 0 and near 255
        found = masks(row)
        assert list(found) == [("Polyp", None)]
        assert np.array_equal(found["Polyp", None], stored.mean(axis=2) > 127)


def test_sstem(built: Built, tmp_path: Path) -> None:
    sections = real("sstem/stack1/raw/*.tif")[:SECTIONS]
    labels = real("sstem/stack1/labels/*.png")[:SECTIONS]
    for path in [*sections, *labels]:
        copy = tmp_path / "raw" / path.relative_to(FOLDER / "sstem")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    rows = built("sstem_isbi2012", tmp_path / "raw")
    tiled = 0
    for number, path in enumerate(sections):
        section = eight_bits(opened(path))
        grey = opened(path.parents[1] / "labels" / f"labels{number:08d}.png")
        pieces = in_reading_order(np.isin(grey, (191, 255)))
        own = [row for row in rows.values() if row["slice_index"] == number]
        tiled += len(own) > 1
        assert (len(own) == 1) == (pieces.max() <= 255)
        assert sum(row["height"] * row["width"] for row in own) == section.size
        seen = set()
        for row in own:
            top, left = (int(n) for n in re.findall(r"\d+", row["case"].partition("+")[2]) or (0, 0))
            tile = (slice(top, top + row["height"]), slice(left, left + row["width"]))
            assert np.array_equal(row["image"], section[tile])
            piece_of = np.zeros(256, int)
            for entry in row["objects"]:
                assert (entry["object"], len(entry["values"])) == ("Neural Structures", 1)
                piece_of[entry["values"]] = int(entry["instance"])
            assert np.array_equal(piece_of[row["mask"]], pieces[tile])
            areas = np.bincount(pieces[tile].ravel())
            assert all(entry["area"] == areas[int(entry["instance"])] for entry in row["objects"])
            seen |= {int(entry["instance"]) for entry in row["objects"]}
            assert (row["patient"], row["view"]) == ("stack1", "section")
        assert seen == set(range(1, pieces.max() + 1))
    assert {row["slice_index"] for row in rows.values()} == set(range(SECTIONS))
    assert tiled


def test_of_what_a_neurite_of_sstem_is_made() -> None:
    """Neurites surround their mitochondria (191); most of a synapse (223) lies on what parts them."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    beside, on_membrane = np.zeros(256, int), []
    for path in real("sstem/stack1/labels/*.png"):
        grey = opened(path)
        mitochondria = (grey == 191).astype(np.uint8)
        beside += np.bincount(grey[(cv2.dilate(mitochondria, cross) > 0) & (grey != 191)], minlength=256)
        membranes = opened(path.parents[1] / "membranes" / f"{path.stem[-2:]}.png")
        on_membrane.append(membranes[grey == 223])
    assert beside[255] / beside.sum() > 0.95
    assert np.concatenate(on_membrane).mean() > 0.6


def in_reading_order(white: np.ndarray) -> np.ndarray:
    """8-connected pieces, numbered by the first of their pixels in reading order; 0 is no piece."""
    count, pieces = cv2.connectedComponents(white.astype(np.uint8), connectivity=8)
    _, firsts = np.unique(pieces, return_index=True)
    order = np.argsort(firsts[1:])
    numbers = np.zeros(count, int)
    numbers[1 + order] = np.arange(1, count)
    return numbers[pieces]


def test_isic(built: Built, tmp_path: Path) -> None:
    """Owners' files in the owner's folders, which were renamed on the way here."""
    top = tmp_path / "raw"
    folders = {"images": "ISIC2018_Task1-2_Training_Input", "masks": "ISIC2018_Task1_Training_GroundTruth"}
    paths = sorted(real("isic2018/**/*.jpg"), key=lambda path: path.stat().st_size)[:2]  # to save time
    for kind, folder in folders.items():
        (top / folder).mkdir(parents=True)
        for path in paths:
            for file in (path.parents[1] / kind).glob(f"{path.stem}*"):
                shutil.copy(file, top / folder)
    rows = built("isic_2018", top)
    assert len(rows) == len(paths) == 2
    for path in paths:
        row = rows[f"isic_2018/{path.stem}/Dermoscopy/-1"]
        assert np.array_equal(row["image"], opened(path, "RGB"))
        found = masks(row)
        assert list(found) == [("Melanoma", None)]
        drawn = opened(path.parents[1] / "masks" / f"{path.stem}_segmentation.png")
        assert set(np.unique(drawn)) == {0, 255}
        assert np.array_equal(found["Melanoma", None], drawn == 255)
