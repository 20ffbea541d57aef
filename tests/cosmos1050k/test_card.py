"""The card: what it counts, what its header configures."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from cosmos1050k import card, sources
from cosmos1050k.errors import InputError
from tests.conftest import ROOT

#: Any other source.
OTHER = next(slug for slug in sources.slugs() if slug != "sample")


def header(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_it_says_that_the_sample_is_not_the_dataset(sample: Path) -> None:
    text = card.render(["sample"], sample)
    assert "**This is the sample, not COSMOS 1050K**" in text
    assert "one patient, and so no interval" in text
    assert "| images | 123 | 1,050,311 |" in text
    assert "$" not in text.replace("$(", "")
    assert "phantom" not in text.lower()


def test_a_phantom_is_named_on_top_marked_and_not_counted_beside_the_paper(
    sample: Path, phantom: Path, tmp_path: Path
) -> None:
    (tmp_path / "sample").symlink_to(sample / "sample")
    shutil.copytree(phantom / "sample", tmp_path / OTHER)
    manifest = json.loads((tmp_path / OTHER / "manifest.json").read_text())
    (tmp_path / OTHER / "manifest.json").write_text(json.dumps({**manifest, "source": OTHER}))
    text = card.render(["sample", OTHER], tmp_path)
    assert text.split("---\n")[2].startswith(
        f"\n# COSMOS 1050K\n\n> **Synthetic images: {OTHER} is a phantom**. "
    )
    assert "This is the sample" not in text
    assert "|  | this build | without phantoms | the paper |" in text
    assert "| sources | 2 | 1 | 53 |" in text
    assert "| images | 246 | 123 | 1,050,311 |" in text
    assert "| object–modality pairs | 3 | 3 | 125 |" in text
    assert f"| {sources.get(OTHER).SOURCE.name} **(phantom)** |" in text
    assert text.count("(phantom)") == 1
    assert "| images | 123 | 0 | 1,050,311 |" in card.render(["sample"], phantom)


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
