"""What a phantom must become: its rows, written down while it is drawn."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Thing:
    """One instance as it must come out: object, instance, and its mask H×W as displayed."""

    object: str
    instance: str | None
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class TrueRow:
    """One row as it must come out.

    Args:
        patient: the unit of splits.
        modality: one of the 18.
        view: what the row's `view` must be.
        slice_index: of the file; −1 for a picture.
        values: H×W or H×W×3 as displayed: the values the container's own library reads, before anything is
            normalised.
        things: in the order of the source's masks and labels.
        as_is: an 8-bit picture, which is not normalised.
        official_test: the owner's own labelled test case.
        files: the raw files of image and masks, relative to the release.
    """

    patient: str
    modality: str
    view: str
    slice_index: int
    values: NDArray[np.generic]
    things: list[Thing]
    as_is: bool = False
    official_test: bool = False
    files: tuple[str, ...] = field(default=())
