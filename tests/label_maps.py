"""Whole masks to a label map, for tests that have no instances cut out of a slice."""

from collections.abc import Sequence

import numpy as np

from cosmos1050k.instances import Instance
from cosmos1050k.regions import regions_of


def label_map(masks: Sequence[np.ndarray]) -> tuple[np.ndarray, list[list[int]]]:
    """The regions of n ≥ 1 masks H×W, none empty, and the regions of each."""
    return regions_of([Instance("", None, mask, 0, 0) for mask in masks], masks[0].shape)
