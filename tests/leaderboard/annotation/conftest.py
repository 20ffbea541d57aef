from pathlib import Path

import numpy as np
import pytest

from leaderboard.annotation.export import export
from leaderboard.machine import Machine
from leaderboard.models.box import Box
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from tests.leaderboard.boards import Scored
from tests.leaderboard.dataset import SmallCase, Thing, rectangle

SIZE = (120, 160)
#: Two rectangles, on which the model `box` is right.
LIVER, KIDNEY = rectangle(20, 20, 79, 69, SIZE), rectangle(100, 20, 149, 69, SIZE)


@pytest.fixture(scope="package")
def built(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """Three patients with a picture each of both, and in the corner what is too small to be scored."""
    made = Scored(tmp_path_factory.mktemp("built"))
    things = (
        Thing("Nodule", rectangle(0, 0, 4, 4, SIZE)),
        Thing("Liver", LIVER),
        Thing("Kidney", KIDNEY, "left"),
    )
    cases = [
        SmallCase(f"case{number}", f"patient{number}", ((np.full(SIZE, 20 + number, np.uint8), things),))
        for number in range(3)
    ]
    made.build("first", cases)
    made.score(Box())
    made.board()
    return made


@pytest.fixture(scope="package")
def reader(built: Scored, tmp_path_factory: pytest.TempPathFactory) -> BoardReader:
    """Their board."""
    state = tmp_path_factory.mktemp("state")
    publish(built.path, state)
    return BoardReader(state)


@pytest.fixture
def folder(built: Scored, reader: BoardReader, tmp_path: Path) -> Path:
    """A study of two of the pictures, as exported."""
    export("box", tmp_path / "trial", reader, built.data, Machine(), images=2, seed=0)
    return tmp_path / "trial"
