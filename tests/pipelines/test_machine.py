"""Where a stage measures that runs on this machine, whatever a cluster has."""

from pathlib import Path

import pytest
import torch

from cosmos1050k.errors import InputError
from pipelines import params
from pipelines.machine import machine_here
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("engine", "gpu", "device"), [("ray", False, "cpu"), ("ray", True, "cuda"), ("processes", True, "cuda")]
)
def test_the_gpus_of_a_cluster_are_not_asked_for_here(
    project: Path, monkeypatch: pytest.MonkeyPatch, engine: str, gpu: bool, device: str
) -> None:
    text = (ROOT / "params.yaml").read_text()
    for old, new in (("device: auto ", "device: cuda "), ("engine: processes", f"engine: {engine}")):
        assert old in text
        text = text.replace(old, new)
    (project / "params.yaml").write_text(text)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(gpu))
    assert machine_here("sam_nano", params.load()).device == device


def test_without_a_cluster_and_a_gpu_it_is_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "params.yaml").read_text().replace("device: auto ", "device: cuda ")
    (project / "params.yaml").write_text(text)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"^evaluate\.device: cuda"):
        machine_here("sam_nano", params.load())
