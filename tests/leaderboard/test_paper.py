"""The paper's tables: every number once, under the platform's names, doubtful ones marked."""

import csv
import re
import shutil
from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from cosmos1050k import taxonomy
from cosmos1050k.errors import InputError
from leaderboard import models, paper
from leaderboard.selection import METRICS
from leaderboard.strategies import STRATEGIES
from tests.conftest import ROOT

#: The transcriptions that the package's files were copied from.
SHARED = ROOT.parent / "shared" / "paper"
COPIES = {
    "tables_2_3.csv": "tables_2_3.csv",
    "table_4.csv": "table_4_seconds.csv",
    "table_6.csv": "table_6_spearman_partial.csv",
    "table_7.csv": "table_7_annotation.csv",
    "table_8.csv": "table_8_dice_drop.csv",
}
#: Columns of the files that are no number of the paper.
LABELS = {
    "table", "object", "modality", "model", "strategy", "metric", "note", "doctor", "run", "shift_pixels"
}  # fmt: skip
VIT_B, VIT_H = "sam_vit_b", "sam_vit_h"
ROWS: list[dict[str, Any]] = paper.table().to_pylist()


def values(**wanted: Any) -> list[float]:
    """Of the rows whose columns are as wanted."""
    return [row["value"] for row in ROWS if wanted.items() <= row.items()]


def lines(file: str) -> list[dict[str, str]]:
    with (paper.FOLDER / file).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_number_of_the_files_is_there_once() -> None:
    # In table 6 `modality` is an attribute.
    printed = Counter(
        float(text)
        for file in COPIES
        for line in lines(file)
        for column, text in line.items()
        if text and (column not in LABELS or (file, column) == ("table_6.csv", "modality"))
    )
    assert Counter(values()) == printed
    keys = [tuple(row[name] for name in paper.SCHEMA.names[:-3]) for row in ROWS]
    assert len(set(keys)) == len(keys)


def test_counts() -> None:
    assert Counter(row["table"] for row in ROWS) == {
        2: 46 * 2 * 6, 3: 46 * 2 * 6, 4: 2 * 7, 6: 6 * 2 * 5, 7: 4 * 4 + 2, 8: 4 * 3 * 5
    }  # fmt: skip
    by_cell = Counter(
        (row["table"], row["model"], row["strategy"], row["metric"]) for row in ROWS if row["table"] <= 3
    )
    assert by_cell == {
        (number, model, strategy, metric): 46
        for number, metric in ((2, "dice"), (3, "hausdorff"))
        for model in (VIT_B, VIT_H)
        for strategy in STRATEGIES
    }


def test_names_are_the_platforms() -> None:
    assert {row["model"] for row in ROWS} - {None} == {VIT_B, VIT_H} <= set(models.names())
    assert {row["metric"] for row in ROWS if row["table"] <= 3} <= set(METRICS)
    assert {row["strategy"] for row in ROWS} - {None} == set(STRATEGIES)
    reported = {
        (taxonomy.pair(name, modality), name, modality)
        for modality, names in taxonomy.REPORTED.items()
        for name in names
    }
    for number in (2, 3):
        found = {(row["pair"], row["object"], row["modality"]) for row in ROWS if row["table"] == number}
        assert found == reported
    assert {pair for pair, _, _ in reported} <= set(taxonomy.kept_pairs())
    of_others = {row[name] for row in ROWS if row["table"] > 3 for name in ("pair", "object", "modality")}
    assert of_others == {None}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (57.87, {"table": 2, "pair": "Aorta-CT", "model": VIT_B, "strategy": "S1"}),
        (63.57, {"table": 2, "pair": "Left Ventricular Myocardium-CT", "model": VIT_H, "strategy": "S6"}),
        (9.56, {"table": 2, "pair": "Lung-X-ray", "model": VIT_B, "strategy": "S1"}),
        (87.07, {"table": 2, "pair": "Neural Structures-Electron Microscopy", "strategy": "S6",
                 "model": VIT_H}),
        (1977.68, {"table": 3, "pair": "Lung-X-ray", "model": VIT_B, "strategy": "S1"}),
        (3.27, {"table": 3, "pair": "Left Ventricle-Cine-MRI", "model": VIT_H, "strategy": "S6"}),
        (0.1276, {"table": 4, "model": VIT_B, "strategy": None, "detail": "embedding"}),
        (3.0324, {"table": 4, "model": VIT_H, "strategy": "S1", "detail": "prompts"}),
        (-0.621, {"table": 6, "model": VIT_B, "strategy": "S6", "detail": "fourier_order"}),
        (0.048, {"table": 6, "model": VIT_H, "strategy": "S1", "detail": "modality"}),
        (5.82, {"table": 7, "metric": "hce", "detail": "human", "run": "2"}),
        (2.96, {"table": 7, "metric": "minutes", "detail": "human_with_sam", "run": "mean"}),
        (5.66, {"table": 7, "metric": "hce", "detail": "sam", "run": ""}),
        (0.47, {"table": 7, "metric": "seconds", "detail": "sam", "run": ""}),
        (30.58, {"table": 8, "model": None, "strategy": "S6", "detail": "20-30", "run": "3"}),
    ],
)  # fmt: skip
def test_numbers_read_by_hand(value: float, wanted: dict[str, Any]) -> None:
    assert values(**wanted) == [value]


