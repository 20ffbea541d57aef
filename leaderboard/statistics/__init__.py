"""The board's statistics: tables in, tables out (protocol, section 5)."""

from leaderboard.statistics.aggregation import DISTANCES, aggregate
from leaderboard.statistics.bootstrap import FEWEST_PATIENTS, LEVEL
from leaderboard.statistics.ranking import Board, board

__all__ = ["DISTANCES", "FEWEST_PATIENTS", "LEVEL", "Board", "aggregate", "board"]
