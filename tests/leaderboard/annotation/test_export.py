"""What a study's folder holds, and what it never holds."""

import csv
import hashlib
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from leaderboard import models
from leaderboard.annotation import export as room
from leaderboard.annotation import folder as layout
from leaderboard.annotation.export import export
from leaderboard.machine import Machine
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from tests.leaderboard import dataset
from tests.leaderboard.annotation.conftest import KIDNEY, LIVER, SIZE
from tests.leaderboard.boards import Scored

MASKS = [f"{image}_{number}.png" for image in ("001", "002") for number in (1, 2)]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read(path: Path) -> np.ndarray:
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return found


def test_the_folder_holds_images_and_the_model_s_masks(built: Scored, folder: Path) -> None:
    images = ["001.png", "002.png"]
    assert files(folder) == sorted(
        [".gitignore", "README.md", "objects.csv", "study.json", "times.csv"]
        + [f"images/{name}" for name in images]
        + [f"presegmented/{name}" for name in MASKS]
    )
    assert (folder / ".gitignore").read_text() == "*\n"
    study, digest = layout.load(folder)
    assert digest == hashlib.sha256((folder / "study.json").read_bytes()).hexdigest()
    for image in study.images:
        shade = 20 + int(image.image_id.split("/")[1].removeprefix("case"))
        content = (folder / "images" / image.file).read_bytes()
        assert (read(folder / "images" / image.file) == np.full(SIZE, shade, np.uint8)).all()
        assert image.sha256 == hashlib.sha256(content).hexdigest()
        assert [one.object for one in image.objects] == ["Liver", "Kidney"]
        for one, mask in zip(image.objects, (LIVER, KIDNEY), strict=True):
            stored = read(folder / "presegmented" / one.mask)
            assert stored.dtype == np.uint8
            assert (stored == 255 * mask.astype(np.uint8)).all()  # the model `box` is right
    version = shards.load_manifest(built.data / "first").version
    assert (study.model, study.sources, study.closed, study.phantoms) == (
        "box", {"first": version}, ("first",), (),
    )  # fmt: skip


def test_its_tables_say_which_mask_is_of_what(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "objects.csv").open(newline="")))
    assert [row["mask"] for row in rows] == MASKS
    assert [(row["object"], row["instance"], row["pair"]) for row in rows[:2]] == [
        ("Liver", "", "Liver-CT"), ("Kidney", "left", "Kidney-CT"),
    ]  # fmt: skip
    assert [int(rows[1][name]) for name in ("x0", "y0", "x1", "y1")] == [100, 20, 149, 69]
    assert rows[0]["case"] == layout.load(folder)[0].images[0].case
    assert (folder / "times.csv").read_text() == "annotator,task,image,seconds\n"
    guide = (folder / "README.md").read_text()
    assert "Not to be passed on: the terms of first forbid it" in guide
    assert "annotations/ANNA/scratch/001_1.png" in guide


def test_the_true_masks_are_not_in_it(tmp_path: Path) -> None:
    """Of a disc the model `box` gives a square: nothing in the folder is the disc."""
    made = Scored(tmp_path / "built")
    disc = dataset.disc(60, 60, 30, SIZE)
    slices = ((np.zeros(SIZE, np.uint8), (dataset.Thing("Liver", disc),)),)
    made.build("first", [dataset.SmallCase("case", "patient", slices)], phantom=True)
    made.score(models.get("box"))
    made.board()
    publish(made.path, tmp_path / "state")
    reader = BoardReader(tmp_path / "state")
    study = export("box", tmp_path / "trial", reader, made.data, Machine(), images=5, seed=0)
    masks = [
        read(tmp_path / "trial" / name) > 0 for name in files(tmp_path / "trial") if name.endswith("png")
    ]
    assert len(masks) == 2
    assert all((mask != disc).any() for mask in masks)
    assert study.phantoms == ("first",)
    assert study.closed == ()  # drawn, so it may be shown
    assert "Synthetic images: first is a phantom" in (tmp_path / "trial/README.md").read_text()


def test_the_same_board_and_seed_write_the_same_bytes(
    built: Scored, reader: BoardReader, folder: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    again.mkdir()  # an empty folder may be filled, and one of which git sees nothing
    (again / ".gitignore").write_text("*\n")
    export("box", again, reader, built.data, Machine(), images=2, seed=0)
    assert files(again) == files(folder)
    assert all((again / name).read_bytes() == (folder / name).read_bytes() for name in files(folder))


def test_a_folder_is_whole_or_not_there(
    built: Scored, reader: BoardReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(study: layout.AnnotationStudy) -> str:
        raise RuntimeError("no power")

    monkeypatch.setattr(room.guide, "text", broken)
    with pytest.raises(RuntimeError, match="no power"):
        export("box", tmp_path / "out/trial", reader, built.data, Machine(), images=2, seed=0)
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_with_anything_in_it_is_refused(
    built: Scored, reader: BoardReader, folder: Path, tmp_path: Path
) -> None:
    before = files(folder)
    for out, words in (
        (folder, "is there already"),
        (folder / "study.json", "a study is called as its folder"),
        (tmp_path / "my trial", "a study is called as its folder"),
        (folder / "study.json/deep/trial", "study.json: a file, so nothing can be written below it"),
    ):
        with pytest.raises(InputError, match=words):
            export("box", out, reader, built.data, Machine(), images=2, seed=0)
    assert files(folder) == before
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / ".gitignore").write_text("*.png\n")  # somebody's own
    with pytest.raises(InputError, match="kept: is there already"):
        export("box", kept, reader, built.data, Machine(), images=2, seed=0)


def test_git_sees_nothing_of_it(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", folder.parent], check=True)
    seen = subprocess.run(
        ["git", "-C", folder.parent, "status", "--porcelain", "-uall"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert seen.stdout == ""


def test_another_build_or_other_weights_than_the_board_s_are_refused(
    built: Scored, reader: BoardReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(words: str, data: Path = built.data) -> None:
        with pytest.raises(InputError, match=words):
            export("box", tmp_path / "trial", reader, data, Machine(), images=2, seed=0)

    other = built.copy(tmp_path / "other")
    other.build("first", dataset.cases(2))
    refused("other versions than the board's; run `make repro`", other.data)
    changed = models.kind("box").declaration.model_copy(update={"version": 99})
    monkeypatch.setattr(models.kind("box"), "declaration", changed)
    refused("box: of other weights than the board's scores")
    monkeypatch.setattr(room, "choose", lambda *_: [])
    refused("box: no image is within 0.05 of its pairs' mean DICE")
    assert not (tmp_path / "trial").exists()
