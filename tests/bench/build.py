"""Volume to rows, one process: against nibabel's `get_fdata`, the protocol's words in loops, Pillow's PNG."""

import io
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from cosmos1050k import sources
from cosmos1050k.rows import rows_of
from cosmos1050k.source import Case
from tests.cosmos1050k.test_prompts import transcribed


def _cases() -> tuple[Path, list[Case]]:
    module = sources.get("sample")
    root = sources.raw_root(module.SOURCE)
    return root, list(module.cases(root))


def ours() -> int:
    """All rows of the sample; returns their number."""
    root, cases = _cases()
    sums = {name: "" for case in cases for name in case.files}
    return sum(rows_of(case, "sample", "train", root, sums).table.num_rows for case in cases)


def obvious() -> int:
    """The same rows the obvious way: float64 volumes, one mask after the other, Pillow's default PNG."""
    root, cases = _cases()
    return sum(1 for case in cases for _ in _obvious_rows(root, case))


def _obvious_rows(root: Path, case: Case) -> Iterator[tuple]:
    image = nib.as_closest_canonical(nib.load(root / case.image)).get_fdata()
    masks = [nib.as_closest_canonical(nib.load(root / mask.file)).get_fdata() for mask in case.masks]
    for z in range(*case.slices):
        if z >= image.shape[2]:
            return
        found = [
            mask.labels[0].at_least <= volume[::-1, ::-1, z].T
            for volume, mask in zip(masks, case.masks, strict=True)
        ]
        found = [mask for mask in found if mask.any()]
        if sum(int(mask.sum()) for mask in found) <= 50:
            continue
        values = image[::-1, ::-1, z].T
        low, high = values.min(), values.max()
        picture = (255 * (values - low) / (high - low)).astype(np.uint8)
        codes = sum(mask.astype(np.int64) << place for place, mask in enumerate(found))
        present = [code for code in np.unique(codes) if code]
        regions = np.zeros(codes.shape, np.uint8)
        for number, code in enumerate(present, start=1):
            regions[codes == code] = number
        prompts = [transcribed(mask) for mask in found]
        encoded = []
        for pixels in (picture, regions):
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, "PNG")
            encoded.append(stream.getvalue())
        yield encoded, prompts
