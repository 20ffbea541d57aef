"""A small server, and a worker's settings at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from leaderboard.submissions.worker import Settings
from tests.leaderboard import dataset
from tests.leaderboard.submissions.platform import Platform


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Platform().running() as started:
        yield started


@pytest.fixture(scope="session")
def two_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the built sources `first` and `second`."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("first", "second"):
        dataset.build(folder, name, dataset.cases(1))
    return folder


@pytest.fixture
def settings(tmp_path: Path, two_sources: Path) -> Settings:
    return Settings(tmp_path / "work", two_sources, "w", once=True, poll_s=0.05)
