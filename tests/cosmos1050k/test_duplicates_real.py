"""Real pictures of ten sources: each finds itself again however it was stored, and none a stranger."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cosmos1050k import duplicates, units
from tests.cosmos1050k import twins
from tests.cosmos1050k.real import FOLDER, real
from tests.cosmos1050k.test_splits import groups
from tests.leaderboard import dataset

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
