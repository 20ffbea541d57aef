"""Scores made on a Ray cluster are those made in processes, byte by byte."""

from pathlib import Path

import pytest

from cosmos1050k import units
from cosmos1050k.pool import Cluster
from cosmos1050k.units import MANIFEST
from leaderboard.evaluate import RunManifest, evaluate
from tests.cosmos1050k.ray_nodes import Nodes
from tests.cosmos1050k.test_build import content
from tests.leaderboard import dataset


@pytest.mark.slow
def test_scores_are_the_same_from_a_cluster_that_loses_a_node(sample: Path, project: Path) -> None:
    pytest.importorskip("ray")
    dataset.build(Path("data"), "small", dataset.cases(24, slices=8), shard_bytes=dataset.ONE_CASE)

    def made(
        model: str, data: Path, source: str, name: str, cluster: Cluster | None = None
    ) -> tuple[RunManifest, dict[str, str]]:
        folder = Path(name, source)
        store = units.Units("evaluate", folder / "units")
        run = evaluate(
            model, data, folder / model, sources=(source,), protocol_version=1, store=store, cluster=cluster
        )
        sums = {path: total for path, total in content(folder).items() if Path(path).name != MANIFEST}
        return run.model_copy(update={"seconds": 0, "date": ""}), sums

    with Nodes(cores=(1, 1)) as nodes:
        for model, data, source in (("box", sample, "sample"), ("grabcut", Path("data"), "small")):
            here = made(model, data, source, "here")
            assert made(model, data, source, "there", nodes.cluster) == here
            with nodes.losing_one(units.Units("evaluate", Path("lost", source, "units"))) as lost:
                assert made(model, data, source, "lost", nodes.cluster) == here
            assert lost or model == "box"  # whose tasks may be too quick to be lost
            assert here[0].sources[source].scores
            assert not here[0].sources[source].failures
