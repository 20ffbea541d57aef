"""Single scores of a board as pictures: the object's true outline and that of the model's mask."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cosmos1050k import pictures
from cosmos1050k.errors import InputError
from leaderboard.demo.engine import Engine
from leaderboard.demo.outlines import svg_path
from leaderboard.demo.prompting import Picture
from leaderboard.demo.samples import Sample, SampleObject, Samples, stored_prompt
from leaderboard.metrics import Truth, dices
from leaderboard.store.extremes import Extreme
from leaderboard.strategies import STRATEGIES
from leaderboard.tolerance import SHARED_BELOW

#: Around what is outlined: a part of its longer side, and no less than so many pixels.
_MARGIN, _LEAST_MARGIN = 0.25, 16
#: A larger cut-out is shrunk: nobody sees more of it on a page.
_LONGEST = 512

Mask = NDArray[np.bool_]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class DrawnCase:
    """A score of the board, and the part of its picture that matters.

    Args:
        extreme: the score.
        png: the part, at most 512 pixels wide and high; None where the picture can't be shown.
        size: height and width of the part in pixels of the picture, the unit of both outlines.
        aspect: the height of a pixel over its width.
        truth, outline: SVG paths of the object and of the model's mask, `evenodd`; empty where there is none.
        dice: of the mask that is drawn, 0…1; None where there is none.
        note: a sentence on what is missing, or on a mask that is not the board's; else empty.
    """

    extreme: Extreme
    png: bytes | None = field(default=None, repr=False)
    size: tuple[int, int] = (0, 0)
    aspect: float = 1.0
    truth: str = ""
    outline: str = ""
    dice: float | None = None
    note: str = ""


def drawn(
    samples: Samples,
    engine: Engine,
    model: str,
    extremes: Sequence[Extreme],
    strategy: str,
    selection: str,
) -> list[DrawnCase]:
    """Scores of a model as pictures, in their order; the model is asked anew with the protocol's prompt.

    Args:
        selection: oracle takes the candidate that the board chose, predicted_iou the one rated highest now.
    """
    drawing = _Drawing(samples, engine, model, strategy, selection)
    return [drawing.case(one) for one in extremes]


@dataclass(frozen=True)
class _Drawing:
    """What `drawn` is given."""

    samples: Samples
    engine: Engine
    model: str
    strategy: str
    selection: str

    def case(self, extreme: Extreme) -> DrawnCase:
        try:
            sample = self.samples.load(extreme.image_id)
            entry = _scored(sample, extreme)
        except InputError as error:
            return DrawnCase(extreme, note=str(error))
        try:
            mask = self._mask(extreme, sample, entry)
        except InputError as error:
            return replace(_shown(extreme, sample, entry.mask), note=str(error))
        case = _shown(extreme, sample, entry.mask, mask)
        return replace(case, note=_difference(case))

    def _mask(self, extreme: Extreme, sample: Sample, entry: SampleObject) -> Mask:
        """The model's mask H×W of an object.

        Raises:
            InputError: there is none to draw.
        """
        strategy = STRATEGIES[self.strategy]
        if strategy.everything:
            raise InputError(f"what a model finds under {self.strategy}, {strategy.title}, is not drawn")
        prompt = stored_prompt(entry, self.strategy)
        found = self.engine.ask(self.model, Picture(sample.picture), prompt)
        place = extreme.candidate if self.selection == "oracle" else found.best
        if place is None or place >= len(found.masks):
            raise InputError(f"{self.model} gives no such mask as on the board")
        mask: Mask = found.masks[place]
        return mask


def _scored(sample: Sample, extreme: Extreme) -> SampleObject:
    """The object that was scored.

    Raises:
        InputError: the picture has another in its place.
    """
    for entry in sample.objects:
        if (entry.index, entry.pair) == (extreme.object_index, extreme.pair):
            return entry
    raise InputError(f"{extreme.image_id} was built anew since, with other objects; run `make repro`")


def _difference(case: DrawnCase) -> str:
    """A sentence if the mask can't be the one that was scored: numerics alone differ by less."""
    on_board = case.extreme.dice
    if case.dice is None or abs(case.dice - on_board) < SHARED_BELOW:
        return ""
    return f"the mask drawn has DICE {100 * case.dice:.2f}, the one on the board {100 * on_board:.2f}"


def _shown(extreme: Extreme, sample: Sample, truth: Mask, mask: Mask | None = None) -> DrawnCase:
    window = _window(truth if mask is None else truth | mask)
    part = sample.picture[window]
    rows, columns = sample.spacing or (1.0, 1.0)
    return DrawnCase(
        extreme,
        png=pictures.encode(_shrunk(part)),
        size=(part.shape[0], part.shape[1]),
        aspect=rows / columns,
        truth=svg_path(truth[window]),
        outline="" if mask is None else svg_path(mask[window]),
        dice=None if mask is None else float(dices(mask, [Truth.of(truth)])[0]),
    )


def _window(mask: Mask) -> Window:
    """A square around a mask with a margin, or as much of it as the picture has."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    longer = max(width, height)
    side = longer + 2 * max(round(_MARGIN * longer), _LEAST_MARGIN)
    rows, columns = mask.shape
    return _part(y, height, side, rows), _part(x, width, side, columns)


def _part(start: int, length: int, side: int, size: int) -> slice:
    """So long a part of a side of the picture, with a part of the object in its middle."""
    first = min(max(start + length // 2 - side // 2, 0), max(size - side, 0))
    return slice(first, min(first + side, size))


def _shrunk(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
    factor = _LONGEST / max(part.shape[:2])
    if factor >= 1:
        return part
    height, width = (max(round(side * factor), 1) for side in part.shape[:2])
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
