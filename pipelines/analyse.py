"""Stage `analyse`: the paper's tables and figures on the board, as a report and for the app."""

import tempfile
from pathlib import Path

from leaderboard import analyses
from leaderboard.analyses import given, publishing, report
from leaderboard.store.build import BOARD
from leaderboard.store.publish import CURRENT
from leaderboard.store.read import BoardReader
from pipelines import stage


def main() -> None:
    # The stage's own board: the published one may be a worker's, with submissions.
    with tempfile.TemporaryDirectory() as state:
        link = Path(state) / "boards" / CURRENT
        link.parent.mkdir()
        link.symlink_to(BOARD.resolve())
        reader = BoardReader(Path(state))
        found = analyses.sections(given.load(reader))
        path = report.write(found, reader.board())
    publishing.publish(report.REPORTS / report.SECTIONS)
    done = sum(not one.missing for one in found)
    print(f"{path}: {done} of {len(found)} analyses; of the others it says what they need")


if __name__ == "__main__":
    with stage.reported():
        main()
