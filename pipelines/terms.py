"""What `params.yaml` and the published board say of submissions, for the app that takes them."""

from typing import cast

from cosmos1050k.shards import DATA, load_manifest
from leaderboard.evaluate import BoardRows, EvaluateOptions
from leaderboard.machine import Device
from leaderboard.store.build import BoardOptions
from leaderboard.store.publish import STATE
from leaderboard.store.read import BoardReader
from leaderboard.submissions import terms
from leaderboard.submissions.queue import QUEUE, Queue
from leaderboard.submissions.terms import Limits, Terms
from pipelines.params import Params


def write(read: Params) -> None:
    """Writes them beside the board, and asks for a board with all that was submitted meanwhile.

    Raises:
        InputError: a source is not built, there is no board, or the folder can't be written.
    """
    device, _, numerics = BoardReader().board()["numerics"].partition(", ")
    found = Terms(
        sources={slug: load_manifest(DATA / slug).version for slug in read.sources},
        models=read.models,
        protocol_version=read.protocol_version,
        evaluate=read.section("evaluate", EvaluateOptions),
        board_rows=read.section("board_rows", BoardRows),
        board=read.section("board", BoardOptions),
        device=cast(Device, device),
        numerics=numerics,
        limits=read.section("submissions", Limits),
    )
    terms.write(found, STATE)
    if (STATE / QUEUE).exists():
        Queue(STATE).want_board()
