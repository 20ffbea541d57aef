"""A worker at the small server, and what its children do without a model."""

import hashlib
from pathlib import Path

from leaderboard.submissions import worker, workspace
from leaderboard.submissions.client import WorkServer
from leaderboard.submissions.connection import Tick
from leaderboard.submissions.declared import parsed
from leaderboard.submissions.order import Order
from leaderboard.submissions.sandbox import Ended
from leaderboard.submissions.terms import Limits
from leaderboard.submissions.worker import Settings, Worker
from tests.leaderboard.submissions.platform import TOKEN, Platform
from tests.leaderboard.submissions.test_client import QUICK

BYTES = b"weights" * 1000
WELL = Ended(0, "", "", "")


class Killed(BaseException):
    """Stands for a signal that leaves no time for anything."""


def ordered(platform: Platform, *submissions: str, **more: object) -> None:
    """Makes these submissions wait at the server."""
    sums = hashlib.sha256(BYTES).hexdigest()
    declared = parsed('{"name": "mine", "architecture": "nano", "licence": "MIT", "contact": "a@b.org"}')
    for submission in submissions:
        order = Order(
            submission=submission,
            record=declared.record("whole", sums, "0" * 64),
            weights_bytes=len(BYTES),
            weights_sha256=sums,
            sources={"first": "1" * 64, "second": "2" * 64},
            only=("first", "second"),
            protocol_version=1,
            evaluate={},
            board_rows={},
            limits=Limits(),
        )
        platform.orders.append(order.model_copy(update=more).model_dump(mode="json"))
        platform.weights[submission] = BYTES


def scores(folder: Path, tick: Tick) -> Ended:
    """A run that ends well."""
    (folder / workspace.SCORES).mkdir()
    for slug in workspace.scored(workspace.job_of(folder).order):
        (folder / workspace.SCORES / f"{slug}.parquet").write_bytes(f"scores on {slug}".encode())
    (folder / workspace.SCORES / "manifest.json").write_text("{}")
    return WELL


def at_work(platform: Platform, settings: Settings, run: worker.Run = scores) -> Worker:
    return Worker(WorkServer(platform.address, TOKEN, patience=QUICK), settings, run)
