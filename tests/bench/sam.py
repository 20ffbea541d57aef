"""SAM's bench: ours against the owner's package and medpy, with two threads each.

Seconds are the process's own, of all its threads: a second in which one works and the other waits counts
once. The network has the real size and random weights, changed so that its masks are like a trained one's
where time depends on it: smooth, of one or two parts, other ones for other prompts, some empty, half of the
others below a third of the picture. They are larger than the objects, which costs our metrics: they work on
the box around both masks; medpy works on the whole picture anyway.
"""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
from medpy.metric import binary
from numpy.typing import NDArray
from PIL import Image
from segment_anything import SamAutomaticMaskGenerator, SamPredictor
from segment_anything.modeling import Sam as Network

from cosmos1050k.schema import SCHEMA
from leaderboard.metrics import Truth, dices
from leaderboard.sam import everything
from leaderboard.sam.everything import Filters
from leaderboard.score import score
from leaderboard.selection import SELECTIONS
from leaderboard.strategies import STRATEGIES, prompts
from tests.bench.timing import ratio
from tests.leaderboard.dataset import SmallCase, Thing, rows
from tests.leaderboard.sam.images import SmallSam, objects, seeded, tiny

THREADS = 2
CLOCK = time.process_time
#: In a picture: a grid of so many columns and rows.
GRID = 6, 5
OBJECTS = GRID[0] * GRID[1]
PROMPTED = [name for name, strategy in STRATEGIES.items() if not strategy.everything]

Mask = NDArray[np.bool_]


@cache
def small() -> Network:
    """The tests' small network, with a threshold at which its masks are parts of the picture."""
    made = deepcopy(tiny())
    made.mask_threshold = 1.4
    return made


@cache
def network() -> Network:
    """Random weights, always the same, changed for such masks. Ours exchanges attention: give it a copy."""
    made = seeded("vit_b")
    decoder = made.mask_decoder
    with torch.no_grad():
        # Where a place lies counts more than what is there, and places near each other are much the same.
        made.image_encoder.neck[-1].weight *= 0.1
        made.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix *= 0.3
        decoder.transformer.layers[0].norm4.weight *= 0.1
        for block in decoder.transformer.layers:  # each place heeds the prompts that are like it
            attention = block.cross_attn_image_to_token
            attention.q_proj.weight *= 4
            attention.k_proj.weight[:] = attention.q_proj.weight
            attention.out_proj.weight *= 30
        for layer in decoder.output_upscaling:  # no pattern within a place
            if isinstance(layer, torch.nn.ConvTranspose2d):
                layer.weight[:] = layer.weight.mean((2, 3), keepdim=True)
        common = _common(made)
        for head in decoder.output_hypernetworks_mlps:  # logits of both signs, as large as a trained one's
            last = head.layers[-1]
            last.weight -= common @ last.weight
            last.bias -= common @ last.bias
            last.weight *= 30
        decoder.iou_prediction_head.layers[-1].bias += 0.5
    made.mask_threshold = 0.4
    return made


