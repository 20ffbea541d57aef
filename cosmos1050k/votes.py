"""One mask out of those that several annotators drew of the same: what more than half of them mark."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosmos1050k import readers
from cosmos1050k.errors import BadFile
from cosmos1050k.readers import Volume

#: A mask that was saved as fractions marks what is nearer to 1 than to 0.
_MARKED = 0.5


def majority(files: Sequence[tuple[Path, str]], annotators: Sequence[str]) -> Volume:
    """A mask of 0 and 1, without an affine: voxels are compared, wherever the files say that they lie.

    Args:
        files: where each mask lies and its name.
        annotators: per file whose it is; one with several files marks whatever any of them marks.

    Raises:
        BadFile: a file can't be read, or its shape is not that of the others.
    """
    marks: dict[str, NDArray[np.bool_]] = {}
    shape: tuple[int, ...] | None = None
    for (path, name), annotator in zip(files, annotators, strict=True):
        marked = np.greater(readers.read(path, name).array, _MARKED)
        shape = shape or marked.shape
        if marked.shape != shape:
            problem = f"shape {marked.shape}, but {files[0][1]}, of the same image, has {shape}"
            raise BadFile(name, problem, readers.AGAIN)
        marks[annotator] = marks[annotator] | marked if annotator in marks else marked
    count = np.sum(list(marks.values()), axis=0)
    return Volume((2 * count > len(marks)).astype(np.uint8))
