"""The card: what it counts, what its header configures."""

import errno
import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from cosmos1050k import card, pictures, sources
from cosmos1050k.errors import InputError
from pipelines import card as stage
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
    text, folder = card.render(["sample"], sample), ROOT / "cosmos1050k"
    assert (folder / "README.md").read_text() == text
    files = card.beside(["sample"], sample)
    for name, content in files.items():
        if name.endswith(".jpg"):  # another version of its library may pack it otherwise
            there, made = (pictures.decode(bytes_) for bytes_ in ((folder / name).read_bytes(), content))
            assert there.shape == made.shape
            assert np.abs(there.astype(int) - made).mean() < 2
        else:
            assert (folder / name).read_bytes() == content
    there = {str(path.relative_to(folder)) for path in (folder / "assets").iterdir()}
    assert there == {name for name in files if name.startswith("assets/")}
    # What the page shows or links is there, and all that is there is shown.
    assert there == set(re.findall(r"!\[[^]]+\]\(([^)]+)\)", text))
    assert "](croissant.json)" in text


def copied(source: Path, target: Path, slug: str, **changed: object) -> None:
    """A built source's manifest under another name."""
    manifest = json.loads((source / "manifest.json").read_text())
    (target / slug).mkdir()
    (target / slug / "manifest.json").write_text(json.dumps({**manifest, "source": slug, **changed}))


def test_what_is_missing_counts_neither_the_sample_nor_phantoms(
    sample: Path, phantom: Path, tmp_path: Path
) -> None:
    assert "| T1W MRI | 0 of 8 | 0 of 15 | 0 | 0 |" in card.render(["sample"], sample)
    copied(sample / "sample", tmp_path, "iseg_2019")
    copied(phantom / "sample", tmp_path, "brats20")
    text = card.render(["iseg_2019", "brats20"], tmp_path)
    assert "This build has 1 of the paper's 53 sources, and 1 of the 46 pairs" in text
    assert "| T1W MRI | 1 of 8 | 3 of 15 | 123 | 364 |" in text
    assert "<summary>52 missing sources" in text
    assert "<summary>161 missing pairs" in text
    (lacking,) = re.findall(r"^- T1W MRI: (.*)$", text, re.MULTILINE)
    assert len(lacking.split(", ")) == 12
    assert "**Brain Tumor**" in lacking
    assert "White Matter" not in lacking


def test_modalities_whose_names_end_alike_are_kept_apart(sample: Path, tmp_path: Path) -> None:
    slug = next(s for s in sources.slugs() if "Cine-MRI" in sources.get(s).SOURCE.modalities)
    pairs = {"Left Ventricle-Cine-MRI": {"images": 5, "instances": 7}}
    copied(sample / "sample", tmp_path, slug, modalities={"Cine-MRI": 5}, pairs=pairs)
    text = card.render([slug], tmp_path)
    assert "| Cine-MRI | 1 of 1 | 1 of 3 | 5 | 7 |" in text
    assert "| MRI | 0 of 5 | 0 of 20 | 0 | 0 |" in text


def test_faults_skipped_cases_and_exclusions_are_told(sample: Path, tmp_path: Path) -> None:
    skipped = [{"case": f"case_{number}", "reason": "file <b>: damaged"} for number in range(7)]
    excluded = [
        {"case": "other", "slice": 3, "reason": "upside down"},
        {"case": "whole", "slice": None, "reason": "twin"},
    ]
    copied(sample / "sample", tmp_path, OTHER, skipped=skipped, excluded=excluded, version="0" * 64)
    text = card.render([OTHER], tmp_path)
    source = sources.get(OTHER).SOURCE
    assert f"- {source.name}: {source.note}" in text
    assert f"- {source.name}: 7 skipped: case_0: file &lt;b&gt;: damaged; case_1: " in text
    assert "; and 2 more, see its manifest\n" in text
    assert f"- {source.name}: 2 excluded: other, slice 3: upside down; whole: twin\n" in text
    assert f"| 7 of {source.labelled:,} | 63 | 20 | 40 | 364 | not known | 7 | 2 | `000000000000` |" in text


