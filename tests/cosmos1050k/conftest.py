"""What several of the dataset room's test files share."""

from pathlib import Path

import pytest

from cosmos1050k import archives
from tests.cosmos1050k.lab import Lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(tmp_path)
    monkeypatch.setattr(archives, "UNPACKED", made.unpacked)
    return made
