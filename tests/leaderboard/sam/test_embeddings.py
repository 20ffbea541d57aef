import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from leaderboard.machine import Machine
from leaderboard.sam.embeddings import EMBEDDINGS, Kept
from tests.leaderboard.sam.images import SmallSam, picture, prompted

#: Bytes of the features below.
ONE = 1000 * 2


def features(seed: int) -> torch.Tensor:
    return torch.randn((1, 10, 10, 10), generator=torch.Generator().manual_seed(seed)).half()


def test_what_was_kept_is_found_by_the_pixels(tmp_path: Path) -> None:
    kept = Kept("encoder", 1, tmp_path)
    images = [picture(20, 30, seed) for seed in range(3)]
    for seed, image in enumerate(images):
        assert kept.load(image) is None
        kept.save(image, features(seed))
    for seed, image in enumerate(images):
        found = Kept("encoder", 1, tmp_path).load(image.copy())
        assert found is not None
        assert torch.equal(found, features(seed))
    assert Kept("another", 1, tmp_path).load(images[0]) is None
    assert kept.load(images[0].transpose(1, 0, 2)) is None
    assert kept.load(np.zeros((20, 30, 3), np.uint8)) is None


def test_a_full_folder_takes_no_more_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limit = 5 * 2100 / 10**9  # each file has a header too
    first = Kept("first", limit, tmp_path)
    for seed in range(2):
        first.save(picture(20, 30, seed), features(seed))
    with caplog.at_level(logging.WARNING):
        second = Kept("second", limit, tmp_path)
        for seed in range(10):
            second.save(picture(20, 30, seed), features(seed))
    held = [path.stat().st_size for path in tmp_path.rglob("*.safetensors")]
    assert 4 * ONE < sum(held) <= limit * 10**9
    (message,) = caplog.messages
    assert "full" in message
    assert second.load(picture(20, 30, 0)) is not None
    assert second.load(picture(20, 30, 9)) is None


def test_a_kept_embedding_gives_the_bytes_of_a_fresh_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images, given = [picture(97, 64), picture(64, 97, 1)], prompted("S6", 5, 64, 64)
    machine = Machine(embeddings_gb=1)

    def logits(model: SmallSam) -> list[np.ndarray]:
        return [low for image in model.embed(images) for low, _ in model.low_resolution(image, given)]

    fresh = logits(SmallSam(machine=machine))
    assert len(list(EMBEDDINGS.rglob("*.safetensors"))) == 2
    again = SmallSam(machine=machine)
    again.network.image_encoder = None  # it is not asked again
    again._encoder = None
    for one, other in zip(fresh, logits(again), strict=True):
        assert np.array_equal(one, other)
    exact = logits(SmallSam())
    assert any(not np.array_equal(one, other) for one, other in zip(fresh, exact, strict=True))
    for one, other in zip(fresh, exact, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=0.05 * np.abs(other).max())


@pytest.mark.parametrize("damage", [b"", bytes(100), None])
def test_a_damaged_file_is_encoded_anew(tmp_path: Path, damage: bytes | None) -> None:
    kept, image = Kept("encoder", 1, tmp_path), picture(20, 30)
    kept.save(image, features(0))
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-7] if damage is None else damage)
    assert kept.load(image) is None
    kept.save(image, features(0))
    found = kept.load(image)
    assert found is not None
    assert torch.equal(found, features(0))


def test_a_folder_that_can_t_be_written_costs_no_image(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept("encoder", 1, tmp_path)
    (tmp_path / "encoder").rmdir()
    for seed in range(2):
        kept.save(picture(20, 30, seed), features(seed))
    (message,) = caplog.messages
    assert "can't be written" in message


def test_what_the_features_depend_on_keeps_them_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    SmallSam(machine=Machine(embeddings_gb=1)).embed([picture(20, 30)])
    SmallSam(machine=Machine(embeddings_gb=1, dtype="bfloat16")).embed([picture(20, 30)])
    assert len(list(EMBEDDINGS.iterdir())) == 2
