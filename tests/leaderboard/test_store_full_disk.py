"""A disk that is full while scores are read is no fault of the scores."""

from pathlib import Path

import duckdb
import pytest

from cosmos1050k.errors import InputError
from leaderboard.store import facts
from leaderboard.store.build import BoardOptions, build_board
from leaderboard.store.publish import build_id
from leaderboard.store.runs import BoardInput
from tests.app import boards

REFUSED = (
    duckdb.IOException('IO Error: Could not write file "board.duckdb": No space left on device'),
    duckdb.OutOfMemoryException("Out of Memory Error: failed to offload data block: the disk is full"),
)


@pytest.mark.parametrize("error", REFUSED)
@pytest.mark.parametrize("step", ["_incoming", "_objects"])
def test_a_full_disk_leaves_no_model_off_the_board(
    error: duckdb.Error, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, version = boards.write_source(tmp_path, "toy", 1, 1, 1, phantom=False)
    boards.write_scores(tmp_path / "scores/box", "box", "toy", rows, version)
    data, scores, none = (tmp_path / name for name in ("data", "scores", "none"))
    given = BoardInput(data, scores, none, none, ("toy",), ("box",), protocol_version=1)
    made, options = tmp_path / "board.duckdb", BoardOptions(bootstrap_draws=100)
    build_board(given, made, options=options)
    before = build_id(made)

    def refuses(*_: object) -> None:
        raise error

    monkeypatch.setattr(facts, step, refuses)
    with pytest.raises(InputError, match=r"board\.duckdb: can't be written \(.*make room"):
        build_board(given, made, options=options)
    assert build_id(made) == before
