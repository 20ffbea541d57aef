"""The board with what was submitted, made and published by a process of its own.

`python -m leaderboard.submissions.publishing STATE DATA SCORES MEASURED` prints, as JSON, what is not on it.
"""

import json
import logging
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from cosmos1050k.errors import InputError
from leaderboard.store import files
from leaderboard.store.build import build_board
from leaderboard.store.publish import publish
from leaderboard.store.runs import BoardInput, LeftOut
from leaderboard.submissions import terms
from leaderboard.submissions.score_folders import SCORES

#: Below the folder of the state: where a board is made before it is published.
_MAKING = "making"
#: Its exit status where the input is at fault.
_REFUSED = 3


@dataclass(frozen=True)
class Places:
    """Where a board's input lies: the state, the built sources, the models' scores, what was measured."""

    state: Path
    data: Path
    scores: Path
    measured: Path


def published(places: Places) -> list[LeftOut]:
    """Makes and publishes the board; returns what is not on it.

    Raises:
        InputError: no board can be made; the one that is shown stays.
    """
    folders = [places.state, places.data, places.scores, places.measured]
    command = [sys.executable, "-m", "leaderboard.submissions.publishing", *map(str, folders)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode == _REFUSED:
        raise InputError(done.stderr.decode(errors="replace").strip().splitlines()[-1])
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[-4000:])
    return [LeftOut(**one) for one in json.loads(done.stdout)]


def make(places: Places) -> list[LeftOut]:
    """What the process does; one at a time, so that the last published is the last made."""
    with files.locked(places.state / _MAKING):
        given = terms.read(places.state)
        wanted = BoardInput(
            places.data,
            places.scores,
            places.state / SCORES,
            places.measured,
            tuple(given.sources),
            given.models,
            given.protocol_version,
        )
        board = places.state / _MAKING / "board" / "leaderboard.duckdb"
        built = build_board(wanted, board, rows=given.board_rows, options=given.board)
        publish(board, places.state)
        return list(built.left_out)


def main() -> None:
    logging.basicConfig(format="%(levelname)s: %(message)s")
    try:
        left = make(Places(*map(Path, sys.argv[1:])))
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_REFUSED)
    sys.stdout.write(json.dumps([asdict(one) for one in left]))


if __name__ == "__main__":
    main()
