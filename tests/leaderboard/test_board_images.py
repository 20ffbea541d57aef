"""A few images stand for all: every pair, every case, and the middle of a case, before a second of either."""

from pathlib import Path

import numpy as np
import pytest

from cosmos1050k.errors import InputError
from leaderboard.board_images import BoardImages, _middles, board_images
from tests.leaderboard import dataset
from tests.leaderboard.dataset import SmallCase, Thing

SIZE = (40, 40)


def square(of: str, side: int) -> Thing:
    mask = np.zeros(SIZE, bool)
    mask[:side, :side] = True
    return Thing(of, mask)


def case(name: str, *slices: tuple[Thing, ...]) -> SmallCase:
    return SmallCase(name, name, tuple((np.zeros(SIZE, np.uint8), own) for own in slices))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    liver, speck, kidney = square("Liver", 20), square("Liver", 5), square("Kidney", 10)
    long = [(liver,)] * 7
    long[0] = (speck,)  # never shown: it is not scored
    dataset.build(
        folder,
        "one",
        [case("long", *long), case("short", (liver, kidney)), case("other", (liver,), (liver,))],
    )
    return folder


def test_the_next_case_comes_before_the_next_slice_and_the_middle_first(data: Path) -> None:
    board = BoardImages(data, ["one"])
    found = list(board.of_pair("Liver-CT"))
    assert len(found) == len(set(found)) == 6 + 1 + 2
    assert {place.case.case for place in found[:3]} == {"long", "short", "other"}
    assert {place.case.case for place in found[3:5]} == {"long", "other"}
    rows = [board.read(place)["image_id"].rsplit("/", 1)[-1] for place in found if place.case.case == "long"]
    assert rows == ["4", "2", "6", "1", "3", "5"]


def test_every_pair_has_its_turn_and_no_image_comes_twice(data: Path) -> None:
    board = BoardImages(data, ["one"])
    first = board.first(2)
    assert "short" in {place.case.case for place in first}  # alone has the kidney
    every = board.first(100)
    assert every[:2] == first
    assert len(every) == len(set(every)) == 9
    shown = board_images(data, ["one"], 100)
    assert shown.num_rows == 9
    assert all(any(entry["area"] > 50 for entry in row) for row in shown["objects"].to_pylist())


@pytest.mark.parametrize("length", [0, 1, 2, 3, 10, 33])
def test_middles_are_all_places_once(length: int) -> None:
    found = list(_middles(length))
    assert sorted(found) == list(range(length))
    assert not found or found[0] == length // 2


def test_nothing_to_show_is_one_line(data: Path) -> None:
    dataset.build(data, "small", [case("case", (square("Liver", 5),))])
    with pytest.raises(InputError, match="no test case of small; build a source that has one"):
        board_images(data, ["small"], 5)
