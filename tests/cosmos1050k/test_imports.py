"""What starting costs: a build stage of a second is felt 53 times. Checked in a child process."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

HEAVY = {"torch", "gradio", "datasets", "pandas", "scipy.stats"}
_CHILD = """
import sys, time
started = time.process_time()
import {module}
print(time.process_time() - started)
print(*sys.modules)
"""


def imported(module: str) -> tuple[float, set[str]]:
    """Seconds of CPU to import a module afresh, the best of three, and all modules it brought along."""
    runs = []
    for _ in range(3):
        command = [sys.executable, "-c", _CHILD.format(module=module)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        seconds, names = done.stdout.splitlines()
        runs.append((float(seconds), set(names.split())))
    return min(runs, key=lambda run: run[0])


@pytest.mark.parametrize(("module", "limit_s"), [("cosmos1050k", 0.3), ("pipelines.build", 1.0)])
def test_starts_fast_and_light(module: str, limit_s: float) -> None:
    seconds, names = imported(module)
    assert not HEAVY & names
    assert seconds < limit_s


@pytest.mark.parametrize(
    "module", ["pipelines.card", "pipelines.evaluate", "pipelines.board", "pipelines.cli"]
)
def test_no_stage_imports_what_it_does_not_use(module: str) -> None:
    assert not HEAVY & imported(module)[1]
