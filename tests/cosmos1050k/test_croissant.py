"""The Croissant metadata, read by its owners' own library: valid, and its records are the rows."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import mlcroissant
import numpy as np
import pyarrow.parquet as pq
import pytest

from cosmos1050k import croissant, schema, sources

#: Columns of text, which the library gives as bytes.
TEXTS = ("image_id", "source", "patient", "case", "view", "modality", "split", "raw_sha256")


def plain(value: object) -> object:
    """A record's value as Parquet has it."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list | np.ndarray):
        return [plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key.rpartition("/")[2]: plain(entry) for key, entry in value.items()}
    return value.item() if isinstance(value, np.generic) else value


@pytest.fixture(scope="module")
def written(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("croissant")
    shutil.copytree(sample / "sample", folder / "data/sample")
    (folder / "croissant.json").write_text(croissant.text(["sample"], sample), encoding="utf-8")
    return folder


def test_the_records_are_the_rows(written: Path) -> None:
    dataset = mlcroissant.Dataset(jsonld=str(written / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    # Nobody knows when a build will be published; that is the one thing it lacks.
    assert [w for w in dataset.metadata.ctx.issues.warnings if "datePublished" not in str(w)] == []
    records = list(dataset.records("t1w_mri"))
    files = sorted((written / "data/sample/t1w_mri").glob("*.parquet"))
    rows = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    assert len(records) == len(rows) == 123
    by_id = {row["image_id"]: row for row in rows}
    for record in records:
        found = {name.removeprefix("t1w_mri/"): value for name, value in record.items()}
        row = by_id.pop(found["image_id"].decode())
        assert found.keys() == row.keys()
        for name in schema.IMAGE_COLUMNS:
            assert found[name].fp.getvalue() == row[name]["bytes"]
        for name in row.keys() - schema.IMAGE_COLUMNS:
            assert plain(found[name]) == row[name], name
        assert all(isinstance(found[name], bytes) for name in TEXTS)


def test_every_shard_has_its_sum_and_is_in_one_set_of_files(written: Path) -> None:
    document = json.loads((written / "croissant.json").read_text(encoding="utf-8"))
    files = [entry for entry in document["distribution"] if entry["@type"] == "cr:FileObject"]
    sets = [entry for entry in document["distribution"] if entry["@type"] == "cr:FileSet"]
    there = {str(path.relative_to(written)) for path in written.glob("data/*/*/*.parquet")}
    assert {file["contentUrl"] for file in files} == there
    for file in files:
        content = (written / file["contentUrl"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["contentSize"] == f"{len(content)} B"
    (one,) = sets
    assert {str(p.relative_to(written)) for glob in one["includes"] for p in written.glob(glob)} == there


def test_a_changed_shard_is_refused(written: Path, tmp_path: Path) -> None:
    shutil.copytree(written, tmp_path / "copy")
    document = json.loads((tmp_path / "copy/croissant.json").read_text(encoding="utf-8"))
    file = next(entry for entry in document["distribution"] if entry["@type"] == "cr:FileObject")
    # As a reader that takes one shard alone does: its fields lead to the file instead of to the set.
    text = json.dumps(document).replace(
        '"fileSet": {"@id": "t1w_mri-files"}', f'"fileObject": {{"@id": "{file["@id"]}"}}'
    )
    (tmp_path / "copy/croissant.json").write_text(text, encoding="utf-8")
    path = tmp_path / "copy" / file["contentUrl"]
    path.write_bytes(path.read_bytes() + b"x")
    dataset = mlcroissant.Dataset(jsonld=str(tmp_path / "copy/croissant.json"))
    with pytest.raises(Exception, match=r"operation Download") as error:
        next(iter(dataset.records("t1w_mri")))
    assert "is not identical with the reference" in str(error.value.__cause__)


def described(slugs: Sequence[str], manifest: Path, folder: Path) -> dict:
    """The metadata of sources with the sample's counts; `drive` is a phantom."""
    known = json.loads(manifest.read_text())
    for slug in slugs:
        modalities = dict.fromkeys(sources.get(slug).SOURCE.modalities, 1)
        changed = {"source": slug, "phantom": slug == "drive", "modalities": modalities}
        (folder / slug).mkdir(parents=True)
        (folder / slug / "manifest.json").write_text(json.dumps({**known, **changed}))
    (folder / "croissant.json").write_text(croissant.text(slugs, folder), encoding="utf-8")
    return json.loads((folder / "croissant.json").read_text(encoding="utf-8"))


def test_of_all_sources_it_names_licences_works_modalities_and_what_is_synthetic(
    sample: Path, tmp_path: Path
) -> None:
    manifest, slugs = sample / "sample/manifest.json", sources.slugs()
    document = described(slugs, manifest, tmp_path / "all")
    assert len(document["recordSet"]) == 18
    assert set(document["license"]) == {sources.get(slug).SOURCE.licence for slug in slugs}
    # The paper and each source's works, each once: all that the list has.
    works = croissant.CITATIONS.read_text(encoding="utf-8").count("\n@")
    assert document["citeAs"].startswith("@article{huang2024sam,")
    assert document["citeAs"].count("\n@") + 1 == works
    assert "Synthetic images: drive is a phantom" in document["description"]
    assert any("s0864 is damaged" in text for text in document["rai:dataLimitations"])
    described(["drive", "qubiq_2021"], manifest, tmp_path / "two")
    read = mlcroissant.Dataset(jsonld=str(tmp_path / "two/croissant.json"))
    assert not read.metadata.ctx.issues.errors
    assert {one.name for one in read.metadata.record_sets} == {
        "fundus", "ct", "mri", "t1w_mri", "t1_gd_mri", "t2w_mri", "t2_flair_mri"
    }  # fmt: skip


def test_it_says_of_the_sample_that_it_is_the_sample(written: Path) -> None:
    document = json.loads((written / "croissant.json").read_text(encoding="utf-8"))
    assert "This is the sample, not COSMOS 1050K" in document["description"]
    assert document["citeAs"].count("\n@") == 1
    assert document["rai:dataCollectionMissingData"].startswith("161 of 164 ")
