"""What a user's `load_dataset` gives, in the newest `datasets` and in 3.6, by folder and by script."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from cosmos1050k import card, schema
from tests.conftest import ROOT, copy_project
from tests.cosmos1050k.plain_rows import plain

OLD = ROOT / ".venv-datasets3"
OLD_VERSION = "3.6.0"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """A copy of the project with the sample built and the card rendered."""
    target = copy_project(tmp_path_factory.mktemp("checkout"))
    (target / "cosmos1050k/data").mkdir()
    (target / "cosmos1050k/data/sample").symlink_to(sample / "sample")
    (target / "cosmos1050k/README.md").write_text(card.render(["sample"], sample))
    return target


@pytest.fixture
def inside(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(checkout)
    return checkout


def stored(sample: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows as the shards hold them: split → rows, read by pyarrow alone."""
    shards = json.loads((sample / "sample/manifest.json").read_text())["shards"]
    rows: dict[str, list[dict[str, Any]]] = {}
    for shard in shards:
        split = shard["file"].split("/")[1].split("-")[0]
        rows.setdefault(split, []).extend(pq.read_table(sample / "sample" / shard["file"]).to_pylist())
    return rows


def test_every_split_every_column_images_decoded(inside: Path, sample: Path) -> None:
    import datasets

    loaded = datasets.load_dataset("cosmos1050k")
    expected = stored(sample)
    assert set(loaded) == set(expected) == {"train", "validation", "test"}
    for split, rows in expected.items():
        assert loaded[split].column_names == schema.SCHEMA.names
        assert isinstance(loaded[split][0]["image"], Image.Image)
        assert [plain(row) for row in loaded[split]] == [plain(row) for row in rows]


def test_one_modality_streaming_columns_filters(inside: Path, sample: Path) -> None:
    import datasets

    expected = stored(sample)
    one = datasets.load_dataset("cosmos1050k", "t1w_mri")
    assert {split: len(rows) for split, rows in one.items()} == {s: len(r) for s, r in expected.items()}
    streamed = datasets.load_dataset("cosmos1050k", split="train", streaming=True)
    assert [row["image_id"] for row in streamed] == [row["image_id"] for row in expected["train"]]
    narrow = datasets.load_dataset("cosmos1050k", split="test", columns=["image_id", "objects"])
    assert narrow.column_names == ["image_id", "objects"]
    few = datasets.load_dataset("cosmos1050k", split="test", filters=[("slice_index", "<", 60)])
    wanted = [row["image_id"] for row in expected["test"] if row["slice_index"] < 60]
    assert wanted
    assert [row["image_id"] for row in few] == wanted


def test_an_object_is_the_union_of_its_regions(inside: Path) -> None:
    import datasets

    for row in datasets.load_dataset("cosmos1050k", split="validation"):
        regions = np.asarray(row["mask"])
        for entry in row["objects"]:
            ys, xs = np.nonzero(np.isin(regions, entry["values"]))
            assert entry["area"] == len(xs)
            assert entry["box"] == [xs.min(), ys.min(), xs.max(), ys.max()]


def test_the_features_are_the_same_in_schema_card_and_shards(inside: Path, sample: Path) -> None:
    import datasets

    header = yaml.safe_load(Path("cosmos1050k/README.md").read_text().split("---\n")[1])
    declared = datasets.Features.from_dict(schema.features())
    for info in header["dataset_info"]:
        assert datasets.Features._from_yaml_list(info["features"]) == declared
    shard = next((sample / "sample").glob("t1w_mri/test-*.parquet"))
    assert datasets.Features.from_arrow_schema(pq.read_schema(shard)) == declared
    # Arrow's own types survive, but for the pictures, which `Image` declares.
    assert declared.arrow_schema.remove_metadata() == schema.SCHEMA.remove_metadata()


def test_a_fresh_clone_says_that_there_are_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    from datasets.exceptions import DataFilesNotFoundError

    monkeypatch.chdir(copy_project(tmp_path))
    with pytest.raises((DataFilesNotFoundError, FileNotFoundError), match=r"data/sample|data files"):
        datasets.load_dataset("cosmos1050k")


@pytest.fixture(scope="module")
def old_python() -> Path:
    """Python of an environment with `datasets` 3.6, built once."""
    stamp = OLD / ".installed"
    if not (stamp.exists() and stamp.read_text() == OLD_VERSION):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(OLD)], check=True)
        pip = [str(OLD / "bin/python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, f"datasets=={OLD_VERSION}", "pillow"], check=True)
        stamp.write_text(OLD_VERSION)
    return OLD / "bin/python"


_OLD_SCRIPT = """
import json, sys
import datasets
sys.path.insert(0, "tests/cosmos1050k")  # not the tests' packages: they need what is not installed here
from plain_rows import plain
assert datasets.__version__ == "3.6.0", datasets.__version__
def rows(*where, **how):
    loaded = datasets.load_dataset(*where, **how)
    return {split: [plain(row) for row in part] for split, part in loaded.items()}
script = "cosmos1050k/loading_script.py"
streamed = datasets.load_dataset(script, split="test", streaming=True, trust_remote_code=True)
found = {
    "folder": rows("cosmos1050k"),
    "script": rows(script, trust_remote_code=True),
    "folder modality": rows("cosmos1050k", "t1w_mri"),
    "script modality": rows(script, "t1w_mri", trust_remote_code=True),
    "streamed": {"test": [plain(row) for row in streamed]},
    "configs": [datasets.get_dataset_config_names("cosmos1050k"),
                datasets.get_dataset_config_names(script, trust_remote_code=True)],
}
json.dump(found, sys.stdout)
"""


@pytest.mark.slow
def test_old_datasets_by_folder_and_by_script(
    checkout: Path, sample: Path, old_python: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [str(old_python), "-c", _OLD_SCRIPT],
        cwd=checkout, env=os.environ | {"HF_HOME": str(tmp_path), "PYTHONPATH": str(checkout)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found.pop("configs") == [["all", "t1w_mri"]] * 2
    expected = {split: [plain(row) for row in rows] for split, rows in stored(sample).items()}
    assert found.pop("streamed")["test"] == expected["test"]
    for way, rows in found.items():
        assert rows == expected, way
