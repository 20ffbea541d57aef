"""Human Correction Effort: cases worked by hand, and pysodmetrics' numbers in an environment of its own."""

import subprocess
import venv
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from leaderboard.studies.effort import correction_effort
from tests.leaderboard.dataset import disc, rectangle

Mask = NDArray[np.bool_]
SIZE = (120, 160)

THEIRS = """
import sys
import numpy as np
import py_sod_metrics
masks = np.load(sys.argv[1])
found = []
for number in range(len(masks.files) // 2):
    measure = py_sod_metrics.HumanCorrectionEffortMeasure(relax=5)
    measure.step(*(masks[f"{kind}{number}"].astype(np.uint8) * 255 for kind in ("prediction", "truth")))
    found.append(measure.get_results()["hce"])
np.save(sys.argv[2], found)
"""


def block(x0: int, y0: int, x1: int, y1: int) -> Mask:
    return rectangle(x0, y0, x1, y1, SIZE)


NONE = np.zeros(SIZE, bool)


@pytest.mark.parametrize(
    ("prediction", "truth", "clicks"),
    [
        pytest.param(block(20, 20, 79, 69), block(20, 20, 79, 69), 0, id="right"),
        pytest.param(NONE, NONE, 0, id="nothing"),
        # Regions of surplus without a border with the truth: one click each.
        pytest.param(block(20, 20, 79, 69), NONE, 1, id="all too many"),
        pytest.param(
            block(20, 20, 59, 59) | block(80, 20, 110, 59) | disc(40, 90, 12, SIZE), block(20, 20, 59, 59), 2,
            id="two too many",
        ),
        # What is missing has to be drawn where it borders on the background. Shrunk and grown back by crosses
        # it has lost its corners: 8 points and, since the line is open, the first again.
        pytest.param(NONE, block(20, 20, 79, 69), 9, id="all missing"),
        # Errors of 5 pixels at the border are tolerated.
        pytest.param(block(16, 16, 83, 73), block(20, 20, 79, 69), 0, id="a little large"),
        pytest.param(block(24, 24, 75, 65), block(20, 20, 79, 69), 0, id="a little small"),
        # A straight border of surplus and truth: its two ends.
        pytest.param(block(20, 20, 119, 69), block(20, 20, 79, 69), 2, id="too long"),
        # Missing there: the three sides towards the background, two ends and two corners that are cut off.
        pytest.param(block(20, 20, 79, 69), block(20, 20, 119, 69), 6, id="too short"),
        # A hole is drawn: four corners and the first again.
        pytest.param(
            block(20, 20, 99, 99), block(20, 20, 99, 99) & ~block(45, 45, 75, 75), 5, id="hole filled"
        ),
    ],
)  # fmt: skip
def test_worked_cases(prediction: Mask, truth: Mask, clicks: int) -> None:
    assert correction_effort(prediction, truth) == clicks


def test_more_is_tolerated_when_asked() -> None:
    prediction, truth = block(20, 20, 96, 69), block(20, 20, 79, 69)  # 17 columns too many
    assert correction_effort(prediction, truth) > 0
    assert correction_effort(prediction, truth, relax=17) == 0


def test_a_missing_branch_counts_however_thin() -> None:
    body = disc(40, 60, 25, SIZE)
    branch = block(60, 60, 140, 61)
    assert correction_effort(body, body | branch) > 0
    assert correction_effort(body | branch, body) == 0, "but one too many is tolerated"


def blob(rng: np.random.Generator, shape: tuple[int, int]) -> Mask:
    field = cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), rng.uniform(2, 12))
    return field > np.quantile(field, rng.choice([0.5, 0.8, 0.95]))


def pairs(count: int) -> list[tuple[Mask, Mask]]:
    """Blobs, moved, grown, cut, inverted in a band, or another's, some in the middle of a large picture."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        height, width = (int(side) for side in rng.integers(20, 260, 2))
        truth = blob(rng, (height, width))
        prediction = (
            blob(rng, truth.shape),
            np.roll(truth, tuple(rng.integers(-9, 10, 2)), (0, 1)),
            cv2.dilate(truth.view(np.uint8), np.ones((9, 9), np.uint8)).astype(bool),
            truth & blob(rng, truth.shape),
            np.concatenate([~truth[: height // 3], truth[height // 3 :]]),
        )[number % 5]
        margin = 40 * (number % 2)
        made.append((np.pad(prediction, margin), np.pad(truth, margin)))
    return made


def test_an_empty_margin_changes_nothing() -> None:
    for prediction, truth in pairs(10)[1::2]:
        assert correction_effort(np.pad(prediction, 60), np.pad(truth, 60)) == correction_effort(
            prediction, truth
        )


def test_shapes_must_be_equal() -> None:
    with pytest.raises(ValueError, match="shape"):
        correction_effort(np.ones((3, 4), bool), np.ones((4, 3), bool))


@pytest.mark.slow
def test_equal_to_pysodmetrics(tmp_path: Path) -> None:
    """It needs an older numpy, so it has an environment of its own."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", "pysodmetrics==1.6.2"]
    installed = subprocess.run(command, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"pysodmetrics can't be installed: {installed.stderr.strip().splitlines()[-1]}")
    made = [*pairs(30), (NONE, NONE), (NONE, ~NONE), (~NONE, NONE), (~NONE, ~NONE)]
    kinds = ("prediction", "truth")
    np.savez(
        tmp_path / "masks.npz",
        **{f"{kind}{n}": mask for n, pair in enumerate(made) for kind, mask in zip(kinds, pair, strict=True)},
    )
    found = tmp_path / "found.npy"
    subprocess.run([python, "-c", THEIRS, tmp_path / "masks.npz", found], check=True)
    theirs = np.load(found).tolist()
    assert [correction_effort(*pair) for pair in made] == theirs
    assert len(set(theirs)) > 15
