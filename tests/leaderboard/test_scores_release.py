"""Which scores are published: those on the board, of real sources, of the models of params.yaml."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from cosmos1050k.publishing import Release
from cosmos1050k.units import MANIFEST
from leaderboard import scores_release
from leaderboard.store.build import BoardOptions
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from tests.leaderboard.boards import Scored


@pytest.fixture
def copy(scored: Scored, board: Path, tmp_path: Path) -> Scored:
    """Scores, to be changed, whose board is published."""
    publish(board, tmp_path / "state")
    return scored.copy(tmp_path)


def released(scored: Scored) -> Release:
    """Of the board that is published."""
    manifests = {slug: shards.load_manifest(scored.data / slug) for slug in scored.sources}
    reader = BoardReader(scored.folder / "state")
    return scores_release.release(reader, scored.scores, manifests, "1", "lab/x-scores", "lab/x")


@pytest.mark.slow
def test_a_model_s_scores_and_no_submission_s(copy: Scored) -> None:
    out = copy.submissions / "sum" / "1-cpu"
    out.mkdir(parents=True)
    manifest = json.loads((copy.scores / "box" / MANIFEST).read_text())
    manifest["declaration"] |= {"name": "theirs", "kind": "submitted"}
    (out / MANIFEST).write_text(json.dumps(manifest))
    for source in copy.sources:
        table = pq.read_table(copy.scores / "box" / f"{source}.parquet")
        place = table.schema.get_field_index("model")
        names = pa.array(["theirs"] * table.num_rows)
        pq.write_table(table.set_column(place, table.field(place), names), out / f"{source}.parquet")
    copy.board(options=BoardOptions(bootstrap_draws=100, seed=0))
    publish(copy.path, copy.folder / "state")
    release = released(copy)
    assert "theirs" in {model["name"] for model in BoardReader(copy.folder / "state").models()}
    wanted = {f"{model}/{slug}.parquet" for model in copy.models for slug in copy.sources}
    wanted |= {f"{model}/{MANIFEST}" for model in copy.models}
    assert release.files.keys() == wanted | {"README.md"}
    assert not release.stays
    for file in release.files.values():
        if isinstance(file.content, Path):
            assert file.content == copy.scores / file.name


def test_scores_on_phantoms_stay_and_nothing_is_sent_if_there_are_no_others(copy: Scored) -> None:
    for slug in copy.sources:
        path = copy.data / slug / MANIFEST
        path.write_text(json.dumps(json.loads(path.read_text()) | {"phantom": slug != "first"}))
    release = released(copy)
    assert [one.name for one in release.stays] == ["scores on second"]
    assert not any("second" in name for name in release.files)
    for model in copy.models:
        content = release.files[f"{model}/{MANIFEST}"].content
        assert isinstance(content, bytes)
        assert json.loads(content)["sources"].keys() == {"first"}
    path = copy.data / "first" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"phantom": True}))
    assert not released(copy).parts


def test_scores_made_since_the_board_of_another_build_are_refused(copy: Scored) -> None:
    path = copy.scores / "box" / MANIFEST
    run = json.loads(path.read_text())
    run["sources"]["second"]["version"] = "0" * 64
    path.write_text(json.dumps(run))
    with pytest.raises(
        InputError, match=r"box: of another build of second than the board; run `make repro`$"
    ):
        released(copy)
    path = copy.data / "second" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "1" * 64}))
    with pytest.raises(InputError, match=r"^the board is of dataset \w{16}, not of what is built"):
        released(copy)
