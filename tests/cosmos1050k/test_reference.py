"""The reference versions: the sample's is what it builds to, and how another build stands to one."""

from pathlib import Path

import pytest

from cosmos1050k import shards, sources
from cosmos1050k.errors import InputError
from cosmos1050k.reference import Reference, load, verdict


def test_the_committed_table_names_sources_of_the_registry(sample: Path) -> None:
    assert set(load()) <= set(sources.slugs())


def test_the_sample_builds_to_its_reference(sample: Path, phantom: Path) -> None:
    built = shards.load_manifest(sample / "sample")
    assert load()["sample"] == Reference(built.version, built.rows)
    assert verdict("sample", built) == "same"
    assert verdict("sample", shards.load_manifest(phantom / "sample")) == "phantom"


def test_how_a_build_stands_to_its_reference(sample: Path) -> None:
    built = shards.load_manifest(sample / "sample")
    for reference, expected in (
        (Reference(built.version, built.rows), "same"),
        (Reference("0" * 64, built.rows + 1), "partial"),
        (Reference("0" * 64, built.rows), "different"),
        (Reference("0" * 64, built.rows - 1), "different"),
    ):
        assert verdict("sample", built, {"sample": reference}) == expected
    assert verdict("sample", built, {}) == "no reference"
    assert verdict("sample", None) == "not built"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source,version\n", "the header must be source,version,rows"),
        ("", "the header must be"),
        ("source,version,rows\na,abc,many\n", "the line 'a,abc,many' must be a source, a version, a number"),
        ("source,version,rows\nsample,abc\n", "the line 'sample,abc' must be"),
        ("# why\nsource,version,rows\na,b,1\na,c,2\n", "a is listed twice"),
    ],
)  # fmt: skip
def test_a_table_with_a_mistake_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "reference.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        load(path)
