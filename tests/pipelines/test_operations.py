"""What a year brings besides full disks: the services' files, and a clock that jumps."""

import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from app.__main__ import _parser
from leaderboard.submissions.entry import LeaseLost
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.terms import Limits
from pipelines import cli
from tests.conftest import ROOT
from tests.leaderboard.submissions.queues import BOARD, Clock, declared, sums
from tests.many import many

UNITS = ROOT / "docs/operations"


def test_the_units_run_what_there_is() -> None:
    """Their command lines are the commands' own; what systemd says of a unit is in a slow test."""
    app, worker = (_command(name) for name in ("cosmos-app", "cosmos-worker"))
    assert app[:3] == ["/srv/cosmos/.venv/bin/python", "-m", "app"]
    given = _parser().parse_args(app[3:])
    assert worker[:2] == ["/srv/cosmos/.venv/bin/cosmos", "worker"]
    asked = dict(pairwise(worker[2:]))
    assert asked["--server"] == f"http://127.0.0.1:{given.port}"
    page = (ROOT / "docs/operations.md").read_text()
    for port in (str(given.metrics_port), asked["--metrics-port"]):
        assert f"127.0.0.1:{port}" in page
    # With --help it does nothing; an option that is not there is status 2.
    assert CliRunner().invoke(cli.app, [*worker[1:], "--help"]).exit_code == 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    units_ = [path for path in UNITS.iterdir() if path.suffix in (".service", ".timer")]
    for unit in units_:
        text = unit.read_text().replace("/srv/cosmos/.venv/bin/", f"{Path(sys.executable).parent}/")
        (tmp_path / unit.name).write_text(text.replace("=/srv/cosmos", f"={ROOT}"))
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit.name) for unit in units_)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def _command(unit: str) -> list[str]:
    text = (UNITS / f"{unit}.service").read_text()
    return shlex.split(re.findall("^ExecStart=(.*)$", text, re.MULTILINE)[0])


@pytest.mark.parametrize("jump", [-1e9, -86_400, 86_400, 1e9])
def test_after_the_clock_jumped_a_worker_goes_on_or_its_work_is_taken_back(
    tmp_path: Path, jump: float
) -> None:
    clock, limits = Clock(), Limits()
    clock.now = 2e9
    queue = Queue(tmp_path, clock)
    ids = [queue.add(declared(name), "ann", BOARD, limits, sums(name))[0].id for name in "abc"]
    alive, gone, failed = (queue.claim("w", limits.lease_s, BOARD) for _ in ids)
    assert alive
    assert gone
    assert failed
    queue.fail_run(failed.id, limits, "machine", "no room", "")
    clock.now += jump
    if jump < 0:
        queue.beat(alive.id, limits.lease_s)
    queue.reap(limits)
    clock.now += limits.lease_s + 1
    taken = {entry.id for entry in queue.reap(limits)} | {
        entry.id for entry in queue.entries(states=["queued"])
    }
    assert taken == set(ids)
    for lost in (alive, gone):
        with pytest.raises(LeaseLost):
            queue.end_run(lost.id, "scored")
    clock.now += limits.backoff_s * 4**limits.retries
    for _ in ids:
        lease = queue.claim("v", limits.lease_s, BOARD)
        assert lease
        queue.end_run(lease.id, "scored")
    for one in ids:
        ways = [(event.source, event.target) for event in queue.events(one)]
        assert ways.count(("running", "scored")) == 1
    assert sorted(entry.state for entry in queue.entries()) == ["scored"] * 3


def test_however_the_clock_jumps_each_is_scored_once(tmp_path: Path) -> None:
    random, clock, limits = Random(1), Clock(), Limits(losses=10**6, retries=10**6, backoff_s=0)
    queue = Queue(tmp_path, clock)
    ids = [queue.add(declared(f"m{n}"), "ann", BOARD, limits, sums(f"m{n}"))[0].id for n in range(6)]
    leases: list[str] = []
    for _ in range(many(300)):
        clock.now = max(1.0, clock.now + random.choice([1, 50, 130, -1000, 1000, -1e5, 1e5]))
        queue.reap(limits)
        if lease := queue.claim("w", limits.lease_s, BOARD):
            leases.append(lease.id)
        if leases and random.random() < 0.1:
            try:
                queue.end_run(leases.pop(random.randrange(len(leases))), "scored")
            except LeaseLost:
                continue
    while lease := queue.claim("w", limits.lease_s, BOARD) or _after(queue, clock, limits):
        queue.end_run(lease.id, "scored")
    for one in ids:
        assert [event.target for event in queue.events(one)].count("scored") == 1


def _after(queue: Queue, clock: Clock, limits: Limits) -> Any:
    """What can be claimed once all who vanished are known to have."""
    queue.reap(limits)
    clock.now += limits.lease_s + 1
    queue.reap(limits)
    return queue.claim("w", limits.lease_s, BOARD)
