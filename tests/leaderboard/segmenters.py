"""Models for the tests, whose answers are known."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboard.models.base import Candidates, Declaration, Segmenter
from leaderboard.strategies import Prompts

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def declaration(name: str = "scripted", **changes: Any) -> Declaration:
    given: dict[str, Any] = {
        "name": name, "kind": "submitted", "description": "", "version": 1, "preprocessing": "none",
        "candidates": 3, "applies": ("S2", "S5"), "made_for": ("S5",), "limits": "was made for a test",
        "dtype": "float32",
    }  # fmt: skip
    return Declaration(**given | changes)


def candidates(masks: Sequence[Mask], ratings: Sequence[float]) -> Candidates:
    return Candidates(np.array(masks, bool), np.array(ratings, np.float32))


class Scripted(Segmenter):
    """Answers what two functions say: of an image and the prompts of its objects, and of an image alone."""

    def __init__(
        self,
        declared: Declaration,
        prompt: Callable[[Image, Prompts], Iterable[Candidates]] | None = None,
        everything: Callable[[Image], Iterable[Mask]] | None = None,
    ) -> None:
        self.declaration = declared
        self.embedded = 0
        self._prompt, self._everything = prompt, everything

    def embed(self, images: Sequence[Image]) -> list[Image]:
        self.embedded += len(images)
        return list(images)

    def prompt(self, embedding: Image, prompts: Prompts) -> Iterator[Candidates]:
        assert self._prompt is not None
        yield from self._prompt(embedding, prompts)

    def everything(self, embedding: Image) -> Iterator[Mask]:
        if self._everything is None:
            yield from super().everything(embedding)
        else:
            yield from self._everything(embedding)


def guesser(name: str, *, seed: int = 0, fails: float = 0.1, **changes: Any) -> Scripted:
    """Guesses rectangles near its prompts, the same every time; some are empty; on some images it fails."""

    def random(image: Image, *more: Any) -> np.random.Generator:
        return np.random.default_rng([seed, int(image.sum()), *(int(np.sum(part)) for part in more)])

    def guess(rng: np.random.Generator, shape: tuple[int, ...], x: int, y: int) -> Mask:
        mask = np.zeros(shape, bool)
        left, up, right, down = rng.integers(0, 14, 4)
        if rng.random() > 0.15:
            mask[max(y - up, 0) : y + down + 1, max(x - left, 0) : x + right + 1] = True
        return mask

    def prompt(image: Image, prompts: Prompts) -> Iterator[Candidates]:
        if random(image, 0).random() < fails:
            raise RuntimeError("no idea")
        for number in range(len(prompts)):
            if prompts.boxes is not None:
                x0, y0, x1, y1 = prompts.boxes[number]
                x, y = (x0 + x1) // 2, (y0 + y1) // 2
            else:
                assert prompts.points is not None
                x, y = prompts.points[number, 0]
            rng = random(image, x, y, number, len(prompts))
            yield candidates([guess(rng, image.shape[:2], x, y) for _ in range(3)], rng.random(3).tolist())

    def everything(image: Image) -> Iterator[Mask]:
        rng = random(image)
        yield from (
            guess(rng, image.shape[:2], int(rng.integers(64)), int(rng.integers(48))) for _ in range(9)
        )

    return Scripted(declaration(name, **changes), prompt, everything)
