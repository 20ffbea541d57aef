import pytest

from leaderboard.analyses.given import Given
from tests.leaderboard.analyses import planted
from tests.leaderboard.boards import Scored


@pytest.fixture(scope="package")
def built(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """The planted scores, and what was measured; read it, don't change it."""
    made = planted.build(tmp_path_factory.mktemp("planted"))
    planted.measure(made)
    return made


@pytest.fixture(scope="package")
def given(built: Scored, tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Their board."""
    return planted.given(built, tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="package")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """A smaller board, of synthetic images, of which nothing was measured."""
    made = planted.build(tmp_path_factory.mktemp("phantom"), number_of_cases=5, phantom=True)
    return planted.given(made, tmp_path_factory.mktemp("state"))
