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


def released(scored: Scored, *closed: str) -> Release:
    """Of the board that is published; the sources `closed` may not be passed on."""
    manifests = {slug: shards.load_manifest(scored.data / slug) for slug in scored.sources}
    reader = BoardReader(scored.folder / "state")
    keys = {slug: scores_release.key(scored.data / slug) for slug in closed}
    return scores_release.release(reader, scored.scores, manifests, "1", "lab/x-scores", "lab/x", keys)


def content(release: Release, name: str) -> bytes:
    found = release.files[name].content
    assert isinstance(found, bytes)
    return found


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
    assert release.files.keys() == wanted | {"README.md", "cosmos1050k.json"}
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
        assert json.loads(content(release, f"{model}/{MANIFEST}"))["sources"].keys() == {"first"}
    path = copy.data / "first" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"phantom": True}))
    assert not released(copy).parts


def test_of_a_closed_source_go_hashes_for_names_and_all_statistics_stay(copy: Scored) -> None:
    path = copy.scores / "box" / MANIFEST
    run = json.loads(path.read_text())
    here = pq.read_table(copy.scores / "box/second.parquet")
    image, other = here["image_id"][0].as_py(), pq.read_table(copy.scores / "box/first.parquet")["image_id"]
    case = image.split("/")[1]
    for slug, lost in (("second", image), ("first", other[0].as_py())):
        reason = f"{lost}: out of /home/ann/memory; try again"
        run["sources"][slug] |= {"failures": {f"{case}/CT": reason}, "failed_images": [lost]}
    path.write_text(json.dumps(run))
    release = released(copy, "second")
    assert released(copy, "second") == release
    assert [one.name for one in release.stays] == ["the owner's patient and image names in scores on second"]

    def means(table: pa.Table, *by: str) -> list[tuple[float, ...]]:
        """Of each group its rows and mean, without the names."""
        rows = table.group_by([*by, "strategy"]).aggregate([("dice_oracle", "mean"), ([], "count_all")])
        return sorted((one["count_all"], round(one["dice_oracle_mean"], 9)) for one in rows.to_pylist())

    images = []
    for model in copy.models:
        assert release.files[f"{model}/first.parquet"].content == copy.scores / model / "first.parquet"
        went = content(release, f"{model}/second.parquet")
        there = pq.read_table(pa.BufferReader(went))
        here = pq.read_table(copy.scores / model / "second.parquet")
        assert there.schema.equals(here.schema)
        for name in ("patient", "image_id"):
            assert not set(there[name].to_pylist()) & set(here[name].to_pylist())
            assert not any(one.encode() in went for one in here[name].to_pylist() if len(one) > 3)
            assert means(there, name) == means(here, name)
        assert there["image_id"].to_pylist() == sorted(there["image_id"].to_pylist()), "the order tells"
        images.append(set(there["image_id"].to_pylist()))
    assert images[0] & images[1], "two models' scores of an image can't be paired"
    told = json.loads(content(release, f"box/{MANIFEST}"))["sources"]
    assert case not in json.dumps(told["second"])
    assert set(told["second"]["failed_images"]) < images[copy.models.index("box")]
    assert len(told["second"]["failures"]) == 1
    assert told["first"]["failures"] == {f"{case}/CT": f"{other[0].as_py()}: out of …; try again"}
    assert "The images of `second` may not be passed on" in content(release, "README.md").decode()
    # The key is of the images' content: not to be made of what is published.
    digests = pq.read_table(copy.data / "second/cases.parquet")
    place = digests.schema.get_field_index("digest")
    others = digests.set_column(place, digests.field(place), pa.array(["0" * 64] * digests.num_rows))
    pq.write_table(others, copy.data / "second/cases.parquet")
    name = "box/second.parquet"
    assert content(released(copy, "second"), name) != content(release, name)


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
