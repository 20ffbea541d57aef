"""The whole pipeline over every source of the dataset, each as a phantom, in a copy of the project."""

import time
from pathlib import Path

import pytest

from cosmos1050k import sources, taxonomy
from cosmos1050k.shards import load_manifest
from tests.conftest import copy_project
from tests.pipelines.test_repro import run, stages


@pytest.mark.slow
def test_repro_of_all_sources(tmp_path: Path) -> None:
    """Every source is built, card and board speak of each; under 5 minutes on two cores, again in 10 s."""
    project = copy_project(tmp_path)
    (project / "dvc.lock").unlink(missing_ok=True)
    slugs = [slug for slug in sources.slugs() if slug != "sample"]
    assert len(slugs) == 53
    run(project, "tests.phantoms", "--out", "data/raw", "--patients", "2")
    run(project, "pipelines.cli", "sources", "--present", "--write")
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("  - sam_nano\n", ""))  # its S1 alone would take longer

    started = time.monotonic()
    output = run(project, "pipelines.repro")
    took = time.monotonic() - started
    builds = {f"build@{slug}" for slug in slugs}
    attributes = {f"attributes@{slug}" for slug in slugs}
    others = {"card", "evaluate@box", "evaluate@grabcut", "board", "analyse"}
    assert stages(output) == builds | attributes | others
    manifests = [load_manifest(project / "cosmos1050k/data" / slug) for slug in slugs]
    assert all(manifest.phantom and manifest.rows for manifest in manifests)
    skipped = {f"{manifest.source}/{entry.case}" for manifest in manifests for entry in manifest.skipped}
    assert skipped == {"totalsegmentator_v1/s0864"}  # damaged in the real release too
    card = (project / "cosmos1050k/README.md").read_text()
    assert all(sources.get(slug).SOURCE.name in card for slug in slugs)
    pairs = {pair for manifest in manifests for pair in manifest.pairs}
    assert pairs == set(taxonomy.kept_pairs())
    plotted = {line.partition(" (phantom)")[0] for line in _plot(project)[1:]}
    assert plotted <= pairs
    assert len(plotted) > 40

    again = time.monotonic()
    assert stages(run(project, "pipelines.repro")) == set()
    assert time.monotonic() - again < 10
    assert took < 300


def _plot(project: Path) -> list[str]:
    return (project / "leaderboard/plots/dice.csv").read_text().splitlines()
