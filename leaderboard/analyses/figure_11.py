"""Figure 11: the masks that everything finds with finer and finer grids of points."""

import cv2
import numpy as np
from numpy.typing import NDArray

from leaderboard.analyses import drawing, table_5
from leaderboard.analyses.given import Given, percent, plural
from leaderboard.analyses.section import Section, table
from leaderboard.demo.samples import Sample, Samples
from leaderboard.studies.everything_grid import COLOURS, Example, label_map

_KEY, _TITLE = "figure_11", "Figure 11: what everything finds by grids of points"
_LACK = (
    "No source that everything was asked of by grids of points may be shown: their terms don't let their "
    "pictures be passed on."
)


def section(given: Given) -> Section:
    """An image of each source that may be shown: its objects, and one model's masks by every grid."""
    found, failures = table_5.measured(given)
    if not found:
        return Section(_KEY, _TITLE, "", missing=failures.strip() or table_5.LACK)
    first = table_5.shown(given, found)
    samples = Samples(given.data)
    examples = [one for one in first.examples if samples.shows(one.source)]
    if not examples:
        return Section(_KEY, _TITLE, "", missing=_LACK + failures)
    rows = [(one, own) for one in examples for own in one.grids]
    closed = len(first.examples) - len(examples)
    kept = f"; {plural(closed, 'source')} more may not be shown" if closed else ""
    return Section(
        _KEY,
        _TITLE,
        f"What {given.titled(first.model)} finds without a prompt (S1), asked with m×m points: of each "
        f"source the image with the most objects among those of table 5, {plural(len(examples), 'image')}"
        f"{kept}. Left its objects, then all masks that pass SAM's filters, the smallest on top, each in a "
        "colour of its own, and its objects' mean DICE, each counting the same (oracle); the images are not "
        f"the paper's.{table_5.nothing(first)}{failures}",
        table(
            source=("Source", "text", [table_5.named(given, one.source) for one, _ in rows]),
            image=("Image", "text", [one.image_id for one, _ in rows]),
            grid=("Grid", "text", [table_5.grid(own.points) for _, own in rows]),
            masks=("Masks", "count", [own.masks for _, own in rows]),
            objects=("Objects", "count", [one.objects for one, _ in rows]),
            dice=("DICE, %", ".2f", [percent(own.dice) for _, own in rows]),
        ),
        drawing.gallery([_row(given, samples, one) for one in examples]),
    )


def _row(given: Given, samples: Samples, example: Example) -> dict[str, NDArray[np.uint8]]:
    """Title → picture: the objects, and the masks by every grid."""
    sample = samples.load(example.image_id)
    maps = [label_map(own) for own in example.grids]
    row = {table_5.named(given, example.source): _objects(sample, maps[0].shape)}
    for own, labels in zip(example.grids, maps, strict=True):
        row[f"{table_5.grid(own.points)}: {100 * own.dice:.1f} %"] = drawing.painted(sample.picture, labels)
    return row


def _objects(sample: Sample, size: tuple[int, ...]) -> NDArray[np.uint8]:
    labels = np.zeros(sample.picture.shape[:2], np.uint8)
    scored = [entry for entry in sample.objects if entry.scored]
    for place, entry in enumerate(sorted(scored, key=lambda entry: -entry.area)):
        labels[entry.mask] = place % COLOURS + 1
    small = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
    return drawing.painted(sample.picture, small.astype(np.uint8, copy=False))
