"""The effort to correct a model's masks: counted by hand on rectangles, and who is asked for which mask."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cosmos1050k import pictures, shards
from cosmos1050k.errors import InputError
from leaderboard import measurements, models, score
from leaderboard.board_images import board_images
from leaderboard.machine import Machine
from leaderboard.models.base import Answer, Segmenter
from leaderboard.strategies import STRATEGIES, Prompts, prompts
from leaderboard.studies import correction
from leaderboard.studies.effort import Effort, correction_effort
from leaderboard.studies.options import StudyOptions
from tests.leaderboard import dataset
from tests.leaderboard.dataset import SmallCase, Thing, rectangle
from tests.leaderboard.segmenters import candidates, declaration

SIZE = (120, 160)
LIVER, KIDNEY = rectangle(20, 20, 79, 69, SIZE), rectangle(100, 20, 149, 69, SIZE)
#: Clicks to draw a rectangle, by hand in `test_effort`.
DRAWN = 9


def case(name: str, *masks: NDArray[np.bool_]) -> SmallCase:
    """A picture of all these livers."""
    return SmallCase(name, name, ((np.zeros(SIZE, np.uint8), tuple(Thing("Liver", one) for one in masks)),))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image of two rectangles, one of one; and of a case the first is too small."""
    folder = tmp_path_factory.mktemp("built")
    dataset.build(folder, "first", [case("two", LIVER, KIDNEY), case("one", LIVER)])
    first, second = (case("small", mask).slices[0] for mask in (rectangle(0, 0, 4, 4, SIZE), LIVER))
    dataset.build(folder, "small", [SmallCase("small", "small", (first, second))])
    return folder


def found(model: str, data: Path, images: int = 9, source: str = "first") -> correction.Correction:
    record: correction.Correction = correction.STUDY.measure(
        model, data, [source], StudyOptions(images=images), Machine()
    )
    return record


def test_of_rectangles_a_filled_box_leaves_nothing_to_do(data: Path) -> None:
    record = found("box", data)
    assert (record.images, record.objects, record.relax, record.limits) == (2, 3, 5, "")
    assert record.sources == {"first": shards.load_manifest(data / "first").version}
    right = Effort(per_object=0, per_image=0)
    scratch = Effort(per_object=DRAWN, per_image=1.5 * DRAWN)
    assert record.efforts == {"oracle": right, "predicted_iou": right, "nothing": scratch}
    assert found("box", data, images=1).images == 1


class Three(Segmenter):
    """Offers nothing, what is 40 columns too wide, and the filled box."""

    declaration = declaration("three", applies=("S5",))

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> list[Any]:
        return list(images)

    def prompt(self, embedding: Any, prompts: Prompts) -> Iterator[Answer]:
        assert prompts.boxes is not None
        for x0, y0, x1, y1 in prompts.boxes.tolist():
            wide, filled = (rectangle(x0, y0, end, y1, SIZE) for end in (x1 + 40, x1))
            yield candidates([np.zeros(SIZE, bool), wide, filled], self.ratings)

    ratings: tuple[float, float, float] = (0.9, 0.5, 0.1)


@pytest.mark.parametrize(
    ("ratings", "clicks"),
    # Too wide: the two ends of the straight border of surplus and truth.
    [((0.9, 0.5, 0.1), DRAWN), ((0.1, 0.9, 0.5), 2)],
)
def test_each_selection_chooses_its_own(
    data: Path, monkeypatch: pytest.MonkeyPatch, ratings: tuple[float, float, float], clicks: int
) -> None:
    monkeypatch.setattr(Three, "ratings", ratings)
    monkeypatch.setattr(models, "kind", lambda name: Three)
    monkeypatch.setattr(models, "get", lambda name, machine: Three())
    record = found("three", data, images=1)
    means = {name: effort.per_object for name, effort in record.efforts.items()}
    assert means == {"oracle": 0, "predicted_iou": clicks, "nothing": DRAWN}
    assert record.efforts["predicted_iou"].per_image == clicks * record.objects


def test_a_model_that_takes_no_box_is_not_asked(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind(Three):
        declaration = declaration("blind", applies=("S2",), made_for=("S2",), limits="takes points alone")

    monkeypatch.setattr(models, "kind", lambda name: Blind)
    monkeypatch.delattr(models, "get")
    record = found("blind", data)
    assert (record.images, record.objects, record.efforts) == (0, 0, {})
    assert record.limits == "takes points alone"


def test_what_can_t_be_measured_is_one_line(data: Path) -> None:
    assert found("box", data, images=1, source="small").images == 1  # the one that shows an object
    with pytest.raises(InputError, match="unknown model 'nobody'"):
        found("nobody", data)


def test_what_is_written_is_read(tmp_path: Path, data: Path) -> None:
    record = found("box", data)
    path = measurements.write(record, tmp_path)
    assert (path.name, correction.read(path)) == ("box.json", record)
    path.write_text(path.read_text().replace('"per_image": 0', '"per_image": -1'))
    with pytest.raises(InputError, match=r"box\.json: damaged or of another release; run `make repro`$"):
        correction.read(path)


@pytest.mark.slow
def test_a_network_s_masks_are_those_of_its_scores(sample: Path) -> None:
    """Each object asked for by itself; the masks chosen by their scores on the board."""
    model = models.get("sam_nano")
    rows = board_images(sample, ["sample"], 2)
    clicks: dict[str, list[int]] = {"oracle": [], "predicted_iou": []}
    scores = iter(score.score(model, rows, ["S5"], source_version="").to_pylist())
    for row in rows.to_pylist():
        image, regions = (pictures.decode(row[name]["bytes"]) for name in ("image", "mask"))
        (embedding,) = model.embed([np.stack([image] * 3, axis=-1)])
        for entry in row["objects"]:
            (answer,) = model.prompt(embedding, prompts(STRATEGIES["S5"], [entry]))
            truth, of_object = np.isin(regions, entry["values"]), next(scores)
            for name, own in clicks.items():
                own.append(correction_effort(answer.masks[of_object[f"candidate_{name}"]], truth))
    record = correction.STUDY.measure("sam_nano", sample, ["sample"], StudyOptions(images=2), Machine())
    assert record.objects == len(clicks["oracle"]) == 6
    for name, own in clicks.items():
        # One prompt at a time is the same but for rounding.
        assert record.efforts[name].per_object == pytest.approx(sum(own) / 6, rel=0.05)
        assert record.efforts[name].per_image == pytest.approx(3 * record.efforts[name].per_object)
