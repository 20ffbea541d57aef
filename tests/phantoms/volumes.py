"""From a volume as it is displayed to the file an owner stores, and to the rows it must give.

Volumes are drawn as they are displayed, slices × rows × columns; a file's axes are named by the directions
they run to, as in `RAS`: right, anterior, superior.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy
from tests.phantoms.truth import Thing, TrueRow

#: Whither slices, rows and columns of a displayed volume run.
DISPLAYED = {"transverse": "SPL", "coronal": "AIL", "sagittal": "RIP"}
_OPPOSITE = dict(zip("RLAPSI", "LRPAIS", strict=True))
_AXIS = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
#: The protocol's keep rule: the label values of a slice sum to more than this.
KEEP_ABOVE = 50


class Drawn(NamedTuple):
    """One instance in a volume: object, instance, and its mask, slices × rows × columns as displayed."""

    object: str
    instance: str | None
    mask: NDArray[np.bool_]


def stored(displayed: NDArray[np.generic], codes: str, view: str = "transverse") -> NDArray[np.generic]:
    """The array (i, j, k, …) of a file whose axes run as `codes` say; further axes stay behind."""
    order, backwards = _places(codes, view)
    turned = displayed.transpose(*order, *range(3, displayed.ndim))
    return np.asfortranarray(turned[tuple(slice(None, None, -1 if back else 1) for back in backwards)])


def numbers(count: int, codes: str, view: str = "transverse") -> range:
    """The index in the file of each displayed slice."""
    order, backwards = _places(codes, view)
    return range(count - 1, -1, -1) if backwards[order.index(0)] else range(count)


def affine(
    codes: str, spacing: Sequence[float], origin: Sequence[float] = (-80.0, -95.0, 40.0)
) -> NDArray[np.float64]:
    """Index → RAS+ mm for axes that run as `codes` say, `spacing` mm apart along each of them."""
    matrix = np.eye(4)
    matrix[:3, :3] = 0
    for place, (code, step) in enumerate(zip(codes, spacing, strict=True)):
        axis, sign = _AXIS[code]
        matrix[axis, place] = sign * step
    matrix[:3, 3] = origin
    return matrix


def _places(codes: str, view: str) -> tuple[list[int], list[bool]]:
    """Per stored axis the displayed one it is, and whether it runs against it."""
    shown = DISPLAYED[view]
    order = [shown.index(code if code in shown else _OPPOSITE[code]) for code in codes]
    return order, [code not in shown for code in codes]


def rows(
    values: NDArray[np.generic],
    drawn: Sequence[Drawn],
    sums: NDArray[np.integer],
    indices: Sequence[int],
    *,
    patient: str,
    modality: str,
    view: str,
    files: tuple[str, ...],
    official_test: bool = False,
) -> list[TrueRow]:
    """The rows of a volume: its slices whose label values sum to more than 50.

    Args:
        values: slices × rows × columns, as displayed.
        drawn: its instances; one that a slice doesn't hold is no part of that row.
        sums: per slice the sum of the file's own values of the kept structures.
        indices: per slice its index in the file.
    """
    found = []
    for place, index in enumerate(indices):
        if sums[place] <= KEEP_ABOVE:
            continue
        things = [Thing(name, part, mask[place]) for name, part, mask in drawn if mask[place].any()]
        found.append(
            TrueRow(
                patient, modality, view, index, values[place], things,
                official_test=official_test, files=files,
            )
        )  # fmt: skip
    return found


def summed(labels: NDArray[np.integer], kept: Sequence[int]) -> NDArray[np.integer]:
    """Per slice the sum of the label values that are kept."""
    return np.where(np.isin(labels, kept), labels, 0).astype(np.int64).sum(axis=(1, 2))


def edges(labels: NDArray[np.integer], value: int, where: Sequence[float], levels: Sequence[int]) -> None:
    """Draws three slices anew, at the keep rule's edge: no label, a sum of 50 or just below, one just above.

    Args:
        labels: slices × rows × columns.
        where: the middle of what is drawn, in fractions of rows and columns.
    """
    for level, pixels in zip(levels, (0, KEEP_ABOVE // value, KEEP_ABOVE // value + 1), strict=True):
        labels[level] = 0
        labels[level][anatomy.spot(labels.shape[1:], where, pixels)] = value
