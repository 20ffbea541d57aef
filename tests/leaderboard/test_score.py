import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from leaderboard import score as scoring
from leaderboard.models.base import Candidates
from leaderboard.score import SCORES_SCHEMA, failed, score
from leaderboard.strategies import Prompts
from tests.leaderboard.dataset import SmallCase, Thing, cases, rectangle, rows
from tests.leaderboard.segmenters import Image, Mask, Scripted, candidates, declaration, guesser

SIZE = (12, 16)
#: 8×8 pixels, its left half, all of the picture, none of it.
SQUARE = rectangle(2, 2, 9, 9, SIZE)
HALF = rectangle(2, 2, 5, 9, SIZE)
ALL = rectangle(0, 0, 15, 11, SIZE)
NONE = np.zeros(SIZE, bool)
#: What HALF scores against SQUARE: 2·32 / (32 + 64), 32 / 64, from column 9 to column 5.
HALF_DICE, HALF_JACCARD, HALF_HD = 2 / 3, 0.5, 4.0


def gray(value: int = 0) -> Image:
    return np.full(SIZE, value, np.uint8)


def table(*things: Thing, pictures: Iterable[Image] = (gray(),)) -> pa.Table:
    return rows("s", SmallCase("c", "p", tuple((picture, things) for picture in pictures)))


def fixed(*answers: Candidates) -> Scripted:
    """Answers every image's objects with these, in turn."""
    return Scripted(declaration(), lambda image, prompts: answers)


def scored_square(masks: list[Mask], ratings: list[float]) -> dict[str, Any]:
    found = score(fixed(candidates(masks, ratings)), table(Thing("Liver", SQUARE)), ["S5"], "v")
    (row,) = found.to_pylist()
    return dict(row)


def chosen(row: dict[str, Any], selection: str) -> dict[str, Any]:
    end = f"_{selection}"
    return {name.removesuffix(end): value for name, value in row.items() if name.endswith(end)}


NOTHING = {"dice": 0.0, "jaccard": 0.0, "hausdorff": None, "assd": None}
PERFECT = {"dice": 1.0, "jaccard": 1.0, "hausdorff": 0.0, "assd": 0.0}


def test_the_oracle_takes_the_best_and_the_model_what_it_rates_highest() -> None:
    row = scored_square([HALF, SQUARE, ALL], [0.75, 0.25, 0.5])
    assert row["status"] == "scored"
    assert chosen(row, "oracle") == {**PERFECT, "candidate": 1, "predicted_iou": 0.25}
    own = chosen(row, "predicted_iou")
    assert own.pop("assd") > 0
    assert own == {
        "dice": pytest.approx(HALF_DICE), "jaccard": HALF_JACCARD, "hausdorff": HALF_HD,
        "candidate": 0, "predicted_iou": 0.75,
    }  # fmt: skip


def test_the_other_metrics_are_those_of_the_mask_with_the_highest_dice() -> None:
    # The frame's DICE is lower than HALF's, its Hausdorff distance smaller.
    frame = (
        SQUARE & ~rectangle(4, 4, 7, 7, SIZE) & ~rectangle(3, 3, 8, 5, SIZE) & ~rectangle(3, 6, 8, 8, SIZE)
    )
    row = scored_square([frame, HALF, NONE], [0.9, 0.1, 0.1])
    assert chosen(row, "predicted_iou")["dice"] < chosen(row, "oracle")["dice"]
    assert chosen(row, "predicted_iou")["hausdorff"] < chosen(row, "oracle")["hausdorff"] == HALF_HD


def test_ties_go_to_the_lowest_index() -> None:
    right = SQUARE & ~HALF
    row = scored_square([ALL, HALF, right], [0.5, 0.75, 0.75])
    assert row["candidate_oracle"] == 1
    assert row["candidate_predicted_iou"] == 1
    row = scored_square([SQUARE, SQUARE, SQUARE], [0.5, 0.5, 0.5])
    assert row["candidate_oracle"] == row["candidate_predicted_iou"] == 0


def test_empty_masks_count_0_and_have_no_distance() -> None:
    row = scored_square([NONE, NONE, NONE], [0.25, 0.75, 0.5])
    assert row["status"] == "empty"
    assert chosen(row, "oracle") == {**NOTHING, "candidate": 0, "predicted_iou": 0.25}
    assert chosen(row, "predicted_iou") == {**NOTHING, "candidate": 1, "predicted_iou": 0.75}


