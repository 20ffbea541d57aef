"""Renders the card of the scores, `README.md` beside the models' folders: what `load_dataset` reads."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import pyarrow as pa
import yaml

from cosmos1050k.errors import InputError
from cosmos1050k.notices import notices
from cosmos1050k.units import MANIFEST
from leaderboard.evaluate import SCORES, RunManifest, manifest_of
from leaderboard.score import SCORES_SCHEMA

CARD = SCORES / "README.md"
PROSE = Path(__file__).with_name("scores_card.md")
#: The configuration that `load_dataset("leaderboard/scores")` takes; the others are called as their models.
ALL = "all"
#: The only split. It is not called `test`: a run on all rows has those of the other splits, too.
SPLIT = "scores"
#: Rows that `datasets` reads at once. Left to itself it takes a file's first row group, and fails on none.
_BATCH = 65_536
_DTYPES = {pa.string(): "string", pa.int32(): "int32", pa.float32(): "float32", pa.float64(): "float64"}


def render(scores: Path, taken: Mapping[str, Collection[str]], phantoms: Collection[str]) -> str:
    """The card of the models' scores, whose folders lie in `scores`; the same for the same scores.

    Args:
        taken: model → the sources of which its scores are on the board; the dataset is of these.
        phantoms: the sources that were built from synthetic files.

    Raises:
        InputError: a model's manifest or one of its files is missing, its name is that of the configuration
            of all, or no model has a score.
    """
    if ALL in taken:
        raise InputError(f"a model can't be called {ALL}: the scores of all models are; rename it")
    runs = {model: _run(scores / model / MANIFEST, model, own) for model, own in taken.items()}
    # A split without a row can't be loaded: who has none gets no configuration.
    scored = [model for model, run in runs.items() if any(one.scores for one in run.sources.values())]
    if not scored:
        raise InputError(f"{scores}: no model has a score; give `sources` one that has test cases")
    sources = list(dict.fromkeys(slug for run in runs.values() for slug in run.sources))
    found = notices(sources, [slug for slug in sources if slug in phantoms])
    prose = Template(PROSE.read_text()).substitute(
        notices="\n\n".join(f"> **{notice.strong}**{notice.rest}" for notice in found),
        models=_models(runs),
        sources=_sources(runs, sources, phantoms),
        example=scored[0],
        protocols=" and ".join(sorted({str(run.protocol_version) for run in runs.values()})),
    )
    header = yaml.safe_dump(
        _header(scores, {model: runs[model] for model in scored}),
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )
    return f"---\n{header}---\n\n{prose}"


def _run(path: Path, model: str, taken: Collection[str]) -> RunManifest:
    """A model's manifest, of the sources that are taken."""
    run = manifest_of(path, model)
    return run.model_copy(
        update={"sources": {slug: one for slug, one in run.sources.items() if slug in taken}}
    )


def _header(scores: Path, runs: Mapping[str, RunManifest]) -> dict[str, Any]:
    sums = {model: _sum(scores / model, run) for model, run in runs.items()}
    configs = [_config(ALL, runs, sums, default=True)]
    configs += [_config(name, {name: run}, {name: sums[name]}) for name, run in runs.items()]
    return {
        "pretty_name": "COSMOS 1050K: scores",
        "task_categories": ["image-segmentation", "mask-generation"],
        "tags": ["medical", "benchmark"],
        "license": "apache-2.0",
        "configs": configs,
        "dataset_info": [
            {"config_name": config["config_name"], "features": _features()} for config in configs
        ],
    }


def _config(
    name: str, runs: Mapping[str, RunManifest], sums: Mapping[str, str], **more: bool
) -> dict[str, Any]:
    files = [f"{model}/{slug}.parquet" for model, run in runs.items() for slug in run.sources]
    return {
        "config_name": name,
        **more,
        # `datasets` finds what it once loaded by the header alone: other files need another header.
        "description": f"content {_hash(sums)}",
        "batch_size": _BATCH,
        "data_files": [{"split": SPLIT, "path": files}],
    }


def _sum(folder: Path, run: RunManifest) -> str:
    """Of the content of a model's score files."""
    found = {}
    for slug in run.sources:
        try:
            with (folder / f"{slug}.parquet").open("rb") as file:
                found[slug] = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            again = f"run `cosmos evaluate --model {folder.name}`"
            raise InputError(f"{folder / slug}.parquet: missing; {again}") from None
    return _hash(found)


def _hash(value: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def _features() -> list[dict[str, str]]:
    return [{"name": field.name, "dtype": _DTYPES[field.type]} for field in SCORES_SCHEMA]


def _models(runs: Mapping[str, RunManifest]) -> str:
    """What each model is, and how it ran; submitters write its description."""
    rows = []
    for name, run in runs.items():
        of = run.declaration
        lost = {image for source in run.sources.values() for image in source.failed_images}
        rows.append(
            [
                f"`{name}`",
                of.kind,
                _text(of.description),
                f"`{of.weights_sha256[:12]}`" if of.weights_sha256 else "none",
                of.version,
                f"{of.device}, {_text(of.dtype)}",
                " ".join(run.strategies),
                " ".join(strategy for strategy in run.strategies if strategy in of.made_for),
                run.rows,
                f"{sum(source.scores for source in run.sources.values()):,}",
                f"{len(lost):,}",
            ]
        )
    head = ["model", "kind", "description", "weights", "version", "numerics"]
    return _table([*head, "strategies", "made for", "rows", "scores", "images failed"], rows)


def _sources(runs: Mapping[str, RunManifest], sources: Sequence[str], phantoms: Collection[str]) -> str:
    """The sources' versions, and which models were scored on them."""
    rows = []
    for slug in sources:
        models: dict[str, list[str]] = {}
        for name, run in runs.items():
            if slug in run.sources:
                models.setdefault(run.sources[slug].version, []).append(name)
        mark = " **(phantom)**" if slug in phantoms else ""
        for version, names in models.items():
            who = "all" if len(names) == len(runs) else ", ".join(f"`{name}`" for name in names)
            rows.append([f"`{slug}`{mark}", f"`{version[:12]}`", who])
    return _table(["source", "version", "models"], rows)


def _text(text: str) -> str:
    """Shown as it is written: no mark-up, on one line."""
    return re.sub(r"([\\`*_\[\]<>|&~])", r"\\\1", " ".join(text.split()))


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
