"""What a worker does about faults of its own, and about what it can't read."""

import logging
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from leaderboard.submissions import worker
from leaderboard.submissions.client import Unreadable
from leaderboard.submissions.connection import Tick
from leaderboard.submissions.entry import LeaseLost
from leaderboard.submissions.sandbox import Ended
from leaderboard.submissions.worker import Settings
from tests.leaderboard.submissions.platform import OTHER, Platform
from tests.leaderboard.submissions.working import WELL, Killed, at_work, ordered, scores


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long a worker would have waited between its claims; it ends when it finds no work."""
    found: list[float] = []

    def pausing(seconds: float, tick: Tick) -> None:
        if seconds == 5:
            raise Killed
        found.append(seconds)

    monkeypatch.setattr(worker, "pausing", pausing)
    return found


@pytest.mark.slow
def test_the_longer_it_waits_the_more_often_it_is_at_fault_itself(
    platform: Platform, settings: Settings, waited: list[float]
) -> None:
    crash, fails = Ended(1, "crashed", "", "x"), Ended(3, "", '{"code": "fails", "message": "NaN"}', "")
    runs = [*[crash] * 8, WELL, crash, crash, fails, crash, None, crash]
    ordered(platform, *(f"a{number}" for number in range(len(runs))))

    def run(folder: Path, tick: Tick) -> Ended:
        ended = runs[int(folder.name[1:])]
        if ended is None:
            raise LeaseLost("over")
        return scores(folder, tick) if ended is WELL else ended

    with pytest.raises(Killed):
        at_work(platform, patient(settings), run).serve()
    assert waited == [10, 20, 40, 80, 160, 320, 600, 600, 0, 10, 20, 0, 10, 0, 10]
    assert len(platform.calls("report")) == 13


def patient(settings: Settings) -> Settings:
    return Settings(settings.work, settings.data, "w", poll_s=5)


def test_work_that_it_cannot_read_is_given_back(
    platform: Platform, settings: Settings, waited: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    ordered(platform, "a", "b", "c")
    for order in platform.orders[:2]:
        order["new"] = 1
    platform.faults["report"] = [0, 410]
    with caplog.at_level(logging.INFO), pytest.raises(Killed):
        at_work(platform, patient(settings)).serve()
    assert platform.states == {"a": "queued", "b": "running", "c": "scored"}
    (report,) = platform.reports
    assert (report["kind"], report["code"]) == ("ours", "worker")
    assert "can't read the order" in report["message"]
    assert waited == [10, 20, 0]
    assert "-secret" not in caplog.text
    ordered(platform, "d")
    platform.orders[0]["new"] = 1
    at_work(platform, settings).serve()
    assert platform.states["d"] == "queued"


def test_what_is_no_work_at_all_does_not_end_it(
    platform: Platform, settings: Settings, waited: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    ordered(platform, "a")
    platform.faults["claim"] = [OTHER]
    with pytest.raises(Unreadable, match="check --server"):
        at_work(platform, settings).serve()
    platform.faults["claim"] = [OTHER]
    with pytest.raises(Killed):
        at_work(platform, patient(settings)).serve()
    assert platform.states == {"a": "scored"}
    assert not platform.reports
    assert waited == [10, 0]
    assert caplog.text.count("is no Granted") == 1


def test_it_says_which_bases_lie_here(
    platform: Platform, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    at_work(platform, settings).serve()
    (tmp_path / "data/weights").mkdir(parents=True)
    sums = "34b34b78c1d18cb8c6bf84cf9c00e135d6d6c965699f3c0e31ef1bc9dcb5be74"
    for name in ("medsam", "sam_vit_b"):  # the second is the first's, under another name
        said = {"name": "medsam", "architecture": "vit_b", "sha256": sums, "part": "whole"}
        save_file({"x": np.zeros(1)}, f"data/weights/{name}.safetensors", said)
    (tmp_path / "data/weights/sam_vit_h.safetensors").write_text("torn")
    at_work(platform, settings).serve()
    assert [claim["bases"] for claim in platform.claims] == [["sam_nano"], ["sam_nano", "medsam"]]
    assert {claim["speaks"] for claim in platform.claims} == {1}
