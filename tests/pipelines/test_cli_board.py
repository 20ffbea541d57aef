"""`cosmos board` and `cosmos compare`: every form of the table, and one line for what is not there."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from leaderboard.store import views
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from pipelines.cli import app
from tests.leaderboard import boards, dataset
from tests.leaderboard.boards import Scored


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a published board of four models on two sources, and an archived one."""
    folder = tmp_path_factory.mktemp("project")
    made = Scored(folder / "made")
    made.build("first", dataset.cases(40, slices=1))
    made.build("second", dataset.cases(12, seed=1))
    for model in boards.MODELS:
        made.score(model)
    for protocol in (1, 2):
        for name in made.models:
            made.manifest(name, protocol_version=protocol)
        made.models = made.models[: 5 - protocol]
        made.board(protocol_version=protocol)
        publish(made.path, folder / "leaderboard/state")
    return folder


@pytest.fixture(autouse=True)
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("COLUMNS", "200")


def cosmos(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    line = str(done.exception).removeprefix("error: ")
    assert "\n" not in line
    return line


@pytest.mark.slow
def test_models_of_a_modality_or_an_object_by_their_rank() -> None:
    reader = BoardReader()
    for option, by, name in (("--modality", "modality", "Colonoscopy"), ("--object", "object", "Lesion")):
        shown = cosmos("board", option, name, "--strategy", "S2", "--selection", "predicted_iou")
        assert f"of {name} (predicted_iou), by S2" in " ".join(shown.split())
        for row in reader.headlines("predicted_iou", by):
            if (row["name"], row["strategy"]) == (name, "S2"):
                line = next(line for line in shown.splitlines() if f" {row['model']} " in line)
                assert f"{100 * row['headline']:.2f}" in line
                assert line.split()[0] == str(row["rank"])


def test_every_table_says_what_the_store_does() -> None:
    reader = BoardReader()
    pair = next(row for row in reader.pairs("S5") if (row["pair"], row["model"]) == ("Liver-CT", "box"))
    assert f"{100 * pair['dice']:.2f}" in cosmos("board", "--by", "pair", "--object", "Liver")
    assert f"{100 * pair['dice']:.2f}" in cosmos("board", "--object", "Liver", "--modality", "CT")
    assert "sam_vit_b (paper)" in cosmos("board", "--by", "pair", "--object", "Liver")
    case = reader.cases("Liver-CT", "S5")[0]
    shown = cosmos("board", "--by", "case", "--object", "Liver", "--modality", "CT")
    assert case["case"] in shown
    assert f"{100 * case['dice']:.2f}" in shown
    modalities = cosmos("board", "--by", "modality")
    assert "Colonoscopy (1)" in modalities
    assert "CT (3)" in modalities
    seen = cosmos("board", "--seen")
    assert "may contain this case" in seen


def test_an_archived_board_is_shown() -> None:
    current = BoardReader().board()
    old = f"{current['dataset_version']}-1"
    assert "takes points alone" in cosmos("board", "--archived", old)
    assert "takes points alone" not in cosmos("board")
    assert f"no board 'x' in leaderboard/state/boards/archive; there are {old}" in refused(
        "board", "--archived", "x"
    )


@pytest.mark.parametrize(
    "options",
    [
        (), ("--by", "model"), ("--by", "modality"), ("--by", "pair", "--modality", "CT"), ("--seen",),
        ("--by", "model", "--object", "Liver"), ("--by", "case", "--object", "Liver", "--modality", "CT"),
    ],
)  # fmt: skip
def test_exports_hold_the_same_rows(options: tuple[str, ...], tmp_path: Path) -> None:
    done = {
        kind: CliRunner().invoke(app, ["board", *options, "--export", kind]).stdout_bytes
        for kind in ("csv", "json", "parquet")
    }
    rows = json.loads(done["json"])["scores"]
    assert rows
    assert pq.read_table(io.BytesIO(done["parquet"])).to_pylist() == rows
    read = list(csv.DictReader(io.StringIO(done["csv"].decode())))
    assert len(read) == len(rows)
    name = "headline" if "headline" in rows[0] else "dice"
    assert [float(row[name]) for row in read] == pytest.approx([row[name] for row in rows])


def test_what_the_board_does_not_have_is_one_line() -> None:
    assert "the board has no strategy 'S9'; it has S1, S2, S5, S6" in refused("board", "--strategy", "S9")
    assert "no selection 'best'; it has oracle" in refused("board", "--selection", "best")
    assert "no modality 'MRI'; it has CT, Colonoscopy" in refused("board", "--modality", "MRI")
    assert "no object 'Eye'" in refused("board", "--object", "Eye")
    assert "no pair of Liver in Colonoscopy" in refused(
        "board", "--object", "Liver", "--modality", "Colonoscopy"
    )
    assert "of one pair; give --modality and --object (4 fit)" in refused("board", "--by", "case")
    assert "leave --object out" in refused("board", "--by", "modality", "--object", "Liver")
    assert "--seen: of all pairs" in refused("board", "--seen", "--modality", "CT")
    assert "S1 has the selection oracle alone" in refused(
        "board", "--strategy", "S1", "--selection", "predicted_iou", "--by", "case", "--object", "Liver"
    )


def test_scores_of_all_rows_stand_beside_the_paper_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "set `rows: all`" in refused("board", "--paper")
    made = Scored(tmp_path / "made")
    made.build("first", dataset.cases(6, slices=1))
    made.score(boards.Box(), rows="all")
    made.board()
    publish(made.path, tmp_path / "leaderboard/state")
    monkeypatch.chdir(tmp_path)
    row = next(
        row for row in BoardReader().all_scores() if (row["pair"], row["strategy"]) == ("Liver-CT", "S5")
    )
    (theirs,) = [
        row["value"]
        for row in BoardReader().reported()
        if (row["pair"], row["strategy"], row["metric"], row["model"])
        == ("Liver-CT", "S5", "dice", "sam_vit_h")
    ]
    rows = json.loads(cosmos("board", "--paper", "--strategy", "S5", "--export", "json"))["scores"]
    (liver,) = [row for row in rows if row["pair"] == "Liver-CT"]
    assert liver["dice"] == pytest.approx(100 * row["dice"])
    assert liver["dice_paper_sam_vit_h"] == theirs
    shown = cosmos("board", "--paper", "--object", "Liver")
    assert f"{liver['dice']:.2f}" in shown
    assert f"{theirs:.2f}" in shown
    assert "leave --by" in refused("board", "--paper", "--by", "pair")


def test_names_are_text_and_no_mark_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Scored(tmp_path / "made")
    made.build(
        "[/red]", [replace(case, case=f"[bold]{case.case}[/x]") for case in dataset.cases(3, slices=1)]
    )
    made.score(boards.Box())
    made.board()
    publish(made.path, tmp_path / "leaderboard/state")
    monkeypatch.chdir(tmp_path)
    shown = cosmos("board", "--by", "case", "--object", "Liver", "--modality", "CT")
    assert "[/red]" in shown
    assert "[bold]case" in shown
    assert cosmos("board")


def test_an_export_is_of_the_strategy_and_selection_that_were_asked_for() -> None:
    asked = ("--strategy", "S2", "--selection", "predicted_iou", "--export", "json")
    for by in ("pair", "model", "modality"):
        rows = json.loads(cosmos("board", "--by", by, *asked))["scores"]
        assert {(row["strategy"], row["selection"]) for row in rows} == {("S2", "predicted_iou")}


def test_eighty_columns_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = cosmos("board").splitlines()
    (box,) = [line for line in lines[:8] if " box " in line]
    row = next(row for row in BoardReader().headlines() if (row["model"], row["strategy"]) == ("box", "S5"))
    cell = views.Cell(row["headline"], row["low"], row["high"])
    assert box.split()[:3] == [str(row["rank"]), "box", "4/4"]
    assert cell.text in box
    assert cell.low is not None


def test_standard_output_that_is_full_is_one_line(project: Path) -> None:
    command = [str(Path(sys.executable).with_name("cosmos")), "board", "--export", "csv"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, cwd=project, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert (
        done.stderr
        == "error: standard output: can't be written (No space left on device); send it elsewhere\n"
    )


def test_two_models_are_compared() -> None:
    shown = cosmos("compare", "box", "worse")
    assert "dice in % under S5 (oracle): box minus worse" in shown
    assert "mean of 4 pairs" in shown
    assert "better" in shown
    assert "px" in cosmos("compare", "box", "worse", "--metric", "hausdorff")
    assert "the board has no model 'x'; it has" in refused("compare", "box", "x")
    assert "against itself; name two" in refused("compare", "box", "box")
    assert "no pair in common under S2" in refused("compare", "box", "worse", "--strategy", "S2")
    assert "has the selection oracle alone" in refused(
        "compare", "worse", "better", "--strategy", "S1", "--selection", "predicted_iou"
    )
