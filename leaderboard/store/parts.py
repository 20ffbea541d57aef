"""Scores of a part of the board: the rows of one source or contact, or some of the pairs."""

from collections.abc import Sequence
from typing import Any

from leaderboard.store.facts import ROUNDED
from leaderboard.store.read import BoardReader

Rows = list[dict[str, Any]]

#: Where the scores are of the rows of one source, or of one contact.
_TABLES = {"source": "source_scores", "contact": "contact_scores"}
#: The mean over rows that are pairs; the interval, where there is one row.
_MEAN = f"""avg({ROUNDED.format("dice")}) as dice, count(*) as pairs,
    case when count(*) = 1 then any_value(low) end as low,
    case when count(*) = 1 then any_value(high) end as high"""


def part_means(
    reader: BoardReader, part: str, value: str, selection: str, pairs: Sequence[str] | None = None
) -> Rows:
    """Per model and strategy the mean DICE of the rows of one source or contact.

    Args:
        part, value: `source` or `contact`, and which one.
        pairs: the mean over these; None: over all that have such rows.

    Returns:
        `dice`, `pairs`; `low` and `high`, null for a mean over several, but not all, of the pairs.
    """
    given = f"from {_TABLES[part]} where selection = ? and {part} = ?"
    if pairs is None:
        query = f"select model, strategy, dice, low, high, pairs {given} and pair is null order by all"
        return reader.rows(query, selection, value)
    query = f"select model, strategy, {_MEAN} {given} and list_contains(?, pair) group by all order by all"
    return reader.rows(query, selection, value, list(pairs))


def part_pairs(reader: BoardReader, part: str, value: str, strategy: str, selection: str) -> set[str]:
    """The pairs in which any model has a score of the rows of one source or contact (as `part_means`)."""
    query = f"""select distinct pair from {_TABLES[part]}
        where strategy = ? and selection = ? and {part} = ? and pair is not null"""
    return {row["pair"] for row in reader.rows(query, strategy, selection, value)}


def models_in_contact(reader: BoardReader, source: str, contact: str) -> set[str]:
    """The models to which all test rows of a source are of one contact."""
    query = """select model from contacts join kinds using (kind) where source = ? and split = 'test'
        group by model having bool_and(contact = ?)"""
    return {row["model"] for row in reader.rows(query, source, contact)}


def pair_means(reader: BoardReader, selection: str, pairs: Sequence[str]) -> Rows:
    """Per model and strategy the mean `dice` over some pairs, and over how many; no interval, but of one."""
    query = f"""select model, strategy, {_MEAN} from pair_scores
        where selection = ? and list_contains(?, pair) group by model, strategy order by all"""
    return reader.rows(query, selection, list(pairs))


def tallies(
    reader: BoardReader, strategy: str, selection: str, pairs: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Model → the mean over pairs of their mean Hausdorff distance, null if none has one; the pairs'
    `empties` and `failures` together."""
    query = f"""select model, avg({ROUNDED.format("hausdorff")}) as hausdorff,
            sum(empties)::bigint as empties, sum(failures)::bigint as failures
        from pair_scores where strategy = ? and selection = ? and list_contains(?, pair) group by model"""
    return {row["model"]: row for row in reader.rows(query, strategy, selection, list(pairs))}
