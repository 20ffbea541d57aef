"""Where the real pieces of public data lie, if this checkout has them beside it."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "realdata"


def real(pattern: str) -> list[Path]:
    """The real files that match; the test is skipped where there are none."""
    found = sorted(FOLDER.glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} in {FOLDER.parent.name}/{FOLDER.name} beside the project")
    return found
