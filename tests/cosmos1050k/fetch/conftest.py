"""The server, and a project's folder to fetch into."""

from pathlib import Path

import pytest

from cosmos1050k import sources
from cosmos1050k.source import Download
from tests.cosmos1050k.fetch.folder import SLUG, Declare


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch, project: Path) -> Declare:
    """Gives the source other downloads."""
    module = sources.get(SLUG)

    def declared(*downloads: Download) -> None:
        update = {"downloads": downloads, "steps": "Ask the owner."}
        monkeypatch.setattr(module, "SOURCE", module.SOURCE.model_copy(update=update))

    return declared
