"""Stage `board`: scores to DuckDB, its figures to DVC's metrics and plots, the board to its readers."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from cosmos1050k.disk import replace_text
from cosmos1050k.shards import DATA
from leaderboard import scores_card
from leaderboard.evaluate import SCORES, BoardRows
from leaderboard.machine import MEASURED
from leaderboard.store import views
from leaderboard.store.build import BOARD, BoardOptions, build_board
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from leaderboard.store.runs import SUBMISSIONS, BoardInput
from pipelines import params, stage, terms

SUMMARY = Path("leaderboard/summary.json")
PLOTS = Path("leaderboard/plots")


def given(read: params.Params) -> BoardInput:
    """What the board of `params.yaml` is made of."""
    return BoardInput(DATA, SCORES, SUBMISSIONS, MEASURED, read.sources, read.models, read.protocol_version)


def main() -> None:
    read = params.load()
    built = build_board(
        given(read),
        BOARD,
        rows=read.section("board_rows", BoardRows),
        options=read.section("board", BoardOptions),
    )
    for one in built.left_out:
        print(f"not on the board: {one}")
    publish(BOARD)
    terms.write(read)
    reader = BoardReader()
    board = reader.board()
    replace_text(scores_card.CARD, scores_card.render(SCORES, reader.taken(), board["phantoms"]))
    replace_text(SUMMARY, json.dumps(_summary(reader), indent=1) + "\n")
    replace_text(PLOTS / "dice.csv", _dice(reader))
    replace_text(PLOTS / "pareto.csv", _pareto(reader))


def _summary(reader: BoardReader) -> dict[str, Any]:
    """What `dvc metrics show` prints: headline DICE in per cent per model and strategy, interval, counts."""
    board = reader.board()
    found: dict[str, dict[str, Any]] = {}
    for row in reader.headlines():
        ends = {name: _percent(row[name]) for name in ("low", "high") if row[name] is not None}
        found.setdefault(row["model"], {})[row["strategy"]] = {"dice": _percent(row["headline"]), **ends}
    counts = {name: board[name] for name in ("images", "pairs", "patients")}
    return {**counts, "phantoms": len(board["phantoms"]), "models": found}


def _percent(dice: float) -> float:
    return round(100 * dice, 2)


def _dice(reader: BoardReader) -> str:
    """What `dvc plots show` draws: DICE in per cent per pair, model and strategy, with its interval."""
    rows = []
    for row in reader.all_pairs("oracle"):
        mark = " (phantom)" if row["phantom"] else ""
        ends = ("" if row[name] is None else _percent(row[name]) for name in ("low", "high"))
        name = f"{row['pair']}{mark} {row['model']} {row['strategy']}"
        rows.append([name, row["model"], row["strategy"], _percent(row["dice"]), *ends])
    return _csv(["pair", "model", "strategy", "dice", "low", "high"], rows)


def _pareto(reader: BoardReader) -> str:
    """DICE in per cent against milliseconds per image with one target, of models that are timed."""
    rows = []
    for strategy in views.strategies(reader):
        for row in views.models_view(reader, sort_by=strategy):
            dice = row.cells[strategy].dice
            if row.milliseconds is not None and dice is not None:
                time, front = round(row.milliseconds, 2), "yes" if row.fastest else "no"
                rows.append([row.model, strategy, time, _percent(dice), front, row.timed_on])
    return _csv(["model", "strategy", "milliseconds", "dice", "front", "timed_on"], rows)


def _csv(head: list[str], rows: list[list[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([head, *rows])
    return text.getvalue()


if __name__ == "__main__":
    with stage.reported():
        main()
