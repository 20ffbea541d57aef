"""The server, and a project's folder to fetch into."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cosmos1050k.fetch.site import Site, running


@pytest.fixture
def site() -> Iterator[Site]:
    with running() as site:
        yield site


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project's folder, in which the test runs."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
