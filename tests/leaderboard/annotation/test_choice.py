"""Which images are drawn, held against slow loops over the stored scores."""

from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from cosmos1050k.errors import InputError
from leaderboard.annotation import choice
from leaderboard.annotation.choice import BAND, choose
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from tests.leaderboard.boards import Scored

MODEL = "better"
#: More than there are.
ALL = 10_000


@pytest.fixture(scope="module")
def reader(scored: Scored, board: Path, tmp_path_factory: pytest.TempPathFactory) -> BoardReader:
    state = tmp_path_factory.mktemp("state")
    publish(board, state)
    return BoardReader(state)


@pytest.fixture(scope="module")
def dice(scored: Scored, reader: BoardReader) -> dict[str, dict[str, float]]:
    """Pair → image of the board → mean DICE of the model under S5."""
    on_board = {
        (row["image_id"], row["object_index"])
        for row in reader.rows("select image_id, object_index from objects where on_board")
    }
    values: dict[tuple[str, str], list[float]] = {}
    for source in scored.sources:
        for row in pq.read_table(scored.scores / MODEL / f"{source}.parquet").to_pylist():
            if row["strategy"] == "S5" and (row["image_id"], row["object_index"]) in on_board:
                values.setdefault((row["pair"], row["image_id"]), []).append(row["dice_oracle"])
    found: dict[str, dict[str, float]] = {}
    for (pair, image), own in values.items():
        found.setdefault(pair, {})[image] = fmean(own)
    return found


def test_all_that_is_average_is_drawn_in_the_end_and_nothing_else(
    reader: BoardReader, dice: dict[str, dict[str, float]]
) -> None:
    away: dict[str, list[float]] = {}
    for own in dice.values():
        for image, value in own.items():
            away.setdefault(image, []).append(value - fmean(own.values()))
    average = {image for image, values in away.items() if abs(fmean(values)) <= BAND}
    every = set(away)
    found = choose(reader, MODEL, ALL, seed=0)
    assert len(found) == len(set(found))
    assert set(found) == average
    assert 10 < len(average) < len(every)


def test_a_seed_draws_the_same_and_fewer_are_the_first_of_more(reader: BoardReader) -> None:
    found = choose(reader, MODEL, ALL, seed=0)
    assert choose(reader, MODEL, ALL, seed=0) == found
    assert choose(reader, MODEL, 5, seed=0) == found[:5]
    other = choose(reader, MODEL, ALL, seed=1)
    assert sorted(other) == sorted(found)
    assert other != found


def test_every_modality_and_pair_comes_early_and_none_much_more_often(
    reader: BoardReader, dice: dict[str, dict[str, float]]
) -> None:
    for seed in range(5):
        found = choose(reader, MODEL, 8, seed)
        assert {image.split("/")[2] for image in found[:2]} == {"CT", "Colonoscopy"}
        counts = Counter(pair for image in found for pair, own in dice.items() if image in own)
        assert set(counts) == set(dice)
        assert counts["Lesion-Colonoscopy"] >= 2


def test_an_image_that_the_model_failed_on_is_never_drawn(
    scored: Scored, reader: BoardReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = {
        row["image_id"]
        for source in scored.sources
        for row in pq.read_table(scored.scores / "worse" / f"{source}.parquet").to_pylist()
        if row["status"] == "failed"
    }
    monkeypatch.setattr(choice, "BAND", 1)
    found = choose(reader, "worse", ALL, seed=0)
    assert found
    assert failed
    assert not failed & set(found)


def test_an_image_is_average_as_a_whole() -> None:
    """Of two pairs one good and one bad cancel out; one average and one bad do not."""

    class Two(Five):
        def rows(self, *_: object) -> list[dict[str, Any]]:
            values = {"cancels": (0.6, 0.4), "half": (0.5, 0.3), "fails": (0.5, 0.5), "both": (0.52, 0.5)}
            return [
                {"image_id": image, "pair": pair, "dice": value, "mean": 0.5, "failed": image == "fails"}
                for image, own in values.items()
                for pair, value in zip(self.PAIRS, own, strict=False)
            ]

    assert set(choose(cast(BoardReader, Two()), MODEL, ALL, 0)) == {"cancels", "both"}


class Five:
    """A board of five pairs with four pictures of their own each, of which the last is far from the mean."""

    PAIRS = ("A-CT", "B-CT", "C-CT", "A-MRI", "D-US")

    def rows(self, *_: object) -> list[dict[str, Any]]:
        dice = {"0": 0.5, "1": 0.54, "2": 0.46, "3": 0.56}
        return [
            {"image_id": f"{pair}/{number}", "pair": pair, "dice": value, "mean": 0.5, "failed": False}
            for pair in self.PAIRS
            for number, value in dice.items()
        ]

    def pair_list(self) -> list[dict[str, Any]]:
        parts = [(pair, *pair.split("-")) for pair in self.PAIRS]
        return [{"pair": pair, "object": thing, "modality": modality} for pair, thing, modality in parts]


def test_of_equal_pairs_the_rarer_modality_then_the_rarer_object_comes_first() -> None:
    orders = set()
    for seed in range(20):
        found = choose(cast(BoardReader, Five()), MODEL, ALL, seed)
        pairs = [image.split("/")[0] for image in found]
        assert len(found) == 15
        assert not any(image.endswith("/3") for image in found)
        for start in (0, 5, 10):
            assert set(pairs[start : start + 5]) == set(Five.PAIRS)
        assert {pair.split("-")[1] for pair in pairs[:3]} == {"CT", "MRI", "US"}
        assert "A-CT" in (*pairs[:3], pairs[4])  # of CT the object that another modality shows comes last
        orders.add(tuple(found))
    assert len(orders) == 20


@pytest.mark.parametrize("model", ["points", "nobody"])
def test_a_model_without_the_box_on_the_board_has_none(reader: BoardReader, model: str) -> None:
    with pytest.raises(InputError, match=f"^{model}: no scores of a whole pair under S5 on the board; run"):
        choose(reader, model, 5, seed=0)