def test_a_build_is_held_against_the_whole_release(sample: Path, tmp_path: Path) -> None:
    assert "| 364 | same: 123 images | 0 | 0 |" in card.render(["sample"], sample)
    copied(sample / "sample", tmp_path, "sample", rows=100, version="1" * 64)
    assert "| 364 | partial: 123 images | 0 | 0 |" in card.render(["sample"], tmp_path)


@pytest.mark.parametrize(
    ("rows", "cases", "skipped", "slices", "told"),
    [
        (122, 7, 0, [12], "whole, 1 excluded"),
        (121, 7, 0, [12], "partial"),  # one row more is missing
        (103, 6, 0, [None], "whole, 1 excluded"),
        (101, 6, 0, [None, 4, 5], "whole, 3 excluded"),
        (83, 5, 0, [None], "partial"),
        (83, 5, 1, [None, None], "partial"),
    ],
)
def test_what_was_left_out_on_purpose_makes_no_build_partial(
    sample: Path, tmp_path: Path, rows: int, cases: int, skipped: int, slices: list[int | None], told: str
) -> None:
    excluded = [{"case": f"c{place}", "slice": at, "reason": "x"} for place, at in enumerate(slices)]
    left = [{"case": "d", "reason": "y"}] * skipped
    copied(sample / "sample", tmp_path, "sample", rows=rows, cases=cases, skipped=left, excluded=excluded,
           version="1" * 64)  # fmt: skip
    wanted = f"| 364 | {told}: 123 images | {skipped} | {len(slices)} |"
    assert wanted in card.render(["sample"], tmp_path)


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_full_disk_leaves_the_card_and_its_pictures_as_they_were(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "README.md"
    monkeypatch.setattr(card, "CARD", target)
    monkeypatch.setattr(stage, "DATA", sample)
    monkeypatch.setattr(stage.params, "load", lambda: SimpleNamespace(sources=("sample",)))
    files = {"assets/old.svg": b"old", "assets/sizes.svg": b"older", "README.md": b"oldest"}
    (tmp_path / "assets").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with monkeypatch.context() as patch:
        whole = Path.write_bytes

        def full(path: Path, content: bytes) -> int:
            if "croissant" in path.name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            return whole(path, content)

        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(
            InputError, match=r"croissant\.json: can't be written \(No space left on device\)"
        ):
            stage.main()
    assert written(tmp_path) == files
    stage.main()
    text = card.render(["sample"], sample).encode()
    assert written(tmp_path) == {"README.md": text, **card.beside(["sample"], sample)}


def test_pairs_that_may_not_be_shown_are_named(sample: Path, tmp_path: Path) -> None:
    closed = next(slug for slug in sources.slugs() if not sources.get(slug).SOURCE.redistributable)
    copied(sample / "sample", tmp_path, closed)
    text = card.render([closed], tmp_path)
    assert "must not be passed on: Brain-T1W MRI, Gray Matter-T1W MRI, White Matter-T1W MRI.\n" in text
    assert ".jpg" not in text


def test_long_tables_are_folded(sample: Path, tmp_path: Path) -> None:
    slugs = [slug for slug in sources.slugs() if slug != "sample"]
    for slug in slugs:
        pairs = {name: {"images": 1, "instances": 1} for name in sources.get(slug).SOURCE.pairs}
        copied(sample / "sample", tmp_path, slug, pairs=pairs)
    text = card.render(slugs, tmp_path)
    assert "<summary>164 object–modality pairs</summary>\n\n| object–modality pair |" in text
    assert "missing sources" not in text
    assert "missing pairs" not in text
    assert text.count("<details>") == text.count("\n\n</details>") == 2


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
