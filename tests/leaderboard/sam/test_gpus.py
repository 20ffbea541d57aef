import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cosmos1050k.errors import InputError
from leaderboard.sam import gpus

ROOT = Path(__file__).resolve().parents[3]
#: Prints the number it got twice and holds it until its standard input ends.
_CLAIM = """
import sys
from leaderboard.sam import gpus
print(gpus.claimed(2), gpus.claimed(2), flush=True)
sys.stdin.read()
"""


def claiming(folder: Path) -> tuple["subprocess.Popen[str]", str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _CLAIM], cwd=folder, env={"PYTHONPATH": str(ROOT)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.mark.slow
def test_each_process_has_a_gpu_of_its_own(tmp_path: Path) -> None:
    first, own = claiming(tmp_path)
    second, others = claiming(tmp_path)
    assert (own, others) == ("0 0", "1 1")
    third, shared = claiming(tmp_path)
    assert shared == "0 0"  # all are taken
    for process in (second, third):
        process.communicate()
    fourth, freed = claiming(tmp_path)
    assert freed == "1 1"
    for process in (first, fourth):
        process.communicate()


def test_a_cpu_is_there_always() -> None:
    assert gpus.device("cpu") == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu_is_one_line() -> None:
    with pytest.raises(InputError, match=r"evaluate\.device: cuda, and torch finds no GPU"):
        gpus.device("cuda")
