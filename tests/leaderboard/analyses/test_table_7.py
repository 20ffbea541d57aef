"""Table 7 on planted records."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosmos1050k.errors import InputError
from leaderboard import measurements, paper
from leaderboard.analyses import table_7
from leaderboard.analyses.given import Given
from leaderboard.annotation import result
from leaderboard.annotation.result import FOUND, Annotation, Work
from leaderboard.studies.correction import CORRECTION, Correction
from leaderboard.studies.effort import Effort

OWN: dict[str, Any] = {"model": "planted", "version": 1, "weights_sha256": None}
EFFORTS = {
    name: Effort(per_object=number, per_image=2.5 * number)
    for name, number in (("oracle", 6), ("predicted_iou", 7), ("nothing", 20))
}


def measured(given: Given, **changes: Any) -> None:
    values = {
        **OWN,
        "sources": given.versions,
        "device": "cpu",
        "numerics": "float32",
        "images": 4,
        "objects": 10,
    }
    measurements.write(
        Correction(**values | {"efforts": EFFORTS} | changes), given.measured / CORRECTION.name
    )


def imported(given: Given, **changes: Any) -> None:
    def work(clicks: float, minutes: float) -> Work:
        return Work(effort=Effort(per_object=clicks, per_image=3 * clicks), minutes=minutes)

    people = {
        "ann": {"scratch": work(4, 4), "corrected": work(3, 1)},
        "<b>bob</b>": {"scratch": work(5, 5)},
    }
    values = {
        **OWN, "study": "trial", "study_sha256": "0", "sources": given.versions, "images": 2, "objects": 6,
        "relax": 5, "presegmented": Effort(per_object=8, per_image=24), "annotators": people,
    }  # fmt: skip
    result.write(Annotation(**values | changes), given.measured / FOUND.name)


@pytest.fixture
def own(given: Given, tmp_path: Path) -> Given:
    """The planted board, of which neither was measured yet."""
    return replace(given, measured=tmp_path)


def rows(given: Given) -> list[dict[str, Any]]:
    section = table_7.section(given)
    assert section.table is not None
    assert section.figure is not None
    return section.table.to_pylist()


def test_models_and_people_stand_beside_the_paper_s(own: Given) -> None:
    measured(own)
    imported(own)
    found = {(row["Who"], row["Masks"].split(" (")[0], row["On"]): row for row in rows(own)}
    model = found["planted", "the model alone", "test images"]
    assert [model[name] for name in ("Images", "Objects", "HCE per object", "HCE per image")] == [
        4,
        10,
        6,
        15,
    ]
    assert (model["HCE per object, by predicted IoU"], model["HCE per object, empty masks"]) == (7, 20)
    # The planted latency: 250 ms of the encoder, 4 ms of each of 2.5 objects.
    assert model["Seconds per image"] == pytest.approx(0.26)
    assert found["planted", "the model alone", "trial"]["HCE per object"] == 8
    ann = found["ann", "adjusting the model's masks", "trial"]
    assert (ann["HCE per object"], ann["HCE per image"], ann["Seconds per image"]) == (3, 9, 60)
    mean = found["2 people, mean", "from scratch", "trial"]
    assert (mean["HCE per object"], mean["HCE per image"], mean["Seconds per image"]) == (4.5, 13.5, 270)
    assert [who for who, did, on in found if on == "trial" and did.startswith("adjusting")] == ["ann"]
    with (paper.FOLDER / "table_7.csv").open(newline="") as file:
        theirs = {row["doctor"]: row for row in csv.DictReader(file)}
    second = found["Paper, doctor 2", "from scratch", None]
    assert second["Paper's HCE"] == float(theirs["2"]["human_hce"])
    assert second["Seconds per image"] == pytest.approx(60 * float(theirs["2"]["human_minutes"]))
    means = found["Paper, 3 doctors, mean", "adjusting the model's masks", None]
    assert means["Paper's HCE"] == float(theirs["mean"]["human_with_sam_hce"])
    sam = found["Paper, SAM", "the model alone", None]
    assert (sam["Paper's HCE"], sam["Seconds per image"]) == (5.66, 0.47)
    assert len(found) == 1 + 1 + 3 + 1 + 9
    sentence = table_7.section(own).sentence
    assert "1 model under S5" in sentence
    assert "10 objects of 4 test images of the board's sources, spread over pairs and cases" in sentence
    assert "of 2 who annotated" in sentence
    assert "neither which SAM it took nor whether it counts per object or per image" in sentence


def test_the_paper_s_numbers_are_not_in_the_figure(own: Given) -> None:
    measured(own)
    imported(own)
    section = table_7.section(own)
    assert section.figure is not None
    (trace,) = section.figure.data
    here = [row["HCE per object"] for row in rows(own) if row["Paper's HCE"] is None]
    here = [value for value in here if value is not None]
    assert list(trace.x) == here
    assert not any(name.startswith("Paper") for name in trace.y)
    assert "given each object's true box (objects.csv)" in section.sentence


@pytest.mark.parametrize(
    ("changes", "mark"),
    [
        ({"version": 2}, "other weights than the board's"),
        ({"weights_sha256": "0" * 64}, "other weights than the board's"),
        ({"model": "gone"}, "not on this board"),
    ],
)
def test_a_study_of_a_model_that_is_not_the_board_s_says_so(
    own: Given, changes: dict[str, Any], mark: str
) -> None:
    imported(own, **changes)
    name = changes.get("model", "planted")
    found = [(row["Who"], row["Masks"]) for row in rows(own) if row["On"] == "trial"]
    assert (f"{name} ({mark})", "the model alone") in found
    assert ("ann", f"adjusting the model's masks ({name}; {mark})") in found
    assert ("ann", "from scratch") in found
    assert len(found) == 5


def test_a_study_alone_is_enough(own: Given) -> None:
    imported(own)
    assert {row["On"] for row in rows(own)} == {"trial", None}


def test_what_is_of_other_data_or_weights_is_not_shown(own: Given) -> None:
    assert "run `make repro`" in table_7.section(own).missing
    measured(own, version=2)
    imported(own, sources={"toy": "another"})
    assert table_7.section(own).table is None
    measured(own, efforts={}, images=0, objects=0, limits="takes no box")
    assert table_7.section(own).table is None


def test_a_model_that_failed_is_named_with_what_to_do(own: Given) -> None:
    measured(own)
    line = "tuned failed on x: no; mend the model"
    measured(own, model="tuned", efforts={}, images=0, objects=0, failed=line)
    told = f"{line}, then run `dvc repro -f -s study@tuned` and `make repro`."
    assert {row["Who"] for row in rows(own) if row["On"]} == {"planted"}
    assert table_7.section(own).sentence.endswith(f" {told}")
    (own.measured / CORRECTION.name / "planted.json").unlink()
    assert table_7.section(own).missing == told


def test_a_record_from_before_failures_were_kept_apart_is_read(own: Given) -> None:
    measured(own)
    path = own.measured / CORRECTION.name / "planted.json"
    found = json.loads(path.read_text())
    assert found.pop("failed") == ""
    path.write_text(json.dumps(found))
    assert [row["HCE per object"] for row in rows(own) if row["On"]] == [6]


def test_a_damaged_study_is_one_line(own: Given) -> None:
    imported(own)
    path = own.measured / FOUND.name / "trial.json"
    path.write_text(path.read_text()[:-9])
    with pytest.raises(InputError, match=r"trial\.json: damaged or of another release; remove it and run"):
        table_7.section(own)


def test_beside_synthetic_images_there_is_none_of_the_paper_s(phantom: Given, tmp_path: Path) -> None:
    own = replace(phantom, measured=tmp_path)
    measured(own)
    assert [row["Paper's HCE"] for row in rows(own)] == [None]
    assert "none of the paper's beside synthetic images" in table_7.section(own).sentence