def test_an_empty_mask_that_the_model_prefers_is_its_own_choice_alone() -> None:
    row = scored_square([NONE, SQUARE, NONE], [0.25, 0.5, 0.75])
    assert row["status"] == "scored"
    assert chosen(row, "oracle") == {**PERFECT, "candidate": 1, "predicted_iou": 0.5}
    assert chosen(row, "predicted_iou") == {**NOTHING, "candidate": 2, "predicted_iou": 0.75}


def test_no_candidate_counts_as_empty() -> None:
    none = Candidates(np.zeros((0, *SIZE), bool), np.zeros(0, np.float32))
    (row,) = score(fixed(none), table(Thing("Liver", SQUARE)), ["S5"], "v").to_pylist()
    assert row["status"] == "empty"
    for selection in scoring.SELECTIONS:
        assert chosen(row, selection) == {**NOTHING, "candidate": None, "predicted_iou": None}


def test_one_candidate_is_both_choices() -> None:
    row = scored_square([HALF], [0.5])
    assert chosen(row, "oracle") == chosen(row, "predicted_iou")


def test_small_objects_are_no_prompts_and_no_scores() -> None:
    things = (
        Thing("Nodule", rectangle(0, 0, 9, 4, SIZE)),  # 50 pixels
        Thing("Liver", SQUARE),
        Thing("Lesion", rectangle(0, 9, 16, 11, SIZE) | rectangle(13, 0, 15, 0, SIZE), "1"),  # 51
    )
    asked = []

    def prompt(image: Image, prompts: Prompts) -> Iterator[Candidates]:
        asked.append(len(prompts))
        yield from [candidates([SQUARE], [0.5])] * len(prompts)

    found = score(Scripted(declaration(), prompt), table(*things), ["S5"], "v")
    assert asked == [2]
    assert found["object_index"].to_pylist() == [1, 2]
    assert found["object"].to_pylist() == ["Liver", "Lesion"]
    assert found["instance"].to_pylist() == [None, "1"]
    assert found["pair"].to_pylist() == ["Liver-CT", "Lesion-CT"]


def test_an_image_of_small_objects_alone_is_not_even_encoded() -> None:
    model = fixed()
    assert score(model, table(Thing("Nodule", rectangle(0, 0, 4, 4, SIZE))), ["S5"], "v").num_rows == 0
    assert model.embedded == 0


def test_overlapping_objects_are_each_scored_whole() -> None:
    model = fixed(candidates([SQUARE], [0.5]), candidates([ALL], [0.5]))
    found = score(model, table(Thing("Liver", SQUARE), Thing("Body", ALL)), ["S5"], "v")
    assert found["dice_oracle"].to_pylist() == [1.0, 1.0]


