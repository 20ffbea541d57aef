"""The worker against a server that fails at will, with children that need no model."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos1050k.errors import InputError
from leaderboard.submissions import worker, workspace
from leaderboard.submissions.client import WorkServer
from leaderboard.submissions.connection import TOKEN as VARIABLE
from leaderboard.submissions.connection import Away, Refusal, Tick, token_of
from leaderboard.submissions.sandbox import Ended
from leaderboard.submissions.worker import Settings
from tests.leaderboard.submissions.platform import CUT, TOKEN, Platform
from tests.leaderboard.submissions.test_client import QUICK
from tests.leaderboard.submissions.working import BYTES, WELL, Killed, at_work, ordered, scores


@pytest.mark.parametrize("only", [("first", "second"), ("second",)])
def test_what_is_scored_is_handed_in(platform: Platform, settings: Settings, only: tuple[str, ...]) -> None:
    ordered(platform, "a", only=only)
    found: list[bytes] = []

    def run(folder: Path, tick: Tick) -> Ended:
        found.append((folder / "data/models/mine/weights.safetensors").read_bytes())
        assert workspace.job_of(folder).data == settings.data
        return scores(folder, tick)

    at = at_work(platform, settings, run)
    at.serve()
    assert found == [BYTES]
    assert (at.tally.runs, at.tally.failures) == ({"scored": 1}, {})
    assert at.tally.seconds.keys() == {"scored"}
    assert platform.states == {"a": "scored"}
    assert platform.scores == {("a", slug): f"scores on {slug}".encode() for slug in only}
    assert platform.manifests == {"a": b"{}"}
    (claim,) = platform.claims
    assert claim["worker"] == "w"
    assert "cpu" in claim["devices"]
    versions = {s: json.loads((settings.data / s / "manifest.json").read_text()) for s in ("first", "second")}
    assert claim["sources"] == {slug: manifest["version"] for slug, manifest in versions.items()}
    assert left(settings) == []


def left(settings: Settings) -> list[str]:
    return sorted(str(path.relative_to(settings.work)) for path in settings.work.glob("**/a*"))


@pytest.mark.parametrize(
    ("ended", "kind", "code", "message"),
    [
        (Ended(3, "", 'x\n{"code": "fails", "message": "NaN"}', "log"), "model", "fails", "NaN"),
        (Ended(-9, "time", "", "log"), "model", "limit", "the run took longer than it may"),
        (Ended(-9, "memory", "", "log"), "model", "limit", "the run took more memory than it may"),
        (Ended(3, "", '{"code": "made up", "message": "x"}', "log"), "ours", "crashed", "status 3: log"),
        (Ended(1, "crashed", "", "error: no shard\n"), "ours", "crashed", "status 1: error: no shard"),
        (Ended(-9, "killed", "", ""), "ours", "killed", "without a word"),
        (WELL, "ours", "worker", "No such file"),
    ],
)
def test_why_there_are_no_scores(
    platform: Platform, settings: Settings, ended: Ended, kind: str, code: str, message: str
) -> None:
    ordered(platform, "a")
    at = at_work(platform, settings, lambda folder, tick: ended)
    at.serve()
    (report,) = platform.reports
    assert at.tally.failures == {(kind, code): 1}
    assert at.tally.runs == {platform.states["a"]: 1}
    assert (report["kind"], report["code"], report["log"]) == (kind, code, ended.log)
    assert message in report["message"]
    assert bool(left(settings)) == (kind == "ours")  # for the next run of it


def test_a_worker_s_fault_is_reported_and_the_next_is_scored(platform: Platform, settings: Settings) -> None:
    ordered(platform, "a", "b")
    platform.weights["a"] = b"others"

    def run(folder: Path, tick: Tick) -> Ended:
        raise RuntimeError("a bug")

    at_work(platform, settings).serve()
    at_work(platform, settings, run).serve()
    assert [report["kind"] for report in platform.reports] == ["ours", "ours"]
    assert "not those of its order" in platform.reports[0]["message"]
    assert platform.reports[1]["message"] == "RuntimeError: a bug"


def waits(until: Callable[[], bool], tick: Tick, pids: list[int] | None = None) -> Ended:
    """A run of a child that takes long, as the cage runs it: ticks, and leaves nothing behind."""
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            if pids is not None:
                pids.append(child.pid)
            while not until():
                time.sleep(0.01)
                tick()
        finally:
            child.kill()
    return WELL


def test_heartbeats_say_how_far_it_is_though_the_server_was_away(
    platform: Platform, settings: Settings
) -> None:
    platform.lease_s = 0.4
    platform.faults["heartbeat"] = [500, CUT]
    ordered(platform, "a")

    def run(folder: Path, tick: Tick) -> Ended:
        (folder / workspace.PROGRESS).write_text('{"doing": "scores", "done": 3, "total": 9}')
        waits(lambda: len(platform.beats) >= 2, tick)
        return scores(folder, tick)

    at_work(platform, settings, run).serve()
    assert platform.beats[:2] == [{"doing": "scores", "done": 3, "total": 9}] * 2
    assert platform.states == {"a": "scored"}


def test_a_lost_lease_ends_the_child_and_the_next_is_scored(platform: Platform, settings: Settings) -> None:
    platform.lease_s = 0.1
    ordered(platform, "a", "b")
    pids: list[int] = []

    def run(folder: Path, tick: Tick) -> Ended:
        if folder.name == "a":
            platform.leases.clear()
            return waits(lambda: False, tick, pids)
        return scores(folder, tick)

    at_work(platform, settings, run).serve()
    assert not Path(f"/proc/{pids[0]}").exists()
    assert not platform.reports
    platform.states["a"] = "published"  # somebody else scored it
    at_work(platform, settings, run).serve()
    assert platform.states["b"] == "scored"
    assert left(settings) == []


def test_a_lease_that_ends_while_it_hands_in(platform: Platform, settings: Settings) -> None:
    ordered(platform, "a")
    platform.faults["finish"] = [410]
    at_work(platform, settings).serve()
    assert not platform.reports
    assert not platform.manifests


def test_scores_are_handed_in_after_the_server_was_away(settings: Settings) -> None:
    platform = Platform()
    ordered(platform, "a")
    away, back = threading.Event(), threading.Event()

    def run(folder: Path, tick: Tick) -> Ended:
        away.set()
        assert back.wait(30)
        return scores(folder, tick)

    with platform.running():
        working = threading.Thread(target=at_work(platform, settings, run).serve)
        working.start()
        assert away.wait(30)
    back.set()
    time.sleep(0.3)
    with platform.running():
        working.join()
    assert platform.states == {"a": "scored"}


def test_after_its_own_death_it_goes_on_with_what_is_there(platform: Platform, settings: Settings) -> None:
    ordered(platform, "a", "a")
    runs = []

    def run(folder: Path, tick: Tick) -> Ended:
        unit = folder / "data/units/evaluate/key"
        runs.append(unit.is_dir())
        if runs == [False]:
            unit.mkdir(parents=True)
            raise Killed
        return scores(folder, tick)

    with pytest.raises(Killed):
        at_work(platform, settings, run).serve()
    at_work(platform, settings, run).serve()
    assert runs == [False, True]
    assert len(platform.calls("weights")) == 1
    assert platform.states == {"a": "scored"}


def test_what_is_left_of_others_is_removed_when_it_ended_or_is_old(
    platform: Platform, settings: Settings
) -> None:
    platform.states = {"ended": "rejected", "runs": "running", "old": "running"}
    weights = settings.work / ".weights"
    weights.mkdir(parents=True)
    for name in ("ended", "runs", "old", "unknown"):
        (settings.work / name / "data").mkdir(parents=True)
        (weights / f"{name}.part").write_bytes(b"1")
    for path in (settings.work / "old", weights / "old.part"):
        os.utime(path, (0, time.time() - 8 * 24 * 3600))
    (settings.work / "README.md").write_text("not a submission's")
    platform.faults["seen"] = [500]
    at_work(platform, settings).serve()
    kept = {path.name for path in settings.work.iterdir() if path.is_dir()}
    assert len(kept) == 3  # of the one that the server did not speak of, too
    at_work(platform, settings).serve()
    assert {path.name for path in settings.work.iterdir()} == {"runs", ".weights", ".lock", "README.md"}
    assert [path.name for path in weights.iterdir()] == ["runs.part"]


def test_a_folder_is_one_worker_s(platform: Platform, settings: Settings) -> None:
    ordered(platform, "a")

    def run(folder: Path, tick: Tick) -> Ended:
        with pytest.raises(InputError, match="another worker uses it"):
            at_work(platform, settings).serve()
        return scores(folder, tick)

    at_work(platform, settings, run).serve()
    assert platform.states == {"a": "scored"}


def test_who_is_not_taken_ends_and_who_is_put_off_asks_again(
    platform: Platform, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    for fault, kind in ((401, Refusal), (409, Refusal), (500, Away)):
        platform.faults["claim"] = [fault]
        with pytest.raises(kind, match=f"told to say {fault}"):
            at_work(platform, settings).serve()
    patient = Settings(settings.work, settings.data, "w", poll_s=0.01)
    platform.faults["claim"] = [409, 409, 409, 500, CUT, 403]
    with caplog.at_level(logging.INFO), pytest.raises(Refusal, match="told to say 403"):
        at_work(platform, patient).serve()
    assert caplog.text.count("told to say 409") == 1
    ordered(platform, "a")
    platform.faults["scores"] = [403]
    with pytest.raises(Refusal, match="told to say 403"):
        at_work(platform, settings).serve()


def test_a_name_that_no_queue_shows(platform: Platform, settings: Settings) -> None:
    with pytest.raises(InputError, match="--name"):
        at_work(platform, Settings(name="<b>"))


def test_no_start_where_the_network_is_open(
    platform: Platform, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    held = worker.sandbox.Holds(True, True, (), False, "", None)
    monkeypatch.setattr(worker.sandbox, "holds", lambda: held)
    server = WorkServer(platform.address, TOKEN, patience=QUICK)
    with pytest.raises(InputError, match=r"can't be kept off the network here; .*--allow-open"):
        worker.start(server, settings)
    try:
        worker.start(server, settings, allow_open=True)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert platform.claims


def test_where_the_token_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "of the environment")
    (tmp_path / "token").write_text("of the file\n")
    assert token_of("given", tmp_path / "token") == "given"
    assert token_of(None, tmp_path / "token") == "of the file"
    assert token_of(None, None) == "of the environment"
    with pytest.raises(InputError, match="check the name"):
        token_of(None, tmp_path / "nothing")


def test_the_command_starts_without_torch_and_ends_at_a_signal(
    platform: Platform, settings: Settings, tmp_path: Path
) -> None:
    code = (
        "import sys, logging\n"
        "from leaderboard.submissions import worker\n"
        "worker.main()\n"
        "assert not {'torch', 'gradio', 'huggingface_hub', 'datasets'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", code, "--server", platform.address, "--work", str(settings.work)]
    command += ["--data", str(settings.data), "--poll", "0.05", "--allow-open"]
    with subprocess.Popen(
        command, env=os.environ | {VARIABLE: TOKEN}, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            until = time.monotonic() + 60
            while len(platform.claims) < 2 and time.monotonic() < until:
                time.sleep(0.05)
            process.terminate()
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert [line.split(" ", 2)[2] for line in said.splitlines()] == ["no work now", "stopped"]
    assert TOKEN not in said
