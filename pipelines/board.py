"""Stage `board`: scores to DuckDB, its figures to DVC's metrics and plots, the board to its readers."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from cosmos1050k.index import replace_text
from cosmos1050k.shards import DATA
from leaderboard.evaluate import SCORES, BoardRows
from leaderboard.store.build import BOARD, BoardInput, BoardOptions, build_board
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from pipelines import params, stage

SUMMARY = Path("leaderboard/summary.json")
PLOT = Path("leaderboard/plots/dice.csv")


def main() -> None:
    given = params.load()
    build_board(
        BoardInput(DATA, SCORES, given.sources, given.models, given.protocol_version),
        BOARD,
        rows=given.section("board_rows", BoardRows),
        options=given.section("board", BoardOptions),
    )
    publish(BOARD)
    reader = BoardReader()
    replace_text(SUMMARY, json.dumps(_summary(reader), indent=1) + "\n")
    replace_text(PLOT, _plot(reader))


def _summary(reader: BoardReader) -> dict[str, Any]:
    """What `dvc metrics show` prints: headline DICE in per cent per model and strategy, and on how much."""
    board = reader.board()
    dice: dict[str, dict[str, float]] = {}
    for row in reader.headlines():
        dice.setdefault(row["model"], {})[row["strategy"]] = round(100 * row["headline"], 2)
    counts = {name: board[name] for name in ("images", "pairs", "patients")}
    return {**counts, "phantoms": len(board["phantoms"]), "dice": dice}


def _plot(reader: BoardReader) -> str:
    """What `dvc plots show` draws: DICE in per cent per pair, model and strategy."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["pair", "model", "strategy", "dice"])
    for row in reader.all_pairs():
        if row["selection"] == "oracle":
            mark = " (phantom)" if row["phantom"] else ""
            name = f"{row['pair']}{mark} {row['model']} {row['strategy']}"
            writer.writerow([name, row["model"], row["strategy"], round(100 * row["dice"], 2)])
    return text.getvalue()


if __name__ == "__main__":
    with stage.reported():
        main()
