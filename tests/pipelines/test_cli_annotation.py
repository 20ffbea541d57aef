"""The verbs of an annotation study: what they print, write and refuse."""

import shutil
from pathlib import Path

import pytest

from cosmos1050k.shards import DATA
from leaderboard.annotation.result import FOUND, read
from leaderboard.models.box import Box
from leaderboard.store.publish import publish
from tests.conftest import ROOT
from tests.leaderboard import dataset
from tests.leaderboard.boards import Scored
from tests.pipelines.verbs import run

FILE = FOUND / "trial.json"


@pytest.fixture
def ready(project: Path) -> Path:
    """The project's folder with its parameters, a built source and the published board of the model `box`."""
    shutil.copy2(ROOT / "params.yaml", project)
    made = Scored(project / "made")
    made.build("first", dataset.cases(3, slices=1), phantom=True)
    made.score(Box())
    made.board()
    publish(made.path)
    shutil.copytree(made.data, DATA)
    return project


def test_from_the_board_to_table_7(ready: Path) -> None:
    lines = run("export-annotation", "box", "--out", "trial").splitlines()
    study = Path("trial")
    masks = list((study / "presegmented").iterdir())
    images = list((study / "images").iterdir())
    assert lines[0].startswith(f"trial: images {len(images)}, masks {len(masks)}, objects 3, modalities 2, ")
    assert lines[1] == "no more images are within 5 points of their pairs' mean DICE"
    assert lines[2] == "synthetic images, no study of any worth: first"
    assert lines[3:] == ["how to run the study: trial/README.md"]
    shutil.copytree(study / "presegmented", study / "annotations/ann/corrected")
    with (study / "times.csv").open("a") as file:
        file.writelines(f"ann,corrected,{image.name},45\n" for image in images)
    printed = run("import-annotation", "trial").splitlines()
    found = read(FILE)
    own = found.presegmented
    assert printed[0].startswith(f"trial: images {len(images)}, objects {len(masks)}; ")
    assert printed[2].split() == ["box", "alone", f"{own.per_object:.2f}", f"{own.per_image:.2f}", "–"]
    assert printed[3].split()[0] == "ann,"
    assert printed[3].split()[-3:] == [*printed[2].split()[-3:-1], "0.75"]
    assert printed[-1] == str(FILE)
    assert len(printed) == 5


def test_a_refusal_is_a_line_for_each_problem(ready: Path) -> None:
    assert run("export-annotation", "grabcut", "--out", "trial", status=1) == (
        "error: grabcut: no scores of a whole pair under S5 on the board; run `make repro` with it under "
        "`models` in params.yaml\n"
    )
    assert run("import-annotation", "trial", status=1).startswith("error: trial/study.json: can't be read")
    run("export-annotation", "box", "--out", "trial", "--images", "1", "--seed", "3")
    again = run("export-annotation", "box", "--out", "trial", status=1)
    assert again == "error: trial: is there already; choose another folder, or an empty one\n"
    shutil.copytree("trial/presegmented", "trial/annotations/ann/corrected")
    first = min(Path("trial/annotations/ann/corrected").iterdir())
    first.unlink()
    assert sorted(run("import-annotation", "trial", status=1).splitlines()) == [
        "error: trial: times.csv: no time of ann, corrected, 001.png; add a line (and 1 more); nothing was "
        "imported",
        f"trial: {first.relative_to('trial')}: missing; save one, empty if there is nothing",
    ]
    assert not FILE.exists()