def _common(made: Network) -> torch.Tensor:
    """What all places have in common in the decoder's last C channels: a projection C×C on C/8 directions."""
    side = made.image_encoder.img_size
    positions = made.prompt_encoder.get_dense_pe()
    features = 0.1 * torch.randn(positions.shape, generator=torch.Generator().manual_seed(0))
    means: list[torch.Tensor] = []
    hook = made.mask_decoder.output_upscaling.register_forward_hook(
        lambda module, given, found: means.append(found.mean((2, 3)))
    )
    for name in PROMPTED:
        given = prompts(STRATEGIES[name], objects(8, side, side))
        points = boxes = None
        if given.points is not None:
            points = torch.tensor(given.points), torch.tensor(given.labels)
        if given.boxes is not None:
            boxes = torch.tensor(given.boxes)
        made.mask_decoder(features, positions, *made.prompt_encoder(points, boxes, None), True)
    hook.remove()
    main = torch.linalg.svd(torch.cat(means)).Vh
    main = main[: max(len(main) // 8, 1)]
    return main.T @ main


def case(height: int, width: int) -> SmallCase:
    """A gray picture of `OBJECTS` ellipses, blurred, with noise."""
    random = np.random.default_rng([height, width])
    cells, scale = np.array([width / GRID[0], height / GRID[1]]), min(height, width) / 512
    field, things = np.full((height, width), 40, np.float32), []
    for number in range(OBJECTS):
        middle = (np.array(divmod(number, GRID[1])) + random.uniform(0.45, 0.55, 2)) * cells
        mask = np.zeros((height, width), np.uint8)
        half = (cells * random.uniform(0.2, 0.42, 2)).astype(int).tolist()
        cv2.ellipse(mask, middle.astype(int).tolist(), half, float(random.uniform(0, 180)), 0, 360, 1, -1)
        things.append(Thing("Liver", mask.view(bool)))
        field[mask > 0] = random.uniform(90, 200)
    noise = cv2.GaussianBlur(random.standard_normal((height, width), np.float32), (0, 0), scale)
    picture = cv2.GaussianBlur(field, (0, 0), 2 * scale) + 8 * noise / noise.std()
    return SmallCase("bench", "bench", ((np.clip(picture, 0, 255).astype(np.uint8), tuple(things)),))


def row(height: int, width: int, count: int = OBJECTS) -> pa.Table:
    """The picture as a row of the dataset with its first so many objects."""
    (made,) = rows("bench", case(height, width)).to_pylist()
    return pa.Table.from_pylist([made | {"objects": made["objects"][:count]}], schema=SCHEMA)


def rgb(height: int, width: int) -> NDArray[np.uint8]:
    ((picture, _),) = case(height, width).slices
    return np.repeat(picture[..., None], 3, axis=2)


def encoder(rounds: int) -> tuple[float, float, float]:
    """The owner's encoder and ours on one image, as `ratio` gives it."""
    image = torch.randn((1, 3, 1024, 1024), generator=torch.Generator().manual_seed(0))
    ours = SmallSam(deepcopy(network())).network

    def encoded(of: Network) -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = of.image_encoder(image)
        return found

    torch.testing.assert_close(encoded(network()), encoded(ours), rtol=0, atol=1e-3)
    return ratio(lambda: encoded(network()), lambda: encoded(ours), rounds, CLOCK)


@dataclass
class Spent:
    """Seconds of all, and of them those of encoding the picture."""

    whole: float = 0.0
    encoding: float = 0.0

    def per_picture(self, objects: int) -> float:
        """Of a picture's `OBJECTS` where so many were measured: it is encoded once, the rest is by object."""
        return self.encoding + (self.whole - self.encoding) * OBJECTS / objects


def prompted(height: int, width: int, objects: int = OBJECTS) -> tuple[float, float]:
    """S2–S6 of a picture's objects and all their metrics, once: seconds of the obvious way and of ours.

    Args:
        objects: so many are measured; the seconds are those of `OBJECTS`, see `Spent`.

    Raises:
        AssertionError: the DICE of the two differ.
    """
    table = row(height, width, objects)
    (given,) = table.to_pylist()
    spent, ours = Spent(), Spent()
    predictor, sam = SamPredictor(deepcopy(network())), SmallSam(deepcopy(network()))
    _watch(predictor, "set_image", spent)
    _watch(sam, "embed", ours)
    expected = _timed(spent, lambda: _by_owner(predictor, given))
    found = _timed(ours, lambda: score(sam, table, PROMPTED, "bench"))
    columns = [found[f"dice_{selection}"].to_numpy() for selection in SELECTIONS]
    np.testing.assert_allclose(np.stack(columns, axis=1), expected, rtol=0, atol=1e-3)
    assert len(expected) == objects * len(PROMPTED)
    return spent.per_picture(objects), ours.per_picture(objects)


def network_alone(height: int, width: int) -> tuple[float, float]:
    """S2–S6 of a picture's objects, once: seconds of the network alone, and of `score`, which asks it too."""
    table = row(height, width)
    (given,) = table.to_pylist()
    image, sam = rgb(height, width), SmallSam(deepcopy(network()))
    alone, whole = Spent(), Spent()

    def by_network() -> None:
        (embedding,) = sam.embed([image])
        for name in PROMPTED:
            for _ in sam.low_resolution(embedding, prompts(STRATEGIES[name], given["objects"])):
                pass

    _timed(alone, by_network)
    _timed(whole, lambda: score(sam, table, PROMPTED, "bench"))
    return alone.whole, whole.whole


def _by_owner(predictor: SamPredictor, given: dict[str, Any]) -> list[tuple[float, float]]:
    """DICE of the oracle's mask and of the best rated, by object, then by strategy; all else is dropped."""
    image, regions = (Image.open(io.BytesIO(given[column]["bytes"])) for column in ("image", "mask"))
    predictor.set_image(np.array(image.convert("RGB")))
    label_map = np.array(regions)
    found = []
    for entry in given["objects"]:
        truth = np.isin(label_map, entry["values"])
        for name in PROMPTED:
            asked = prompts(STRATEGIES[name], [entry])
            parts = (asked.points, asked.labels, asked.boxes)
            masks, ratings, _ = predictor.predict(*(None if part is None else part[0] for part in parts))
            places = int(np.argmax([binary.dc(mask, truth) for mask in masks])), int(np.argmax(ratings))
            measured = {place: _by_medpy(masks[place], truth) for place in set(places)}
            found.append((measured[places[0]][0], measured[places[1]][0]))
    return found


def _by_medpy(mask: Mask, truth: Mask) -> list[float]:
    if not mask.any():  # medpy knows no distance from it
        return [0.0, 0.0]
    return [metric(mask, truth) for metric in (binary.dc, binary.jc, binary.hd, binary.assd)]


#: Each stops some masks of `network`, or of `small`, and lets others pass.
FILTERS = Filters(predicted_iou=0.46, stability=0.5, stability_offset=0.02, nms_iou=0.99)
SMALL_FILTERS = Filters(predicted_iou=0.05, stability=0.5, stability_offset=0.02, nms_iou=0.95)
#: What is asked for at least, so that there is something to measure.
SURVIVORS = 20


def all_masks(height: int, width: int, side: int, batch: int) -> tuple[float, float]:
    """S1 with side×side points, once: seconds of the owner's generator and of ours, encoding included.

    Args:
        batch: of the points that the owner's generator decodes together, whose masks it holds as float32.

    Raises:
        AssertionError: the two sets of masks differ, or are too small.
    """
    image = rgb(height, width)
    generator = SamAutomaticMaskGenerator(
        deepcopy(network()), points_per_side=side, points_per_batch=batch,
        pred_iou_thresh=FILTERS.predicted_iou, stability_score_thresh=FILTERS.stability,
        stability_score_offset=FILTERS.stability_offset, box_nms_thresh=FILTERS.nms_iou,
    )  # fmt: skip
    sam = SmallSam(deepcopy(network()))
    filters = replace(FILTERS, points_per_side=side)
    spent, ours = Spent(), Spent()
    expected = _timed(spent, lambda: [entry["segmentation"] for entry in generator.generate(image)])
    found = _timed(ours, lambda: list(everything.masks(sam, sam.embed([image])[0], filters)))
    assert len(found) == len(expected) >= SURVIVORS
    truths = [Truth.of(mask) for mask in expected]
    agree = np.array([dices(mask, truths) for mask in found]) > 0.999  # rounding decides of single pixels
    assert agree.any(axis=0).all()
    assert agree.any(axis=1).all()
    return spent.whole, ours.whole


def most_memory(*arguments: object) -> int:
    """The most bytes that a new process held at a time while `tests.bench.memory` did what they say."""
    command = [sys.executable, "-m", "tests.bench.memory", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
    return int(done.stdout)


def _timed(spent: Spent, work: Callable[[], Any]) -> Any:
    started = CLOCK()
    result = work()
    spent.whole += CLOCK() - started
    return result


def _watch(model: Any, method: str, spent: Spent) -> None:
    """From here on counts the seconds of a method's calls as encoding."""
    called = getattr(model, method)

    def watched(*arguments: Any) -> Any:
        started = CLOCK()
        result = called(*arguments)
        spent.encoding += CLOCK() - started
        return result

    setattr(model, method, watched)
