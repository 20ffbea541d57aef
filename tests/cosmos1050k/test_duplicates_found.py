"""How many twins are found, and whether strangers are: among phantoms of all kinds, and real pictures."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cosmos1050k import duplicates, units
from tests.cosmos1050k import twins
from tests.cosmos1050k.real import FOLDER, real
from tests.cosmos1050k.test_splits import groups
from tests.leaderboard import dataset

#: Ways that hide no twin: all but crops, and a window so narrow that most of a CT slice is clipped.
HELD = [name for name in twins.WAYS if name != "window" and not name.startswith("cropped")]
#: Real ones, of ten sources.
PICTURES = (
    "acdc_png/**/images/*.png", "chest_ct_kaggle_png/**/images/*.jpg", "kits19_png/**/images/*.png",
    "msd_hippocampus_png/**/images/*.png", "drive/DRIVE/*/images/*.tif", "isic2018/**/images/*.jpg",
    "kvasir_seg/**/images/*.jpg", "cellseg_neurips22/**/images/*.png", "sam_med2d_demo/**/images/*.png",
    "sstem/stack1/raw/*.tif*",
)  # fmt: skip
WAYS = (
    "jpeg-60", "linear", "gamma-0.7", "half-size", "transposed",
    "noisy", "jpeg-50", "size-1.6", "quarter-turn", "turned-small-jpeg",
)  # fmt: skip


@pytest.mark.slow
def test_all_ways_of_all_kinds(tmp_path: Path) -> None:
    """A CT in a narrow window is mostly found, a crop only if it is small: by a twentieth, none is."""
    results = twins.measure(tmp_path, twins.KINDS, twins.WAYS, 3)
    for name, result in results.items():
        assert not result.wrong, name
        if name in HELD:
            assert result.found == result.planted, name
    assert results["window"].found["CT"] >= 2
    assert sum(results["window"].found.values()) >= 17
    assert sum(results["cropped-0.01"].found.values()) >= 12
    assert not any(results["cropped-0.05"].found.values())


@pytest.mark.slow
def test_other_kinds_and_ways(tmp_path: Path) -> None:
    """Nothing was tuned on these but LEAST_LIKENESS_ALONE, by the X-rays."""
    results = twins.measure(tmp_path, twins.OTHER_KINDS, twins.OTHER_WAYS, 4)
    assert not [twin for result in results.values() for twin in result.wrong]
    edges = {"framed-0.01", "cropped-0.015", "cropped-0.03"}
    recall = {
        whole: sum(sum(results[name].found.values()) for name in names)
        / sum(sum(results[name].planted.values()) for name in names)
        for whole, names in ((True, results.keys() - edges), (False, edges))
    }
    assert recall[True] >= 0.97
    assert recall[False] >= 0.45


@pytest.mark.slow
def test_x_rays_of_many_strangers_make_no_twins(tmp_path: Path) -> None:
    """Of all kinds those that look most alike; among twice as many a few do (`docs/duplicates.md`)."""
    ways = {name: twins.OTHER_WAYS[name] for name in ("jpeg-50", "quarter-turn", "size-0.4")}
    for result in twins.measure(tmp_path, {"X-ray": twins.x_ray}, ways, 30).values():
        assert result.found == result.planted
        assert not result.wrong


def picture(file: Path) -> np.ndarray:
    found = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    assert found is not None, file
    if found.dtype != np.uint8:
        found = (found / max(found.max(), 1) * 255).astype(np.uint8)
    return found if found.ndim == 2 else found[..., 2::-1]


@pytest.mark.slow
def test_real_pictures_find_themselves_and_no_stranger(tmp_path: Path) -> None:
    """Pictures of one source may be one patient's, slices side by side: those of another are strangers."""
    files = [file for pattern in PICTURES for file in real(pattern)]
    assert len(files) > 150
    names = [f"{file.relative_to(FOLDER).parts[0]}/{number}" for number, file in enumerate(files)]
    data, store = tmp_path / "data", units.Units("duplicates", tmp_path / "units")
    every = {"original": twins.Way(), **{name: (twins.WAYS | twins.OTHER_WAYS)[name] for name in WAYS}}
    for slug, way in every.items():
        made = [np.ascontiguousarray(way.of_picture(picture(file))) for file in files]
        dataset.build(data, slug, [twins.case(name, 0, [one]) for name, one in zip(names, made, strict=True)])
    for slug in WAYS:
        found = duplicates.find(data, ["original", slug], groups=groups(tmp_path), store=store)
        together: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for twin in found.twins:
            both = {twin.first, twin.second}.union(
                *(together.get(one, {one}) for one in (twin.first, twin.second))
            )
            together.update(dict.fromkeys(both, both))
            assert twin.first[1].split("/")[0] == twin.second[1].split("/")[0], (slug, twin)
        lost = [
            name for name in names if (slug, f"{name}-0") not in together.get(("original", f"{name}-0"), ())
        ]
        assert not lost, slug
