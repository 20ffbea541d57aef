"""All studies that stage `study` measures."""

from typing import Any

from leaderboard.studies import correction, everything_grid, interactive
from leaderboard.studies.study import Study

STUDIES: tuple[Study[Any], ...] = (everything_grid.STUDY, interactive.STUDY, correction.STUDY)
