"""The card of the shipped network: on what it was trained, and what was measured."""

import csv
import json
from collections.abc import Sequence
from typing import Any

from cosmos1050k import shards, sources
from cosmos1050k.disk import replace_text
from leaderboard import weights
from leaderboard.models.base import ALL
from leaderboard.sam.everything import Filters
from leaderboard.statistics import FEWEST_PATIENTS, LEVEL
from leaderboard.training.scratch import ScratchOptions
from pipelines.nano import recipe

CARD = weights.shipped("sam_nano").with_name("README.md")
_HEADER = """---
license: apache-2.0
library_name: segment-anything
pipeline_tag: mask-generation
tags: [medical, segmentation, synthetic, cosmos1050k]
---

# sam_nano

A Segment Anything model of {millions:.1f} million parameters at 256×256, to try things with: tests, demo and
a new user's first run need a promptable model that is there without a download. It has SAM's own modules
(image encoder, prompt encoder, mask decoder with three candidates and their predicted IoU, masks fed back)
and was trained from nothing, on synthetic images and one MRI of a head. **Its scores say nothing about SAM,
and nothing about clinical images.** For research; not a medical device.
"""


def write() -> None:
    """Writes the card anew."""
    replace_text(CARD, text())


def text() -> str:
    """The card, from the recipe, its curve and what was measured."""
    given = recipe.load()
    measured = json.loads(recipe.METRICS.read_text())
    if recipe.OTHERS.exists():
        measured["other sources"] = json.loads(recipe.OTHERS.read_text())
    millions = weights.PARAMETERS[given.train.architecture] / 1e6
    parts = [_HEADER.format(millions=millions), _data(given), _training(given.train)]
    parts += [_measured(name, found) for name, found in measured.items()]
    return "\n".join([*parts, _LICENCE])


_LICENCE = """## Licence

Apache-2.0, as the project. The phantoms are the project's own; the MNI152 template's terms stand above.
"""


def _data(given: recipe.Recipe) -> str:
    seen = given.phantoms["seen"]
    slugs = [slug for slug in recipe.trained(given) if slug != recipe.SAMPLE and _shown(slug)]
    sample = sources.get(recipe.SAMPLE).SOURCE
    return f"""## Data

The split `train` of:

- **{sample.name}**, the one real image: {sample.citation}. {sample.licence}.
- **Phantoms** of {len(slugs)} sources of COSMOS 1050K, {seen.patients} patients of each, seed {seen.seed}:
  drawn by programs (`tests/phantoms`) in the layouts of the owners' releases. Of the releases themselves,
  and of their patients, nothing was used: {", ".join(slugs)}.

Left out, to measure on: phantoms of {", ".join(given.phantoms["left_out"].slugs)}.
"""


def _shown(slug: str) -> bool:
    """Whether the network saw some of it: of a source with few patients the split may be empty."""
    cases = shards.load_cases(recipe.BUILT / "seen" / slug)
    return any(case["split"] == "train" for case in cases)


def _training(options: ScratchOptions) -> str:
    lines = list(csv.reader(recipe.CURVE.read_text().splitlines()))
    rows = [[line[0], *(f"{float(value):.3f}" for value in line[1:])] for line in lines[1:]]
    listed = ", ".join(f"{name} {value}" for name, value in options.model_dump().items())
    return f"""## Training

`dvc repro pipelines/nano/dvc.yaml` makes it again. Options: {listed}. The result is the running mean of the
weights after the last step, in half precision. On images of the split `validation` (DICE of S2 and S5, of the
best candidate and of the best rated):

{_table([name.replace("_", " ") for name in lines[0]], rows)}
"""


def _measured(name: str, found: dict[str, Any]) -> str:
    rows = []
    for model, own in found["dice"].items():
        for way in ("oracle", "predicted_iou"):
            cells = [_cell(own.get(strategy), way) for strategy in ALL]
            if way == "oracle" or model == "sam_nano":
                rows.append([model, "best" if way == "oracle" else "best rated", *cells])
    same = ", ".join(f"{strategy} {dice:.2f}" for strategy, dice in found["same_images"].items())
    rated = ", ".join(
        f"{strategy} {'–' if value is None else format(value, '.2f')}"
        for strategy, value in found["rated"].items()
    )
    everything = found["dice"]["sam_nano"].get("S1")
    part = (
        f"S1 is scored on a part of them, {_counts(everything)}. On that alone: {same}.\n\n"
        if everything
        else ""
    )
    passing = f"{found['confident']:.1f} % of the masks best rated for a point"
    return f"""## Measured: {name}

{_counts(found)}: {", ".join(found["sources"])}. DICE in %, mean over pairs, with {100 * LEVEL:.0f} %
intervals where there are {FEWEST_PATIENTS} patients:

{_table(["model", "candidate", *ALL], rows)}

{part}Spearman's correlation of predicted and true IoU: {rated}. {passing} have a
rating of {Filters().predicted_iou} or more, which S1's filter asks for; it drops the others.
"""


def _counts(found: dict[str, Any]) -> str:
    """Patients, images and pairs."""
    names = ("patients", "images", "pairs")
    return ", ".join(f"{found[name]} {name if found[name] != 1 else name[:-1]}" for name in names)


def _cell(found: dict[str, Any] | None, way: str) -> str:
    if found is None or found.get(way) is None:
        return "–"
    ends = (
        f" ({found['low']:.2f}–{found['high']:.2f})" if way == "oracle" and found["low"] is not None else ""
    )
    return f"{found[way]:.2f}{ends}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [columns, ["---"] * len(columns), *rows])
