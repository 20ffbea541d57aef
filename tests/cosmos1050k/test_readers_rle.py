"""Run lengths are what a literal loop draws; a row that is none costs its own image one line."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos1050k import readers
from cosmos1050k.errors import BadFile
from cosmos1050k.readers import rle
from tests.cosmos1050k.bad_input import on_mutations, one_line, slices

#: Stage 1's spelling and stage 2's.
HEADERS = ["ImageId, EncodedPixels", "ImageId,EncodedPixels"]


def drawn(rows: list[str], height: int, width: int) -> np.ndarray:
    """A pixel at a time, as the owner's own text says: down the columns, starts relative to the last end."""
    picture = [[0] * width for _ in range(height)]
    for runs in rows:
        numbers = [int(text) for text in runs.split()]
        place = 0
        while numbers:
            place += numbers.pop(0)
            for _ in range(numbers.pop(0)):
                picture[place % height][place // height] = 1
                place += 1
    return np.array(picture, np.uint8)


def written(mask: np.ndarray) -> str:
    """The runs of a mask, found the other way round: by where the columns laid end to end change."""
    flat = np.concatenate([[0], mask.T.ravel(), [0]]).astype(int)
    bounds = np.flatnonzero(np.diff(flat))
    steps = np.diff(np.concatenate([[0], bounds]))
    return " ".join(map(str, steps))


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([HEADERS[0], *lines]) + "\n")
    return path


def mask_of(path: Path, image: str, height: int, width: int) -> np.ndarray:
    volume = readers.guarded(rle.read_rows, path, path.name, image, (height, width))
    (found,) = slices(volume)
    assert volume.array.shape == (width, height, 1)
    assert found.dtype == np.uint8
    return found


def refused(path: Path, image: str = "a") -> str:
    with pytest.raises(BadFile) as caught:
        mask_of(path, image, 4, 5)
    return one_line(caught.value, path.name).problem


def test_a_case_worked_by_hand(tmp_path: Path) -> None:
    """4 rows, 5 columns. 2 3 starts at pixel 2, row 2 of column 0, and ends before pixel 5: two pixels of
    column 0, one of column 1. 4 1 starts 4 behind that end: pixel 9, row 1 of column 2.
    """
    path = table(tmp_path / "a.csv", "a, 2 3 4 1")
    expected = [
        [0, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [1, 0, 0, 0, 0],
        [1, 0, 0, 0, 0],
    ]
    assert mask_of(path, "a", 4, 5).tolist() == expected


@given(data=st.data(), height=st.integers(1, 9), width=st.integers(1, 9), header=st.sampled_from(HEADERS))
def test_any_masks_are_the_literal_loops(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, height: int, width: int, header: str
) -> None:
    bits = st.lists(st.booleans(), min_size=height * width, max_size=height * width)
    masks = [np.reshape(data.draw(bits), (height, width)) for _ in range(data.draw(st.integers(1, 3)))]
    rows = [written(mask) for mask in masks if mask.any()]
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text("\n".join([header, "other, -1", *(f"a, {runs}" for runs in rows or ["-1"])]) + "\n")
    found = mask_of(path, "a", height, width)
    assert np.array_equal(found, np.any(masks, axis=0))
    assert np.array_equal(found, drawn(rows, height, width))


def test_which_images_have_runs(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "b, -1", "a, 0 1", "c,-1", "a, 5 1", "d, -1", "d, 3 2")
    assert rle.have_runs(path, path.name) == {"b": False, "a": True, "c": False, "d": True}
    assert mask_of(path, "a", 2, 3).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert not mask_of(path, "b", 2, 3).any()
    assert mask_of(path, "d", 2, 3).sum() == 2


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("0 1 2", "line 3, image a: 3 numbers, expected pairs of a start and a length"),
        ("", "line 3, image a: 0 numbers, expected pairs of a start and a length"),
        ("0 1 x 2", "line 3, image a: 'x' is no number"),
        ("0 1.5", "line 3, image a: '1.5' is no number"),
        ("0 +-1", "line 3, image a: '+-1' is no number"),
        ("0 " + "9" * 5000, f"line 3, image a: '{'9' * 40}' is no number"),
        ("18 3", "line 3, image a: a run of pixels 18 to 21 in a picture of 20"),
        ("5 2 -4 1", "line 3, image a: a run of pixels 3 to 4 in a picture of 20"),
        ("5 0", "line 3, image a: a run of pixels 5 to 5 in a picture of 20"),
        ("5 -1", "line 3, image a: a run of pixels 5 to 4 in a picture of 20"),
        (
            "999999999999 1",
            "line 3, image a: a run of pixels 999999999999 to 1000000000000 in a picture of 20",
        ),
    ],
)
def test_a_row_that_is_none(tmp_path: Path, row: str, problem: str) -> None:
    path = table(tmp_path / "a.csv", "b, 3 4", f"a, {row}")
    assert refused(path) == problem
    assert mask_of(path, "b", 4, 5).sum() == 4  # other images are as they were


