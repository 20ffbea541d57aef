"""A model's best and worst scores on the board, object by object."""

from dataclasses import dataclass
from typing import Any

from leaderboard.selection import SELECTIONS
from leaderboard.store.facts import EVERYTHING
from leaderboard.store.read import BoardReader, known_selection


@dataclass(frozen=True)
class Extreme:
    """The score of one object.

    `dice` in 0…1; `hausdorff` in pixels, None of an empty mask; `status`: scored, empty or failed;
    `candidate`: which of the model's masks was chosen, None if there was none; `instance`: which of equal
    objects it is, if the source says it.
    """

    image_id: str
    object_index: int
    object: str
    instance: str | None
    pair: str
    source: str
    dice: float
    hausdorff: float | None
    status: str
    candidate: int | None


@dataclass(frozen=True)
class Extremes:
    """The best, from the highest DICE down, and the worst, from the lowest up; no object is in both."""

    best: list[Extreme]
    worst: list[Extreme]


def extremes(
    reader: BoardReader,
    model: str,
    strategy: str,
    selection: str = SELECTIONS[0],
    pair: str | None = None,
    count: int = 4,
) -> Extremes:
    """A model's best and worst objects on the board (of one pair), `count` of each at most.

    Objects of equal DICE come in the board's order. None where the model has no score.

    Raises:
        InputError: an unknown selection; an archived board, which has no single scores.
    """
    known_selection(selection)
    found = []
    for direction in ("desc", "asc"):
        rows = reader.rows(
            f"""with own as ({_OWN.format(selection=selection)}
                and (? is null or s.pair = try_cast(? as pair_name))
                order by dice {direction}, object_id limit ?)
            {_TOLD}
            order by dice {direction}, object_id""",
            model,
            strategy,
            list(EVERYTHING),
            strategy,
            pair,
            pair,
            count,
        )
        found.append(rows)
    taken = {row["object_id"] for row in found[0]}
    worst = [row for row in found[1] if row["object_id"] not in taken]
    return Extremes([_extreme(row) for row in found[0]], [_extreme(row) for row in worst])


_OWN = """select s.object_id, s.dice_{selection} as dice, s.hausdorff_{selection} as hausdorff, s.status,
        s.candidate_{selection} as candidate
    from scores s
    join objects b using (object_id)
    semi join (select * from coverage where scores = of_scores) w
        on w.model = s.model and w.strategy = s.strategy and w.pair = s.pair
    where s.model = try_cast(? as model_name) and s.strategy = try_cast(? as strategy_name)
        and case when list_contains(?, ?) then b.on_board_s1 else b.on_board end
        and s.dice_{selection} is not null"""
_TOLD = """select object_id, image_id, object_index, object, instance, pair::varchar as pair, source, dice,
    hausdorff, status::varchar as status, candidate
    from own join objects using (object_id)"""


def of_image(reader: BoardReader, model: str, strategy: str, selection: str, image_id: str) -> list[Extreme]:
    """A model's scores of all objects of one image that are on the board, in the image's order.

    Raises: as `extremes`.
    """
    known_selection(selection)
    rows = reader.rows(
        f"""with own as ({_OWN.format(selection=selection)}
            and s.object_id in (select object_id from objects where image_id = ?)
            and s.pair in (select pair from objects where image_id = ?))
        {_TOLD}
        order by object_index""",
        model,
        strategy,
        list(EVERYTHING),
        strategy,
        image_id,
        image_id,
    )
    return [_extreme(row) for row in rows]


def _extreme(row: dict[str, Any]) -> Extreme:
    return Extreme(**{name: value for name, value in row.items() if name != "object_id"})