def test_an_image_that_a_model_fails_on_counts_0_and_leaves_the_others_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def prompt(image: Image, prompts: Prompts) -> Iterator[Candidates]:
        yield candidates([SQUARE], [0.5])
        if image[0, 0, 0] == 13:
            raise RuntimeError("an unlucky image")
        yield candidates([ALL], [0.5])

    given = table(Thing("Liver", SQUARE), Thing("Body", ALL), pictures=[gray(0), gray(13), gray(7)])
    with caplog.at_level(logging.WARNING):
        found = score(Scripted(declaration(), prompt), given, ["S5"], "v")
    assert found["status"].to_pylist() == ["scored"] * 2 + ["failed"] * 2 + ["scored"] * 2
    assert found["dice_oracle"].to_pylist() == [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]
    for row in found.to_pylist()[2:4]:
        for selection in scoring.SELECTIONS:
            assert chosen(row, selection) == {**NOTHING, "candidate": None, "predicted_iou": None}
    (message,) = caplog.messages
    assert "s/c/CT/1" in message
    assert "S5" in message
    assert "an unlucky image" in message


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([], "zip"),
        ([candidates([SQUARE], [0.5])] * 2, "zip"),
        ([candidates([SQUARE.T], [0.5])], "shape"),
        ([candidates([SQUARE[:1]], [0.5])], "shape"),
        ([Candidates(SQUARE[None].astype(np.float32), np.ones(1, np.float32))], "bool"),
        ([candidates([SQUARE, HALF], [0.5])], "rated"),
        ([candidates([SQUARE, HALF], [0.5, np.nan])], "rated"),
    ],
)
def test_an_answer_that_is_none_is_a_failure(
    answers: list[Candidates], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    (row,) = score(fixed(*answers), table(Thing("Liver", SQUARE)), ["S5"], "v").to_pylist()
    assert row["status"] == "failed"
    assert row["dice_oracle"] == row["dice_predicted_iou"] == 0.0
    assert message in caplog.text


def everything(*masks: Mask) -> Scripted:
    return Scripted(declaration(applies=("S1",), made_for=("S1",)), everything=lambda image: masks)


def test_everything_has_the_oracles_choice_alone() -> None:
    things = Thing("Body", ALL), Thing("Liver", SQUARE)
    model = everything(HALF, NONE, ALL, HALF)
    first, second = score(model, table(*things), ["S1"], "v").to_pylist()
    assert chosen(first, "oracle") == {**PERFECT, "candidate": 2, "predicted_iou": None}
    assert second["dice_oracle"] == pytest.approx(HALF_DICE)
    assert second["candidate_oracle"] == 0
    for row in (first, second):
        assert row["status"] == "scored"
        assert set(chosen(row, "predicted_iou").values()) == {None}
    assert model.embedded == 1


def test_everything_that_finds_nothing_or_fails() -> None:
    def fail(image: Image) -> Iterator[Mask]:
        yield SQUARE
        raise RuntimeError("lost")

    for model, status in (
        (everything(), "empty"),
        (everything(NONE), "empty"),
        (Scripted(declaration(applies=("S1",)), everything=fail), "failed"),
    ):
        (row,) = score(model, table(Thing("Liver", SQUARE)), ["S1"], "v").to_pylist()
        assert row["status"] == status
        assert row["dice_oracle"] == 0.0
        assert row["hausdorff_oracle"] is None
        assert set(chosen(row, "predicted_iou").values()) == {None}


def test_columns_and_the_order_of_rows() -> None:
    given = rows("s", *cases(2))
    model = guesser("guesser", applies=("S1", "S2", "S5"))
    found = score(model, given, ["S5", "S1", "S3", "S2"], "version")
    assert found.schema == SCORES_SCHEMA
    keys = [
        (row["image_id"], index, strategy)
        for row in given.to_pylist()
        for index, entry in enumerate(row["objects"])
        if entry["area"] > 50
        for strategy in ("S5", "S1", "S2")
    ]
    assert [(r["image_id"], r["object_index"], r["strategy"]) for r in found.to_pylist()] == keys
    assert set(found["status"].to_pylist()) == {"scored", "empty", "failed"}
    for name, value in (("model", "guesser"), ("source", "s"), ("source_version", "version")):
        assert set(found[name].to_pylist()) == {value}
    assert model.embedded == given.num_rows
    objects = [entry for row in given.to_pylist() for entry in row["objects"] if entry["area"] > 50]
    for name in ("object", "instance", "pair"):
        assert found[name].to_pylist()[::3] == [entry[name] for entry in objects]


def test_rows_given_up_have_the_keys_of_scored_ones() -> None:
    given = rows("s", *cases(2))
    model = guesser("guesser", applies=("S1", "S2"))
    scored = score(model, given, ["S1", "S2"], "v")
    lost = failed(model.declaration, given, ["S1", "S2"], "v")
    keys = SCORES_SCHEMA.names[: SCORES_SCHEMA.names.index("status")]
    assert lost.select(keys).equals(scored.select(keys))
    assert lost.schema == SCORES_SCHEMA
    assert set(lost["status"].to_pylist()) == {"failed"}
    assert set(lost["dice_oracle"].to_pylist()) == {0.0}
    own = {row["strategy"]: row["dice_predicted_iou"] for row in lost.to_pylist()}
    assert own == {"S1": None, "S2": 0.0}


def test_what_a_case_gives_is_held_to_the_version() -> None:
    # Other scores? Give `leaderboard.score.VERSION` a new number, or units with the old ones are kept.
    def prompt(image: Image, prompts: Prompts) -> Iterator[Candidates]:
        for number in range(len(prompts)):
            if prompts.boxes is not None:
                x0, y0, x1, y1 = prompts.boxes[number]
                mask = rectangle(x0, y0, x1, y1, SIZE)
            else:
                assert prompts.points is not None
                mask = np.zeros(SIZE, bool)
                mask[tuple(prompts.points[number].T[::-1])] = True
            yield candidates([NONE, mask, mask | HALF], [0.25, 0.75, 0.5])

    things = (Thing("Liver", SQUARE), Thing("Body", ALL & ~HALF))
    model = Scripted(declaration(applies=("S1", "S2", "S4", "S6")), prompt, lambda image: [SQUARE, HALF])
    found = score(model, table(*things), ["S1", "S2", "S4", "S6"], "v")
    plain = [
        [round(value, 6) if isinstance(value, float) else value for value in row.values()]
        for row in found.to_pylist()
    ]
    digest = hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]
    assert (scoring.VERSION, digest) == (2, "14a5ecd7b210b264")
