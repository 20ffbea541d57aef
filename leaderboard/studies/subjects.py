"""The images that models are studied on, with the objects that are scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos1050k import pictures
from cosmos1050k.regions import mask_of
from cosmos1050k.schema import SMALL_AREA
from leaderboard.metrics import Truth

#: An object: its image and its place in the row's `objects`.
Key = tuple[str, int]


@dataclass(frozen=True)
class Subject:
    """An image and its n objects of more than `SMALL_AREA` pixels.

    Args:
        picture: H×W×3 RGB, uint8.
        keys, entries, truths: n; the entries are those of the row's `objects`.
    """

    image_id: str
    picture: NDArray[np.uint8]
    keys: Sequence[Key]
    entries: Sequence[Mapping[str, Any]]
    truths: Sequence[Truth]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.picture.shape[0], self.picture.shape[1]


def read(row: Mapping[str, Any]) -> Subject:
    """The subject of a row, `score.COLUMNS` of the dataset's schema."""
    own = {place: entry for place, entry in enumerate(row["objects"]) if entry["area"] > SMALL_AREA}
    image, regions = (pictures.decode(row[column]["bytes"]) for column in ("image", "mask"))
    return Subject(
        image_id=row["image_id"],
        picture=np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image,
        keys=[(row["image_id"], place) for place in own],
        entries=list(own.values()),
        truths=[Truth.of(mask_of(regions, entry["values"])) for entry in own.values()],
    )
