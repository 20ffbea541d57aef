"""Table 5 and figure 11: what was measured of everything by grids of points, as it was measured."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cosmos1050k import pictures, shards, sources
from leaderboard import measurements
from leaderboard.analyses import drawing, figure_11, table_5
from leaderboard.analyses.given import Given
from leaderboard.demo.samples import Samples
from leaderboard.studies import everything_grid
from leaderboard.studies.everything_grid import Drawn, EverythingGrid, Example, OnPair
from tests.leaderboard.analyses import planted
from tests.leaderboard.analyses.recomputed import rows

GRIDS = (8, 16)
IMAGE = f"{planted.SOURCE}/case1/CT/2"
#: Of 48×64 pixels, a mask in the upper left and one below it.
LABELS = np.zeros((48, 64), np.uint8)
LABELS[2:20, 3:30], LABELS[20:40, 3:30] = 1, 2


def example(source: str = planted.SOURCE) -> Example:
    labels = base64.b64encode(pictures.encode(LABELS)).decode()
    drawn = [Drawn(points=points, masks=points // 4, dice=points / 100, labels=labels) for points in GRIDS]
    return Example(source=source, image_id=IMAGE, objects=2, grids=tuple(drawn))


def measured(given: Given, folder: Path, examples: Sequence[Example] = (), **changes: Any) -> Given:
    """The board with a record of the model `planted`, and of `tuned` one that says that it takes no grid."""
    own: dict[str, Any] = {
        "version": 1, "weights_sha256": None, "device": "cpu", "numerics": "float32",
        "sources": {planted.SOURCE: shards.load_manifest(given.data / planted.SOURCE).version},
    }  # fmt: skip
    pairs = [
        OnPair(source=planted.SOURCE, pair=pair, points=points, images=4, objects=objects,
               dice=(points + objects) / 100, masks=points / 3)
        for pair, objects in (("Lesion-CT", 5), ("Liver-MRI", 7))
        for points in GRIDS
    ]  # fmt: skip
    found = EverythingGrid(
        model="planted", images=8, objects=12, pairs=tuple(pairs), examples=tuple(examples), **own | changes
    )
    measurements.write(found, folder / everything_grid.GRIDS.name)
    without = EverythingGrid(model="tuned", limits="needs a box", **own)
    measurements.write(without, folder / everything_grid.GRIDS.name)
    return replace(given, measured=folder)


def test_table_5_is_what_was_measured_in_per_cent(given: Given, tmp_path: Path) -> None:
    section = table_5.section(measured(given, tmp_path))
    found = [tuple(row.values()) for row in rows(section)]
    assert found == [
        ("planted", planted.SOURCE, pair, f"{points}×{points}", 4, objects, pytest.approx(points + objects),
         pytest.approx(points / 3))
        for pair, objects in (("Lesion-CT", 5), ("Liver-MRI", 7))
        for points in GRIDS
    ]  # fmt: skip
    assert section.figure is not None
    curves = {trace.name: list(trace.y) for trace in section.figure.data}
    assert curves == {f"{planted.SOURCE}, Lesion-CT": [13, 21], f"{planted.SOURCE}, Liver-MRI": [15, 23]}
    assert all(list(trace.x) == ["8×8", "16×16"] for trace in section.figure.data)
    for words in ("1 model ", "up to 12 objects of 8 test images", "none of the paper's four", "too damaged"):
        assert words in section.sentence


def test_it_says_whether_the_sources_are_the_paper_s_and_marks_phantoms(
    given: Given, phantom: Given, tmp_path: Path
) -> None:
    of_paper = measured(given, tmp_path / "paper", of_paper=True)
    assert "those of the paper's four that are on this board" in table_5.section(of_paper).sentence
    section = table_5.section(measured(phantom, tmp_path / "phantom"))
    for row in rows(section):
        assert row["Source"] == f"{planted.SOURCE} (phantom)"
        assert row["Pair"].endswith(" (phantom)")


@pytest.mark.parametrize(
    "changes", [{"version": 2}, {"sources": {planted.SOURCE: "older"}}, {"limits": "no"}]
)
def test_without_a_record_of_the_board_s_own_it_says_what_to_do(
    given: Given, tmp_path: Path, changes: dict[str, Any]
) -> None:
    board = measured(given, tmp_path, [example()], **changes)
    for analysis in (table_5, figure_11):
        section = analysis.section(board)
        assert "`make repro` does" in section.missing
        assert section.table is section.figure is None


def test_a_model_that_failed_is_named_with_what_to_do(given: Given, tmp_path: Path) -> None:
    board = measured(given, tmp_path, [example()])
    record = EverythingGrid.model_validate_json((tmp_path / "everything_grid" / "tuned.json").read_bytes())
    failed = record.model_copy(update={"limits": "", "failed": "tuned failed on x: no; mend the model"})
    measurements.write(failed, tmp_path / everything_grid.GRIDS.name)
    told = "tuned failed on x: no; mend the model, then run `dvc repro -f -s study@tuned` and `make repro`."
    section = table_5.section(board)
    assert {row["Model"] for row in rows(section)} == {"planted"}
    assert section.sentence.endswith(f" {told}")
    assert figure_11.section(board).missing.endswith(f" {told}")  # no picture may be shown
    (tmp_path / "everything_grid" / "planted.json").unlink()
    for analysis in (table_5, figure_11):
        assert analysis.section(board).missing == told


def test_figure_11_shows_the_masks_of_sources_that_may_be_shown(phantom: Given, tmp_path: Path) -> None:
    closed = next(slug for slug in sources.slugs() if not sources.get(slug).SOURCE.redistributable)
    section = figure_11.section(measured(phantom, tmp_path, [example(closed), example()]))
    assert "1 image; 1 source more may not be shown" in section.sentence
    assert " failed " not in section.sentence
    assert closed not in str(section)
    told = f"{planted.SOURCE} (phantom)"
    assert [tuple(row.values()) for row in rows(section)] == [
        (told, IMAGE, f"{points}×{points}", points // 4, 2, float(points)) for points in GRIDS
    ]
    assert section.figure is not None
    titles = [one.text for one in section.figure.layout.annotations]
    assert titles == [told, "8×8: 8.0 %", "16×16: 16.0 %"]
    shown = [picture_of(trace) for trace in section.figure.data]
    sample = Samples(phantom.data).load(IMAGE)
    gray = np.repeat(sample.picture[..., None], 3, axis=2)
    objects = np.any([entry.mask for entry in sample.objects if entry.scored], axis=0)
    for picture, labels in ((shown[0], objects), (shown[1], LABELS > 0), (shown[2], LABELS > 0)):
        changed = (picture != gray).any(axis=2)
        assert changed[labels].all()
        # Beside masks the lines around them alone.
        assert not changed[~labels][(picture[~labels] != 255).any(axis=1)].any()


def test_pictures_that_may_not_be_passed_on_are_not_drawn(given: Given, tmp_path: Path) -> None:
    section = figure_11.section(measured(given, tmp_path, [example()]))
    assert section.figure is section.table is None
    assert "may be shown" in section.missing


@pytest.mark.parametrize("channels", [(), (3,)])
def test_masks_are_tinted_each_in_its_colour_and_parted_by_white(channels: tuple[int, ...]) -> None:
    picture = np.full((96, 128, *channels), 100, np.uint8)
    found = drawing.painted(picture, LABELS)
    assert found.shape == (48, 64, 3)
    assert (found[45, 40] == 100).all()
    tints = found[10, 10], found[30, 10]
    assert (tints[0] != tints[1]).any()
    assert (found[5:19, 6:29] == tints[0]).all()
    assert (found[22:39, 6:29] == tints[1]).all()
    assert (found[20, 4:30] == 255).all()


def picture_of(trace: Any) -> NDArray[np.uint8]:
    kind, _, told = trace.source.partition(",")
    assert kind == "data:image/png;base64"
    return pictures.decode(base64.b64decode(told))
