"""What a worker reports of a run without scores: the model's fault or its own."""

import json

from leaderboard.submissions import workspace
from leaderboard.submissions.connection import line
from leaderboard.submissions.order import Report
from leaderboard.submissions.refusals import CODES
from leaderboard.submissions.sandbox import Ended


def verdict(ended: Ended) -> Report | None:
    """Why a run has no scores; None if it has."""
    if ended.reason in ("time", "memory"):
        what = {"time": "longer", "memory": "more memory"}[ended.reason]
        return Report(kind="model", code="limit", message=f"the run took {what} than it may", log=ended.log)
    if ended.code == workspace.REFUSED and (told := _told(ended.said)):
        return Report(kind="model", code=told[0], message=told[1], log=ended.log)
    if ended.code != 0:
        last = next((text for text in map(line, reversed(ended.log.splitlines())) if text), "without a word")
        return ours(ended.reason or "crashed", f"the run ended with status {ended.code}: {last}", ended.log)
    return None


def _told(text: str) -> tuple[str, str] | None:
    """The code and the sentence that a child says of its model."""
    for said in reversed(text.splitlines()):
        try:
            told = json.loads(said)
        except ValueError:
            continue
        if isinstance(told, dict) and told.get("code") in CODES:
            return told["code"], line(str(told.get("message", "")))
    return None


def ours(code: str, message: str, text: str = "") -> Report:
    return Report(kind="ours", code=code, message=line(message), log=text)
