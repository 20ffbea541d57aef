"""The card: what it counts, what its header configures."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from cosmos1050k import card
from cosmos1050k.errors import InputError
from tests.conftest import ROOT


def header(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_it_says_that_the_sample_is_not_the_dataset(sample: Path) -> None:
    text = card.render(["sample"], sample)
    assert "**This is the sample, not COSMOS 1050K**" in text
    assert "one patient, and so no interval" in text
    assert "| images | 123 | 1,050,311 |" in text
    assert "$" not in text.replace("$(", "")


def test_the_committed_card_is_the_default_build_s(sample: Path) -> None:
    assert (ROOT / "cosmos1050k/README.md").read_text() == card.render(["sample"], sample)


def test_a_config_lists_only_splits_that_have_rows(sample: Path, tmp_path: Path) -> None:
    shutil.copytree(sample / "sample", tmp_path / "sample")
    manifest = json.loads((tmp_path / "sample/manifest.json").read_text())
    manifest["shards"] = [shard for shard in manifest["shards"] if "validation" not in shard["file"]]
    (tmp_path / "sample/manifest.json").write_text(json.dumps(manifest))
    configs = header(card.render(["sample"], tmp_path))["configs"]
    assert [config["config_name"] for config in configs] == ["all", "t1w_mri"]
    for config in configs:
        assert [entry["split"] for entry in config["data_files"]] == ["train", "test"]
        assert config["data_files"][0]["path"] == ["data/sample/t1w_mri/train-*.parquet"]


def test_an_unbuilt_source_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="build the source with `cosmos build sample`"):
        card.render(["sample"], tmp_path)