def test_doubtful_are_those_with_a_note() -> None:
    noted = [line for line in lines("tables_2_3.csv") if line["note"]]
    assert [row["note"] for row in ROWS if row["doubtful"]] == [line["note"] for line in noted]
    assert all(bool(row["note"]) == row["doubtful"] for row in ROWS)
    unsure = [(row["pair"], row["value"]) for row in ROWS if row["note"].startswith("uncertain")]
    assert unsure == [("Pancreas-CT", 12.75), ("Stomach-MRI", 52.76)]
    text = (paper.FOLDER / "README.md").read_text()
    points = sum("decimal point restored" in line["note"] for line in noted)
    assert f", {len(noted)}\nof the 1,104:" in text
    assert f"- {points} times the decimal point was lost" in text


def test_the_files_are_the_transcriptions() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no {SHARED.parent.name}/{SHARED.name} beside the project")
    for file, original in COPIES.items():
        assert (paper.FOLDER / file).read_text() == (SHARED / original).read_text(), file


@pytest.mark.parametrize(
    ("model", "strategy", "mean"),
    [(VIT_B, "S2", 69.69), (VIT_B, "S4", 75.08), (VIT_H, "S2", 70.87), (VIT_H, "S4", 80.35)],
)
def test_means_of_table_2(model: str, strategy: str, mean: float) -> None:
    assert round(fmean(values(table=2, model=model, strategy=strategy)), 2) == mean


def test_brain_tumours_range_as_the_text_says() -> None:
    # Section 4.5: "from 71.76% to 77.74% in DICE and 13.02 pixels to 15.35 pixels in HD".
    for number, lowest, highest in ((2, 71.76, 77.74), (3, 13.02, 15.35)):
        found = values(table=number, model=VIT_B, strategy="S5", object="Brain Tumor")
        assert (len(found), min(found), max(found)) == (4, lowest, highest)


def test_printed_means_are_those_of_the_runs() -> None:
    # Half a unit of the last digit printed, and as much again for binary fractions.
    means = [row for row in ROWS if row["run"] == "mean"]
    assert len(means) == 4 + 3 * 5
    for row in means:
        key = {name: row[name] for name in ("table", "strategy", "metric", "detail")}
        runs = [value for run in "123" for value in values(**key, run=run)]
        assert len(runs) == 3
        assert row["value"] == pytest.approx(fmean(runs), abs=0.0051), row


def test_what_sam_saves_as_the_text_says() -> None:
    # Section 4.9: HCE lower by 0.27, and 1.31 minutes saved for one image.
    for metric, saved in (("hce", 0.27), ("minutes", 1.31)):
        (alone,) = values(table=7, metric=metric, detail="human", run="mean")
        (helped,) = values(table=7, metric=metric, detail="human_with_sam", run="mean")
        assert alone - helped == pytest.approx(saved)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("tables_2_3.csv", "2,Aorta,CT,", "2,Aorta,Fundus,", "line 2: 'Aorta-Fundus' is not known; restore"),
        ("tables_2_3.csv", "57.87", "57.B7", "tables_2_3.csv, line 2: .*'57.B7'; restore it"),
        ("table_4.csv", "vit_h", "vit_l", "table_4.csv, line 3: 'vit_l' is not known"),
        ("table_6.csv", "aspect_ratio", "aspect", "table_6.csv, line 2: 'aspect_ratio' is not known"),
        ("table_7.csv", ",4.21,", ",,", "table_7.csv, line 3: could not convert"),
        ("table_8.csv", ",29.93", "", "table_8.csv, line 13: could not convert"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    shutil.copytree(paper.FOLDER, tmp_path, dirs_exist_ok=True)
    assert paper.table(tmp_path).equals(paper.table())
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as raised:
        paper.table(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("file", sorted(COPIES))
def test_a_missing_file_is_one_line(tmp_path: Path, file: str) -> None:
    shutil.copytree(paper.FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / file).unlink()
    with pytest.raises(InputError, match=rf"{re.escape(file)} can't be read \(.*; restore it or install"):
        paper.table(tmp_path)
