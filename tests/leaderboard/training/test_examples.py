"""What is trained on: one split's rows, in an order of each epoch."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmos1050k import pictures, shards, splits
from cosmos1050k.schema import SMALL_AREA
from leaderboard.training.examples import SPLITS, Examples
from tests.leaderboard import dataset
from tests.leaderboard.checkpoints import refused

SOURCES = ("drive", "stare")
SPLIT_OF = ("train", "test", "train", "validation", "test", "train", "train")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Of several shards and row groups, with colour and gray pictures."""
    for number, source in enumerate(SOURCES):
        cases = dataset.cases(len(SPLIT_OF), seed=number, slices=3)
        own = {f"patient{place}": split for place, split in enumerate(SPLIT_OF)}
        split = [replace(case, split=own[case.patient]) for case in cases]
        dataset.build(tmp_path, source, split, shard_bytes=dataset.ONE_CASE if number else 2**30)
    return tmp_path


def rows(data: Path) -> dict[str, dict[str, Any]]:
    return {
        row["image_id"]: row
        for source in SOURCES
        for case in shards.load_cases(data / source)
        for row in shards.read_case(data / source, case).to_pylist()
    }


@pytest.mark.parametrize("split", SPLITS)
def test_all_rows_of_the_split_and_no_other_by_ids_and_by_groups(data: Path, split: Any) -> None:
    every, found = rows(data), list(Examples(data, SOURCES, split))
    ids = [example.image_id for example in found]
    assert sorted(ids) == sorted(name for name, row in every.items() if row["split"] == split)
    others = {
        splits.group_of(row["source"], row["patient"]) for row in every.values() if row["split"] != split
    }
    assert not others & {splits.group_of(example.source, example.patient) for example in found}
    assert others


def test_the_split_test_is_no_split_to_train_on(data: Path) -> None:
    with pytest.raises(ValueError, match="test is not trained on"):
        Examples(data, SOURCES, "test")  # type: ignore[arg-type]


def test_pictures_masks_and_objects_are_the_row_s(data: Path) -> None:
    every = rows(data)
    for example in Examples(data, SOURCES, "train"):
        row = every[example.image_id]
        image, regions = (pictures.decode(row[name]["bytes"]) for name in ("image", "mask"))
        expected = image if image.ndim == 3 else np.stack([image] * 3, axis=2)
        assert np.array_equal(example.image, expected)
        assert example.objects == [entry for entry in row["objects"] if entry["area"] > SMALL_AREA]
        assert any(entry["area"] <= SMALL_AREA for entry in row["objects"]) or image.ndim == 3
        for entry, mask in zip(example.objects, example.masks, strict=True):
            assert np.array_equal(mask, np.isin(regions, entry["values"]))


def test_an_epoch_has_every_image_once_in_an_order_of_its_own(data: Path) -> None:
    examples = Examples(data, SOURCES, "train")
    orders = [examples.shuffled(0, epoch) for epoch in range(4)]
    for order in orders:
        assert sorted(order) == list(range(len(examples)))
    assert len(set(map(tuple, orders))) == 4
    assert orders[2] == Examples(data, SOURCES, "train").shuffled(0, 2)
    assert orders[2] != examples.shuffled(1, 2)


def test_the_rows_of_a_row_group_are_mixed(data: Path) -> None:
    """They lie one behind the other, two a group; in an epoch neighbours are parted."""
    examples = Examples(data, SOURCES, "train")
    kept = [
        sum(abs(one - other) == 1 for one, other in pairwise(examples.shuffled(0, epoch)))
        for epoch in range(8)
    ]
    assert len(examples) > 15
    assert sum(kept) / 8 < len(examples) / 5  # unmixed it would be a third, all groups of two


def test_an_image_without_an_object_to_train_on_is_left_out(tmp_path: Path) -> None:
    (case,) = dataset.cases(1, slices=2)[:1]
    (first, found), second = case.slices
    nodule = replace(case, slices=((first, found[-1:]), second), split="train")
    dataset.build(tmp_path, "drive", [nodule])
    examples = Examples(tmp_path, ("drive",), "train")
    assert [example.image_id for example in examples] == ["drive/case0/CT/1"]


def test_what_is_not_there_is_one_line(data: Path) -> None:
    with refused("crag", "cosmos build crag"):
        Examples(data, ("crag",), "train")
    cases = [replace(case, split="test") for case in dataset.cases(2)]
    dataset.build(data, "crag", cases)
    with refused("crag: no image of the split train"):
        Examples(data, ("crag",), "train")
    assert len(Examples(data, ("crag", "drive"), "train"))
    examples = Examples(data, ("stare",), "train")
    for shard in (data / "stare").rglob("*train*.parquet"):
        shard.write_bytes(shard.read_bytes()[:-40])
    with refused("stare", "damaged; build the source again"):
        list(examples)
