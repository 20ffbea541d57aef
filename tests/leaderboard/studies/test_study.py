"""What every study keeps: killed and begun again, it asks for the rest alone and finds the same."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cosmos1050k.errors import InputError
from cosmos1050k.units import Units
from leaderboard import models, score
from leaderboard.machine import Machine
from leaderboard.models.base import ALL, Candidates, Segmenter
from leaderboard.strategies import Prompts
from leaderboard.studies import correction
from leaderboard.studies.every import STUDIES
from leaderboard.studies.options import StudyOptions
from leaderboard.studies.study import STAGE, Study
from tests.leaderboard import dataset
from tests.leaderboard.segmenters import candidates, declaration

OPTIONS = StudyOptions(images=3, grid_images=3, everything_grid=(2, 3), click_objects=2, clicks=3)


#: Study → its version, and the sum of what `Halves` finds.
GOLDEN: dict[str, tuple[int, str]] = {
    "everything_grid": (1, "6caac764a4b05737"),
    "interactive": (1, "0791fb49ecd8be92"),
    "correction": (1, "1028d372a9afc8d5"),
}


class Halves(Segmenter):
    """Offers the halves of a picture; is killed at the image after `left` more."""

    declaration = declaration("halves", applies=ALL)
    embedded: int
    left: int

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> list[tuple[int, int]]:
        if not type(self).left:
            raise KeyboardInterrupt
        type(self).left -= 1
        type(self).embedded += 1
        return [image.shape[:2] for image in images]

    def prompt(self, embedding: tuple[int, int], prompts: Prompts) -> Iterator[Candidates]:
        given = prompts.boxes if prompts.points is None else prompts.points
        assert given is not None
        for _ in given:
            yield candidates(_halves(embedding), (0.3, 0.2))

    def everything(self, embedding: tuple[int, int], filters: Any = None) -> Iterator[NDArray[np.bool_]]:
        yield from _halves(embedding)[: filters.points_per_side]


def _halves(size: tuple[int, int]) -> list[NDArray[np.bool_]]:
    left, top = np.zeros(size, bool), np.zeros(size, bool)
    left[:, : size[1] // 2] = top[: size[0] // 2] = True
    return [left, top]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    dataset.build(folder, "first", dataset.cases(4, slices=2))
    return folder


@pytest.fixture(autouse=True)
def halves(monkeypatch: pytest.MonkeyPatch) -> type[Halves]:
    monkeypatch.setattr(models, "kind", lambda _: Halves)
    monkeypatch.setattr(models, "get", lambda *_: Halves())
    Halves.embedded, Halves.left = 0, 1000
    return Halves


def measured(study: Study[Any], data: Path, store: Units | None, options: StudyOptions = OPTIONS) -> Any:
    return study.measure("halves", data, ["first"], options, Machine(), store)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_a_killed_one_goes_on(study: Study[Any], data: Path, tmp_path: Path, halves: type[Halves]) -> None:
    whole = measured(study, data, None)
    assert whole.images == halves.embedded >= 3
    store = Units(STAGE, tmp_path)
    halves.embedded, halves.left = 0, 2
    with pytest.raises(KeyboardInterrupt):
        measured(study, data, store)
    assert len(list(store.folder.iterdir())) == 2
    halves.left = 1000
    assert measured(study, data, store) == whole
    assert halves.embedded == whole.images
    assert measured(study, data, store) == whole
    assert halves.embedded == whole.images


def test_many_processes_find_what_one_finds(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # no other process knows `Halves`
    asked: Any = ("box", data, ["first"], OPTIONS, Machine())
    one = correction.STUDY.measure(*asked, Units(STAGE, tmp_path / "one"))
    with monkeypatch.context() as patched:
        patched.setattr(Study, "_found", None)  # this one finds nothing itself
        many = correction.STUDY.measure(*asked, Units(STAGE, tmp_path / "many"), workers=2)
    assert many == one
    assert many.images == 3


def test_what_fails_in_another_process_is_asked_again_in_this_one(
    data: Path, tmp_path: Path, halves: type[Halves], caplog: pytest.LogCaptureFixture
) -> None:
    """No other process knows `Halves`."""
    whole = measured(correction.STUDY, data, None)
    halves.embedded = 0
    store = Units(STAGE, tmp_path)
    found = correction.STUDY.measure("halves", data, ["first"], OPTIONS, Machine(), store, workers=2)
    assert found == whole
    assert halves.embedded == whole.images
    assert len(caplog.messages) == whole.images
    assert all(line.endswith("; the image is asked again") for line in caplog.messages)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_what_it_keeps_is_known(study: Study[Any], data: Path, tmp_path: Path) -> None:
    store = Units(STAGE, tmp_path)
    measured(study, data, store)
    keys = study.keys("halves", data, ["first"], OPTIONS, Machine())
    assert keys == {path.name for path in store.folder.iterdir()}
    assert {path.name for path in store.folder.glob("*/*")} == {"found.json"}


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_another_model_or_image_is_asked_anew(
    study: Study[Any], data: Path, tmp_path: Path, halves: type[Halves], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = study.keys("halves", data, ["first"], OPTIONS, Machine())
    dataset.build(tmp_path, "first", dataset.cases(4, slices=2, seed=1))
    assert not keys & study.keys("halves", tmp_path, ["first"], OPTIONS, Machine())
    monkeypatch.setattr(halves, "declaration", halves.declaration.model_copy(update={"version": 2}))
    assert not keys & study.keys("halves", data, ["first"], OPTIONS, Machine())


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_what_is_found_is_held_to_the_version(study: Study[Any], data: Path, tmp_path: Path) -> None:
    # Other findings? Give the study's `version` a new number, or those that are kept stay.
    store = Units(STAGE, tmp_path)
    measured(study, data, store)
    found = sorted(path.read_bytes() for path in store.folder.glob("*/found.json"))
    assert (study.version, hashlib.sha256(b"".join(found)).hexdigest()[:16]) == GOLDEN[study.name]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("everything_grid", {"everything_grid": (2, 4)}),
        ("interactive", {"clicks": 4}),
        ("correction", {"relax": 6}),
        ("correction", {"scoring": 99}),
        ("correction", {"version": 99}),
    ],
)
def test_what_decides_is_in_the_key(
    name: str, changes: dict[str, Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = next(study for study in STUDIES if study.name == name)
    keys = study.keys("halves", data, ["first"], OPTIONS, Machine())
    options = OPTIONS
    match changes:
        case {"relax": relax}:
            monkeypatch.setattr(correction, "RELAX", relax)
        case {"scoring": version}:
            monkeypatch.setattr(score, "VERSION", version)
        case {"version": version}:
            monkeypatch.setattr(type(study), "version", version)
        case _:
            options = OPTIONS.model_copy(update=changes)
    assert not keys & study.keys("halves", data, ["first"], options, Machine())


def test_more_images_keep_those_that_were(data: Path, tmp_path: Path, halves: type[Halves]) -> None:
    study = next(study for study in STUDIES if study.name == "correction")
    store = Units(STAGE, tmp_path)
    measured(study, data, store, OPTIONS.model_copy(update={"images": 2}))
    assert halves.embedded == 2
    assert measured(study, data, store).images == halves.embedded == 3


def test_what_is_damaged_is_one_line(data: Path, tmp_path: Path) -> None:
    store = Units(STAGE, tmp_path)
    for study in STUDIES:
        measured(study, data, store)
        for path in store.folder.glob("*/found.json"):
            path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(InputError, match=r"found\.json: damaged; delete \S+ and run again$"):
            measured(study, data, store)
