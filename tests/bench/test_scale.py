"""docs/scale.md says what the script computes, and the script computes what the paper's seconds come to."""

import json

import pytest

from tests.bench import scale
from tests.conftest import ROOT


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(ROOT)
    return scale.tables(json.loads(scale.FIGURES.read_text()), scale.PRICE)


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_document_holds_the_tables(made: dict[str, str]) -> None:
    text = scale.DOC.read_text()
    assert scale.filled(text, made) == text
    other = scale.tables(json.loads(scale.FIGURES.read_text()), 2.5)
    assert scale.filled(text, other) != text
    with pytest.raises(ValueError, match="no place for the table gpus"):
        scale.filled(text.replace("<!-- gpus -->", ""), made)


def test_gpu_hours_and_cost_are_those_of_the_paper_s_seconds(made: dict[str, str]) -> None:
    """By hand: ViT-B encodes in 0.1276 s, takes 1.9692 s for S1, and 8.5 to 9.0 ms for a mask under S2–S6."""
    each_mask = 0.0085 + 0.0088 + 0.0090 + 0.0080 + 0.0088
    expected = (1_050_311 * (0.1276 + 1.9692) + 6_033_198 * each_mask) / 3600
    assert cells(made["gpu-hours"])[0][-1] == f"{expected:.1f}"
    model, work, one, eight, many, dollars = cells(made["gpus"])[0]
    assert (model, work, dollars) == ("vit_b", "S1–S6", f"{expected:.0f}")
    assert one == f"{expected / 24:.1f} days"
    assert eight == f"{expected / 8 / 24:.1f} days"
    assert many == f"{expected / 64:.1f} h"
    huge = (1_050_311 * 0.4718 + 6_033_198 * (0.0086 + 0.0088 + 0.0091 + 0.0080 + 0.0090)) / 3600
    assert cells(made["gpus"])[3][1:3] == ["S2–S6", f"{huge / 24:.1f} days"]


def test_what_is_measured_is_extrapolated_to_all() -> None:
    figure = {"stage": "build", "of": "x", "per": "image", "seconds": 0.0036, "bytes": 1024.0}
    found = scale.tables({"figures": [figure]}, 1)
    assert cells(found["rates"]) == [["build", "image: x", "3.60 ms", "1,000,000", "1,024"]]
    assert cells(found["all"])[0] == ["build", "x", "1,050,311 images", "1.1", "1.0 GiB"]
