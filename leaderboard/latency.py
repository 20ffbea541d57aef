"""How long a model takes for one image of 256×256 pixels with one target (protocol, section 6; table 4)."""

import platform
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cosmos1050k.errors import InputError
from cosmos1050k.prompts import prompts_of
from leaderboard import measurements, models
from leaderboard.machine import MEASURED, Device, Machine
from leaderboard.measurements import Measured
from leaderboard.models.base import Segmenter
from leaderboard.strategies import STRATEGIES, prompts

LATENCIES = MEASURED / "latency"
#: Of each part of the work, besides one that is not timed; the median of them counts.
ROUNDS = 20
SIDE = 256

Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Latency(Measured):
    """What one model's answer to one image with one target takes on one machine, in milliseconds.

    Args:
        threads: of torch and of OpenCV each.
        encoder_ms: from the image to its embedding.
        prompt_ms: strategy → from the embedding and the prompt to the masks, all of them.
    """

    version: int
    weights_sha256: str | None
    device: Device
    device_name: str
    threads: int
    numerics: str
    rounds: int
    encoder_ms: Milliseconds
    prompt_ms: dict[str, Milliseconds]


def measure(model: str, machine: Machine, *, everything: bool = False, rounds: int = ROUNDS) -> Latency:
    """Times a model on a machine.

    Args:
        everything: S1 too, which takes a thousand times as many prompts as the others.
        rounds: the protocol wants 20 or more.

    Raises:
        InputError: the model is unknown, its weights are missing, or S1 is asked for and does not apply.
    """
    kind = models.kind(model)
    kind.check()
    # An embedding read from disk would be no encoder's time.
    encoding = machine.model_copy(update={"embeddings_gb": 0, "round_embeddings": machine.rounds})
    declared = kind.declared(encoding)
    names = [name for name in STRATEGIES if name in declared.applies]
    if not everything:
        names = [name for name in names if not STRATEGIES[name].everything]
    elif "S1" in declared.not_applicable:
        raise InputError(f"{model}: S1 does not apply, it {declared.limits}; measure it without everything")
    with _threads() as threads:
        encoder_ms, prompt_ms = timed(kind.on(encoding), names, rounds)
    return Latency(
        model=model,
        version=declared.version,
        weights_sha256=declared.weights_sha256,
        device=declared.device,
        device_name=_device_name(declared.device),
        threads=threads,
        numerics=declared.dtype,
        rounds=rounds,
        encoder_ms=encoder_ms,
        prompt_ms=prompt_ms,
    )


def timed(
    model: Segmenter, strategies: Sequence[str], rounds: int = ROUNDS
) -> tuple[float, dict[str, float]]:
    """Milliseconds of the encoder, and per strategy those of its prompt: medians, warm."""
    image, target = example()
    wait = partial(_wait, model.declaration.device)
    encoder_ms = _median_ms(lambda: model.embed([image]), wait, rounds)
    (embedding,) = model.embed([image])
    asked = {name: partial(_ask, model, embedding, name, target) for name in strategies}
    return encoder_ms, {name: _median_ms(work, wait, rounds) for name, work in asked.items()}


def example() -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """The picture 256×256×3, an ellipse in noise, always the same, and the ellipse's prompts as a row has
    them.
    """
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(mask, (136, 118), (58, 36), 25, 0, 360, 1, -1)
    noise = np.random.default_rng(0).normal(0, 12, (SIDE, SIDE, 3))
    ground = np.where(mask[..., None] > 0, (170, 110, 120), (70, 60, 80))
    made = prompts_of(mask.view(bool))
    target = {"box": made.box, "points_pos": made.positive, "points_neg": made.negative}
    return np.clip(ground + noise, 0, 255).astype(np.uint8), target


def _ask(model: Segmenter, embedding: Any, strategy: str, target: dict[str, Any]) -> None:
    """Has all masks made, one at a time."""
    if STRATEGIES[strategy].everything:
        for _ in model.everything(embedding):
            pass
        return
    for answer in model.prompt(embedding, prompts(STRATEGIES[strategy], [target])):
        _ = answer.masks  # made when they are asked for


def _median_ms(work: Callable[[], object], wait: Callable[[], None], rounds: int) -> float:
    taken = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        wait()
        taken.append(time.perf_counter() - started)
    return round(1000 * median(taken[1:]), 6)  # the first was to warm up


def _wait(device: Device) -> None:
    """Until a GPU has done what it was given: embeddings stay there, and calls come back before it is."""
    if device == "cuda":
        import torch

        from leaderboard.sam import gpus

        torch.cuda.synchronize(gpus.device(device))


@contextmanager
def _threads() -> Iterator[int]:
    """How many threads torch takes, and OpenCV as many, which knows nothing of OMP_NUM_THREADS."""
    import torch

    before, threads = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(threads)
    try:
        yield threads
    finally:
        cv2.setNumThreads(before)


def _device_name(device: Device) -> str:
    if device == "cuda":
        import torch

        from leaderboard.sam import gpus

        return torch.cuda.get_device_name(gpus.device(device))
    listed = Path("/proc/cpuinfo")
    text = listed.read_text() if listed.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def write(found: Latency, folder: Path = LATENCIES) -> Path:
    """As `measurements.write`."""
    return measurements.write(found, folder)


def read(path: Path) -> Latency:
    """As `measurements.read`."""
    return measurements.read(Latency, path, f"cosmos latency --model {path.stem}")
