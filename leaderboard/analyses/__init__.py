"""The paper's tables and figures anew, on the published board: a file per analysis (protocol, section 6)."""

from collections.abc import Callable

from leaderboard.analyses import (
    figure_3,
    figure_10,
    figure_11,
    figure_13,
    figure_14,
    figure_16,
    figures_6_7_8,
    figures_12_15,
    figures_17_18,
    table_4,
    table_5,
    table_6,
    table_7,
    table_8,
    tables_2_3,
)
from leaderboard.analyses.given import Given
from leaderboard.analyses.section import Section

#: In the paper's order.
ANALYSES: tuple[Callable[[Given], Section], ...] = (
    figure_3.section,
    figures_6_7_8.figure_6,
    tables_2_3.table_2,
    tables_2_3.table_3,
    figures_6_7_8.figure_7,
    figures_6_7_8.figure_8,
    figure_10.section,
    table_4.section,
    table_5.section,
    figure_11.section,
    table_6.section,
    figures_12_15.figure_12,
    figure_13.section,
    figure_14.section,
    figures_12_15.figure_15,
    table_7.section,
    table_8.section,
    figure_16.section,
    figures_17_18.figure_17,
    figures_17_18.figure_18,
)


def sections(given: Given) -> list[Section]:
    """Every analysis of a board, in the paper's order.

    Raises:
        InputError: a built source or a measurement is missing or damaged.
    """
    return [analysis(given) for analysis in ANALYSES]
