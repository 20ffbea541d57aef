from pathlib import Path

import pytest

from cosmos1050k.errors import InputError
from leaderboard.store import views
from leaderboard.store.build import BoardOptions
from leaderboard.store.filters import Filter, ranking
from leaderboard.store.publish import ARCHIVE, archived, publish
from leaderboard.store.read import BoardReader
from tests.leaderboard import boards, dataset
from tests.leaderboard.boards import Scored
from tests.leaderboard.store_queries import query

FEW = BoardOptions(bootstrap_draws=100)


def board(scored: Scored, protocol: int = 1) -> Path:
    for model in scored.models:
        scored.manifest(model, protocol_version=protocol)
    scored.board(options=FEW, protocol_version=protocol)
    return scored.path


@pytest.mark.slow
def test_a_board_of_another_version_sends_the_old_one_to_the_archive(scored: Scored, tmp_path: Path) -> None:
    other, state = scored.copy(tmp_path / "scored"), tmp_path / "state"
    other.models = ["box", "better"]
    publish(board(other), state)
    old = BoardReader(state)
    dataset_version = old.board()["dataset_version"]
    asked = Filter(source="first")
    of_source = ranking(old, asked)
    assert of_source.rows[0].cell.dice is not None
    before = views.models_view(old), views.pairs_view(old), old.board(), old.contacts("S5"), old.left_out()
    publish(board(other), state)
    other.manifest("box", seconds=3.0)
    publish(board(other), state)
    assert archived(state) == []  # the same versions: nothing is lost but a build
    publish(board(other, protocol=2), state)
    assert archived(state) == [f"{dataset_version}-1"]
    assert BoardReader(state).board()["protocol_version"] == 2
    kept = BoardReader(state, f"{dataset_version}-1")
    after = (
        views.models_view(kept),
        views.pairs_view(kept),
        kept.board(),
        kept.contacts("S5"),
        kept.left_out(),
    )
    assert after == before
    assert ranking(kept, asked) == of_source
    with pytest.raises(InputError, match="an archived board keeps no single scores"):
        kept.cases("Kidney-CT", "S5")
    assert (state / "boards" / ARCHIVE / f"{dataset_version}-1.duckdb").stat().st_size < 4_000_000
    # Another dataset version is another board too.
    cases = dataset.cases(12, seed=1)
    other.build("second", [dataset.changed(cases[0]), *cases[1:]])
    for model in boards.MODELS[1:3]:
        other.score(model)
    publish(board(other, protocol=2), state)
    assert archived(state) == sorted([f"{dataset_version}-1", f"{dataset_version}-2"])


def test_a_name_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no board '\.\./x' in .*archive; there is none"):
        BoardReader(tmp_path, "../x")


def test_an_old_file_that_is_damaged_does_not_stop_the_new_one(scored: Scored, tmp_path: Path) -> None:
    other, state = scored.copy(tmp_path / "scored"), tmp_path / "state"
    other.models = ["box"]
    target = publish(board(other), state)
    target.write_bytes(b"no database")
    publish(board(other, protocol=2), state)
    assert archived(state) == []
    assert query((state / "boards/current.duckdb").resolve(), "select protocol_version from boards") == [(2,)]
