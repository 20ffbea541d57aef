"""How long a model takes: what is timed, what counts of it, and what is written."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from cosmos1050k.errors import InputError
from leaderboard import finetuned, latency, models
from leaderboard.latency import Latency, example, measure, read, timed, write
from leaderboard.machine import Machine
from leaderboard.models.base import Segmenter
from leaderboard.strategies import Prompts
from tests.leaderboard.sam.images import tiny
from tests.leaderboard.segmenters import declaration

ENCODER, PROMPT, MASKS, LONG = 0.006, 0.002, 0.004, 0.3


class Answered:
    """An answer whose masks take their time when they are asked for."""

    predicted_iou = np.ones(1, np.float32)

    @property
    def masks(self) -> NDArray[np.bool_]:
        time.sleep(MASKS)
        return np.ones((1, 256, 256), bool)


class Slow(Segmenter):
    """Sleeps; in the first and the third call of each kind longer than in all others together."""

    declaration = declaration(applies=("S1", "S2", "S5"))

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}

    def _sleep(self, kind: str, seconds: float) -> None:
        self.calls[kind] = self.calls.get(kind, 0) + 1
        time.sleep(LONG if self.calls[kind] in (1, 3) else seconds)

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> list[Any]:
        assert [(image.shape, image.dtype) for image in images] == [((256, 256, 3), np.uint8)]
        self._sleep("encoder", ENCODER)
        return ["embedding"]

    def prompt(self, embedding: Any, prompts: Prompts) -> Iterator[Answered]:
        assert (embedding, len(prompts)) == ("embedding", 1)
        self._sleep("S2" if prompts.boxes is None else "S5", PROMPT)
        yield Answered()

    def everything(self, embedding: Any) -> Iterator[NDArray[np.bool_]]:
        for _ in range(3):
            self._sleep("S1", PROMPT)
            yield np.ones((256, 256), bool)


def test_the_parts_are_timed_warm_and_their_masks_are_made() -> None:
    model = Slow()
    encoder_ms, prompt_ms = timed(model, ("S1", "S2", "S5"), rounds=3)
    most = 1000 * LONG / 3  # what the mean would be more than, and the median with the first call
    assert 1000 * ENCODER <= encoder_ms < most
    assert list(prompt_ms) == ["S1", "S2", "S5"]
    for name, least in (("S1", 3 * PROMPT), ("S2", PROMPT + MASKS), ("S5", PROMPT + MASKS)):
        assert 1000 * least <= prompt_ms[name] < most
    # One call to warm up; the encoder once more for the embedding that all prompts share.
    assert model.calls == {"encoder": 4 + 1, "S1": 3 * 4, "S2": 4, "S5": 4}


def test_the_picture_holds_one_target_with_a_row_s_prompts() -> None:
    image, target = example()
    again, _ = example()
    assert (image == again).all()
    x0, y0, x1, y1 = target["box"]
    assert 0 < x0 < x1 < 255
    assert 0 < y0 < y1 < 255
    red = cv2.GaussianBlur(image[..., 0], (0, 0), 3)  # the ellipse is the bright part
    assert all(red[y, x] > 120 for x, y in target["points_pos"][:1])
    assert all(red[y, x] < 140 for x, y in target["points_neg"][:1])
    bright = np.argwhere(red > 120)
    np.testing.assert_allclose([*bright.min(0)[::-1], *bright.max(0)[::-1]], target["box"], atol=3)


@pytest.mark.parametrize(
    ("model", "strategies"), [("box", ["S5", "S6"]), ("grabcut", ["S2", "S3", "S4", "S5", "S6"])]
)
def test_a_baseline_on_whatever_machine_is_on_the_cpu(model: str, strategies: list[str]) -> None:
    found = measure(model, Machine(dtype="bfloat16"), rounds=1)
    declared = models.kind(model).declaration
    assert list(found.prompt_ms) == strategies
    assert (found.device, found.numerics, found.weights_sha256) == ("cpu", declared.dtype, None)
    assert found.device_name
    assert found.rounds == 1


def test_a_network_s_record_is_of_its_weights_and_numerics(project: Path) -> None:
    threads = torch.get_num_threads() + 1
    cv2.setNumThreads(threads)
    found = measure("sam_nano", Machine(dtype="bfloat16", embeddings_gb=1), rounds=2)
    declared = models.kind("sam_nano").declaration
    assert (found.version, found.weights_sha256) == (declared.version, declared.weights_sha256)
    assert found.numerics == "bfloat16, embeddings float16"
    assert found.threads == torch.get_num_threads()
    assert cv2.getNumThreads() == threads
    assert list(found.prompt_ms) == ["S2", "S3", "S4", "S5", "S6"]
    assert all(0 < taken < found.encoder_ms for taken in found.prompt_ms.values())
    assert not Path("data/embeddings").exists()  # or the encoder would only have been timed once


@pytest.mark.slow
def test_everything_is_measured_when_asked(project: Path) -> None:
    save_file(dict(tiny().state_dict()), "small.safetensors")
    finetuned.adopt(Path("small.safetensors"), "small", "tiny")
    found = measure("small", Machine(prompt_batch=64), everything=True, rounds=1)
    assert list(found.prompt_ms) == ["S1", "S2", "S3", "S4", "S5", "S6"]
    assert found.prompt_ms["S1"] > 10 * found.prompt_ms["S5"]  # of a thousand prompts


def test_the_protocol_s_rounds_are_the_default() -> None:
    assert measure("box", Machine()).rounds == latency.ROUNDS >= 20


def test_everything_that_does_not_apply_is_refused() -> None:
    with pytest.raises(InputError, match=r"^box: S1 does not apply, it needs a box; measure it without"):
        measure("box", Machine(), everything=True)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(InputError, match="unknown model 'nobody'"):
        measure("nobody", Machine())


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Latency]:
    found = measure("box", Machine(), rounds=1)
    return write(found, tmp_path / "latency"), found


def test_what_is_written_is_read(written: tuple[Path, Latency]) -> None:
    path, found = written
    assert path.name == "box.json"
    assert read(path) == found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"rounds"', '"more"'), "damaged or of another release"),
        (('"encoder_ms":', '"encoder_ms": -'), "damaged or of another release"),
        (('"model": "box"', '"model": "cox"'), "measured of cox"),
    ],
)
def test_a_damaged_file_is_one_line(
    written: tuple[Path, Latency], change: tuple[str, str], words: str
) -> None:
    path, _ = written
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(InputError, match=rf"box\.json: {words}; run `cosmos latency --model box`$"):
        read(path)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"grabcut\.json: missing; run `cosmos latency --model grabcut`$"):
        read(tmp_path / "grabcut.json")
