from pathlib import Path

import pytest

from tests.leaderboard import boards, dataset


@pytest.fixture(scope="session")
def scored(tmp_path_factory: pytest.TempPathFactory) -> boards.Scored:
    """Two sources of many shards with 39 test patients, scored by four models; read it, don't change it."""
    made = boards.Scored(tmp_path_factory.mktemp("scored"))
    made.build("first", dataset.cases(40, slices=1))
    made.build("second", dataset.cases(12, seed=1))
    for model in boards.MODELS:
        made.score(model)
    return made


@pytest.fixture(scope="session")
def board(scored: boards.Scored) -> Path:
    """The board of `scored`; read it, don't change it."""
    scored.board()
    return scored.path
