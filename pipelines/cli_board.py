"""The verbs of `cosmos` that read the board; `cli` registers them."""

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from cosmos1050k.errors import InputError
from pipelines import stage


class ExportFormat(StrEnum):
    csv = "csv"
    parquet = "parquet"
    json = "json"


class By(StrEnum):
    model = "model"
    pair = "pair"
    modality = "modality"
    case = "case"


def board(
    strategy: Annotated[str | None, typer.Option(help="The strategy that ranks; default S5.")] = None,
    selection: Annotated[
        str | None, typer.Option(help="Which of a model's masks counts: oracle (default) or predicted_iou.")
    ] = None,
    modality: Annotated[str | None, typer.Option(help="Only its pairs, such as CT.")] = None,
    of_object: Annotated[str | None, typer.Option("--object", help="Only its pairs, such as Liver.")] = None,
    by: Annotated[
        By | None, typer.Option(help="A row per model, per pair, per modality, or per case.")
    ] = None,
    seen: Annotated[
        bool, typer.Option("--seen", help="DICE apart by what a model may have seen in training.")
    ] = False,
    paper: Annotated[
        bool,
        typer.Option(
            "--paper", help="Scores of all rows, averaged as the paper's authors do, beside theirs."
        ),
    ] = False,
    archived: Annotated[
        str | None,
        typer.Option(help="An older board, DATASET-PROTOCOL, of leaderboard/state/boards/archive."),
    ] = None,
    export: Annotated[
        ExportFormat | None, typer.Option(help="Write it to standard output; by default every pair.")
    ] = None,
) -> None:
    """Show the published board, or export it."""
    from leaderboard.store.read import BoardReader
    from pipelines import board_tables, terminal

    with stage.reported():
        reader = BoardReader(old=archived)
        asked = board_tables.Asked(reader, strategy, selection, modality, of_object)
        board_tables.check(asked, by.value if by else None, seen=seen, paper=paper)
        if export is not None:
            rows = board_tables.rows(reader, asked, by.value if by else None, seen=seen, paper=paper)
            _write(board_tables.written(reader, rows, export.value))
        elif seen:
            terminal.show_seen(reader, asked)
        elif paper:
            terminal.show_beside_paper(reader, asked)
        elif by is None and modality is None and of_object is None:
            terminal.show(reader, asked.strategy, asked.selection)
        else:
            terminal.show_by(reader, asked, by.value if by else "model")


def _write(content: bytes) -> None:
    """To standard output.

    Raises:
        InputError: it can't be written to; a reader that has enough, such as `head`, is no error.
    """
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains as it ends
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise InputError(f"standard output: can't be written ({error.strerror}); send it elsewhere") from None


def compare(
    first: Annotated[str, typer.Argument(help="A model of the board.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    strategy: Annotated[str, typer.Option(help="Under which strategy.")] = "S5",
    selection: Annotated[str, typer.Option(help="oracle or predicted_iou.")] = "oracle",
    metric: Annotated[str, typer.Option(help="dice, hausdorff or assd.")] = "dice",
) -> None:
    """Compare two models pair by pair: difference, interval, verdict."""
    from leaderboard import comparison
    from leaderboard.store.read import BoardReader
    from pipelines import terminal

    with stage.reported():
        reader = BoardReader()
        if first == second:
            raise InputError(f"{first}: a model against itself; name two")
        found = comparison.compare(reader, (first, second), strategy, selection, metric)
        terminal.show_comparison(found, (first, second), strategy, selection, metric)
