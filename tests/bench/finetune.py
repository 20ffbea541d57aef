"""Finetuning's bench: an epoch of ViT-B's mask decoder, random weights, on a few images of 1024×1024.

Against an epoch that encodes its images anew, and against a loop that runs one image's boxes at a time, by
the owner's modules; the losses are held against theirs.
"""

import time
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch

from leaderboard.machine import Machine
from leaderboard.sam.embeddings import EMBEDDINGS, Kept
from leaderboard.training.examples import Example
from leaderboard.training.options import FinetuneOptions
from leaderboard.training.tuner import Tuner
from tests.bench import sam
from tests.leaderboard.sam.images import SmallSam
from tests.leaderboard.training import literal

#: Images, and objects of each: COSMOS 1050K has six masks an image.
IMAGES, OBJECTS = 4, 6
_BATCH = 2


def examples() -> list[Example]:
    made = []
    for number in range(IMAGES):
        (row,) = sam.row(1024, 1024, OBJECTS).to_pylist()
        ((picture, things),) = sam.case(1024, 1024).slices
        image = np.roll(np.repeat(picture[..., None], 3, axis=2), number, axis=0)  # another one for each
        objects = row["objects"]
        made.append(Example(str(number), "bench", "0", image, objects, [t.mask for t in things[:OBJECTS]]))
    return made


def epochs(folder: Path) -> tuple[float, float, float]:
    """Seconds of an epoch by the owner's modules that encodes anew, by them from kept embeddings, and of ours
    from kept ones, after one step each to warm up.

    Raises:
        AssertionError: the losses differ.
    """
    images = examples()
    ours = _ours(folder)
    owner = deepcopy(sam.network())
    optimiser = torch.optim.AdamW(owner.mask_decoder.parameters(), lr=1e-4, weight_decay=0.01)
    owner.image_encoder.requires_grad_(False)
    kept = [(one.features, one.input_size) for one in ours.encode(images)]
    mine, theirs = [], []

    def from_kept(batch: Sequence[int]) -> None:
        theirs.append(literal.step(owner, optimiser, [images[n] for n in batch], [kept[n] for n in batch]))

    def anew(batch: Sequence[int]) -> None:
        with torch.no_grad():
            given = [literal.pixels(owner, images[number]) for number in batch]
            encoded = [(owner.image_encoder(pixels), size) for pixels, size in given]
        literal.step(owner, optimiser, [images[number] for number in batch], encoded)

    def by_us(batch: Sequence[int]) -> None:
        mine.append(ours.step([images[number] for number in batch], np.random.default_rng(0)))

    looped, quick = _epoch(from_kept), _epoch(by_us)
    np.testing.assert_allclose(mine, theirs, rtol=1e-2)
    return _epoch(anew), looped, quick


def _ours(folder: Path) -> Tuner:
    model = SmallSam(deepcopy(sam.network()), Machine(round_embeddings=True))
    model._kept = Kept("bench", 1, folder / EMBEDDINGS)
    return Tuner(model, FinetuneOptions(base="bench"))


def _epoch(step: object) -> float:
    assert callable(step)
    batches = [range(start, start + _BATCH) for start in range(0, IMAGES, _BATCH)]
    step(batches[0])
    started = time.perf_counter()
    for batch in batches:
        step(batch)
    return time.perf_counter() - started
