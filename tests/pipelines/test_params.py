"""params.yaml: what is in the project is valid, what a user breaks is one line."""

from pathlib import Path

import pytest

from cosmos1050k import sources
from cosmos1050k.build import BuildOptions
from cosmos1050k.errors import InputError
from cosmos1050k.pool import Cluster
from leaderboard import models
from leaderboard.evaluate import BoardRows, EvaluateOptions
from leaderboard.store.build import BoardOptions
from leaderboard.studies.options import StudyOptions
from pipelines import params
from tests.conftest import ROOT

TEXT = (ROOT / "params.yaml").read_text()


def load(tmp_path: Path, text: str) -> params.Params:
    (tmp_path / "params.yaml").write_text(text)
    return params.load(tmp_path / "params.yaml")


def test_the_committed_file_is_whole_and_says_the_defaults() -> None:
    given = params.load(ROOT / "params.yaml")
    assert set(given.sources) <= set(sources.slugs())
    assert set(given.models) <= set(models.names())
    sections = {
        "build": BuildOptions,
        "evaluate": EvaluateOptions,
        "board_rows": BoardRows,
        "board": BoardOptions,
        "studies": StudyOptions,
    }
    for name, kind in sections.items():
        assert given.section(name, kind) == kind()  # type: ignore[arg-type]
        assert set(getattr(given, name)) == set(kind.model_fields)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sources:\n  - sample\n", "sources: sample\n", "sources"),
        ("sources:\n  - sample\n", "sources: []\n", "sources"),
        ("sources:\n  - sample\n", "sources: [sample, sample]\n", "sample is listed twice"),
        ("protocol_version: 1\n", "", "protocol_version"),
        ("protocol_version: 1\n", "protocol_version: 1\nmodel: x\n", "model"),
        ("runtime:\n", "runtime:\n  worker: 3\n", "runtime.worker"),
        ("build:\n", "build: [\n", "not YAML"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(InputError) as caught:
        load(tmp_path, TEXT.replace(old, new))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_engine_is_processes_unless_ray_is_asked_for() -> None:
    assert params.Runtime().cluster is None
    assert params.Runtime(engine="ray", ray_address="auto").cluster == Cluster("auto")


def test_what_is_no_text_or_nothing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"params\.yaml: the whole: "):
        load(tmp_path, "")
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        params.load(tmp_path / "params.yaml")


def test_a_section_is_closed_too(tmp_path: Path) -> None:
    given = load(tmp_path, TEXT.replace("shard_mb: 256", "shard_gb: 1"))
    with pytest.raises(InputError, match=r"build\.shard_gb"):
        given.section("build", BuildOptions)


def test_a_missing_file_says_where_to_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run this in the project's folder"):
        params.load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("before", "names", "after"),
    [
        ("sources:\n  - sample\n", ["drive", "sample"], "sources:\n  - drive\n  - sample\n"),
        ("sources:\n- sample\n", ["drive", "acdc"], "sources:\n- drive\n- acdc\n"),
        (
            "sources:  # all\n  - sample  # a head\n\n  # the eye\n  - 'drive'\n  - acdc # gone\n\n# below\n",
            ["chaos", "drive", "sample"],
            "sources:  # all\n  - chaos\n\n  # the eye\n  - 'drive'\n  - sample  # a head\n\n# below\n",
        ),
        ("sources: [sample]  # one\n", ["drive", "acdc"], "sources: [drive, acdc]  # one\n"),
        ("sources: [sample,\n  drive]\n", ["drive"], "sources: [drive]\n"),
        ("sources:\n\n    -   sample\n", ["sample", "drive"], "sources:\n\n    -   sample\n    - drive\n"),
    ],
)  # fmt: skip
def test_another_list_of_sources_leaves_the_rest_as_it_is(
    tmp_path: Path, before: str, names: list[str], after: str
) -> None:
    path = tmp_path / "params.yaml"
    whole = TEXT.replace("sources:\n  - sample\n", before)
    assert (whole == TEXT) == (before == "sources:\n  - sample\n")
    path.write_text(whole)
    params.write_sources(names, path)
    assert path.read_text() == TEXT.replace("sources:\n  - sample\n", after)
    assert params.load(path).sources == tuple(names)


def test_the_list_may_end_the_file(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("sources:\n  - sample\n", "") + "sources:\n  - sample")
    params.write_sources(["drive", "sample"], path)
    assert path.read_text().endswith("sources:\n  - drive\n  - sample\n")


#: Without the sources; the list of models has a name that another list can be.
SHARED = TEXT.replace("sources:\n  - sample\n", "").replace("models:", "models: &both")


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        (TEXT, [], "the list of sources would be empty"),
        (TEXT, ["a", "a"], "can't be edited; write it as one name a line"),
        (TEXT.replace("sources:\n  - sample\n", "sources: &list\n  - sample\n"), ["a: b"], "can't be edited"),
        (SHARED + "sources: *both\n", ["drive"], "can't be edited"),
        ("sources: 3\n", ["a"], "mend it"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_edited_stays(
    tmp_path: Path, text: str, names: list[str], message: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        params.write_sources(names, path)
    assert path.read_text() == text


def test_a_link_to_the_parameters_stays_one(tmp_path: Path) -> None:
    (tmp_path / "shared.yaml").write_text(TEXT)
    (tmp_path / "params.yaml").symlink_to("shared.yaml")
    params.write_sources(["drive"], tmp_path / "params.yaml")
    assert (tmp_path / "params.yaml").is_symlink()
    assert params.load(tmp_path / "shared.yaml").sources == ("drive",)
