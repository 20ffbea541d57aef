"""GrabCut (Rother et al., SIGGRAPH 2004; OpenCV's): classical interactive segmentation by points or box."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from leaderboard.contamination import TrainedOn
from leaderboard.models.base import Candidates, Declaration, Segmenter
from leaderboard.strategies import NEGATIVE, POSITIVE, Prompts

ITERATIONS = 5
#: A point is a brush stroke, a disc of certain pixels: the colour model of either side has five components
#: and needs samples.
RADIUS = 3


class GrabCut(Segmenter):
    """Inside a box everything may be foreground, without one everything but the points may be background."""

    declaration = Declaration(
        name="grabcut",
        kind="baseline",
        description="GrabCut, OpenCV's, five iterations: no learning.",
        version=1,
        preprocessing="none",
        candidates=1,
        applies=("S2", "S3", "S4", "S5", "S6"),
        made_for=("S4", "S5", "S6"),
        limits="needs a prompt",
        trained_on=TrainedOn(others="none"),
        dtype="float64",
    )

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return [np.ascontiguousarray(image) for image in images]

    def prompt(self, embedding: NDArray[np.uint8], prompts: Prompts) -> Iterator[Candidates]:
        for number in range(len(prompts)):
            marks = _marks(embedding.shape[:2], prompts, number)
            yield Candidates(_cut(embedding, marks)[None], np.ones(1, np.float32))


def _marks(size: tuple[int, ...], prompts: Prompts, number: int) -> NDArray[np.uint8]:
    """What the prompt says of each pixel, H×W, in GrabCut's four classes."""
    if prompts.boxes is None:
        marks = np.full(size, cv2.GC_PR_BGD, np.uint8)
    else:
        marks = np.full(size, cv2.GC_BGD, np.uint8)
        x0, y0, x1, y1 = prompts.boxes[number]
        marks[y0 : y1 + 1, x0 : x1 + 1] = cv2.GC_PR_FGD
    if prompts.points is not None and prompts.labels is not None:
        for label, mark in ((NEGATIVE, cv2.GC_BGD), (POSITIVE, cv2.GC_FGD)):
            for x, y in prompts.points[number][prompts.labels[number] == label]:
                cv2.circle(marks, (int(x), int(y)), RADIUS, mark, thickness=-1)
    return marks


def _cut(image: NDArray[np.uint8], marks: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The foreground H×W; with one side alone there is nothing to cut, and the marks are the answer."""
    foreground = (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)
    if foreground.all() or not foreground.any():
        return foreground
    cv2.setRNGSeed(0)  # the colour models start from k-means
    background, object_ = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(image, marks, (0, 0, 0, 0), background, object_, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)


MODEL = GrabCut