def test_a_table_that_breaks_off(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "b, 3 4")
    path.write_text(path.read_text() + "a")
    assert "0 numbers" in refused(path)
    assert mask_of(path, "b", 4, 5).sum() == 4


def test_an_image_without_a_row(tmp_path: Path) -> None:
    assert refused(table(tmp_path / "a.csv", "b, 3 4")) == "no row of the image a"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "no column ImageId"),
        (b"ImageId\na\n", "no column EncodedPixels"),
        (b"\xff\xfe\0I\0m", "not a CSV table"),
        (b"ImageId,EncodedPixels\na,\"1 2\n", "not a CSV table"),
        (b"ImageId,EncodedPixels\na," + b"1 " * 100_000, "not a CSV table"),
    ],
)  # fmt: skip
def test_what_is_no_table(tmp_path: Path, data: bytes, problem: str) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    assert refused(tmp_path / "a.csv").startswith(problem)
    with pytest.raises(BadFile):
        rle.have_runs(tmp_path / "a.csv", "a.csv")


def test_a_missing_table_and_an_absurd_picture(tmp_path: Path) -> None:
    assert "not in" in refused(tmp_path / "a.csv")
    path = table(tmp_path / "a.csv", "a, 0 1")
    with pytest.raises(BadFile, match="promises"):
        rle.read_rows(path, path.name, "a", (10**6, 10**6))
    with pytest.raises(BadFile, match="of shape"):
        rle.read_rows(path, path.name, "a", (0, 5))


def test_a_byte_order_mark_and_further_columns(tmp_path: Path) -> None:
    text = "n,EncodedPixels ,ImageId\r\n1,0 2,a\r\n"
    (tmp_path / "a.csv").write_text(text, encoding="utf-8-sig", newline="")
    assert mask_of(tmp_path / "a.csv", "a", 2, 2).tolist() == [[1, 0], [1, 0]]


def test_a_table_is_parsed_once_until_it_changes(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "a, 0 1")
    before = rle._parsed.cache_info()
    for _ in range(3):
        assert mask_of(path, "a", 2, 2).sum() == 1
    after = rle._parsed.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 2)
    table(path, "a, 0 3")
    os.utime(path, ns=(1, 1))
    assert mask_of(path, "a", 2, 2).sum() == 3


def test_mutations_are_refused_or_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    others = "".join(f"image{number}, -1\n" for number in range(20))
    sound = [f"{header}\na, 2 3 4 1\n{others}a, 0 1\n".encode() for header in HEADERS]

    def accepts(data: bytes) -> None:
        path.write_bytes(data)
        rle._parsed.cache_clear()  # equal sizes at equal times
        mask_of(path, "a", 4, 5)

    assert 6 < on_mutations(sound, accepts) < 57
