"""How many submissions an identity may have, and which names are free."""

import sqlite3

from leaderboard.submissions import table
from leaderboard.submissions.declared import Declared
from leaderboard.submissions.refusals import Refused
from leaderboard.submissions.states import FINAL
from leaderboard.submissions.terms import Limits

_WEEK_S = 7 * 24 * 3600.0


def check(
    connection: sqlite3.Connection, declared: Declared, identity: str, limits: Limits, now: float
) -> None:
    """Whether a submission may come in, within the transaction that takes it.

    Raises:
        Refused: the name is taken, or the identity has no run left.
    """
    final = ", ".join(map(repr, FINAL))
    table.free(connection, declared.name)
    since = now - _WEEK_S
    ((waiting, unscored, used),) = connection.execute(
        f"""select count(*) filter (where state not in ({final})),
            count(*) filter (where state not in ({final}) and reached is null),
            count(*) filter (where reached > ?)
        from submissions where identity = ?""",
        [since, identity],
    ).fetchall()
    if waiting >= limits.open_at_once:
        problem = f"{waiting} submissions of yours have not ended"
        raise Refused("too-many-open", f"{problem}; wait, or withdraw one")
    # One that is scored again counts by its first run: it is not its submitter who asked for the other.
    if used + unscored >= limits.weekly_quota:
        problem = f"{used} runs of yours were scored in the last seven days and {unscored} are under way"
        raise Refused("quota", f"{problem}, of {limits.weekly_quota} a week; wait until one is a week old")
