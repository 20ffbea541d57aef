"""Scores and boards of the tests' own models and sources."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from cosmos1050k import shards
from cosmos1050k.units import MANIFEST
from leaderboard.evaluate import BoardRows, RunManifest, SourceRun
from leaderboard.models.base import Segmenter
from leaderboard.models.box import Box
from leaderboard.score import SCORES_SCHEMA, score
from leaderboard.store.build import BoardOptions, Built, build_board
from leaderboard.store.runs import BoardInput
from tests.leaderboard import dataset
from tests.leaderboard.segmenters import guesser

ROWS = BoardRows(images_per_pair=25, images_per_pair_s1=10)
OPTIONS = BoardOptions(bootstrap_draws=200, seed=0)
SCRIPT = "<script>alert('hi')</script>'; drop table boards; --"
MODELS: tuple[Segmenter, ...] = (
    guesser(
        "worse", seed=1, fails=0.5, applies=("S1", "S2", "S5"), made_for=("S2", "S5"), limits="has no eyes"
    ),
    Box(),
    guesser(
        "better", seed=2, fails=0, applies=("S1", "S5", "S6"), limits="takes no points", description=SCRIPT
    ),
    guesser("points", seed=3, applies=("S2",), made_for=("S2",), limits="takes points alone"),
)


@dataclass
class Scored:
    """A folder with sources, scores of models, and a board."""

    folder: Path
    sources: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def scores(self) -> Path:
        return self.folder / "scores"

    @property
    def submissions(self) -> Path:
        return self.folder / "submissions"

    @property
    def measured(self) -> Path:
        return self.folder / "measured"

    @property
    def path(self) -> Path:
        return self.folder / "board" / "leaderboard.duckdb"

    def copy(self, folder: Path) -> "Scored":
        """The same in another folder, to be changed."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return replace(self, folder=folder, sources=list(self.sources), models=list(self.models))

    def build(self, source: str, cases: Sequence[dataset.SmallCase], *, phantom: bool = False) -> None:
        dataset.build(self.data, source, cases, shard_bytes=dataset.ONE_CASE, phantom=phantom)
        if source not in self.sources:
            self.sources.append(source)

    def score(
        self,
        model: Segmenter,
        *,
        strategies: Sequence[str] | None = None,
        rows: Literal["board", "all"] = "board",
    ) -> None:
        """Scores of all test cases, or of all, as `evaluate` writes them for the package's models."""
        declared = model.declaration
        names = declared.applies if strategies is None else tuple(strategies)
        runs = {}
        for source in self.sources:
            folder = self.data / source
            version = shards.load_manifest(folder).version
            cases = shards.load_cases(folder)
            tests = [case for case in cases if rows == "all" or case["split"] == "test"]
            tables = [score(model, shards.read_case(folder, case), names, version) for case in tests]
            self.write(declared.name, source, pa.concat_tables([SCORES_SCHEMA.empty_table(), *tables]))
            runs[source] = SourceRun(
                version=version,
                cases=len(tests),
                scores=sum(t.num_rows for t in tables),
                failures={},
                failed_images=[],
            )
        manifest = RunManifest(
            protocol_version=1,
            declaration=declared,
            strategies=names,
            not_applicable=declared.not_applicable,
            rows=rows,
            sources=runs,
            seconds=1.5,
            date="2026-01-01T00:00:00+00:00",
        )
        (self.scores / declared.name / MANIFEST).write_text(manifest.model_dump_json())
        if declared.name not in self.models:
            self.models.append(declared.name)

    def write(self, model: str, source: str, table: pa.Table) -> None:
        path = self.scores / model / f"{source}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)

    def manifest(self, model: str, **changes: Any) -> None:
        """Writes a manifest of scores anew, with changes."""
        path = self.scores / model / MANIFEST
        run = RunManifest.model_validate_json(path.read_bytes())
        path.write_text(run.model_copy(update=changes).model_dump_json())

    def board(self, *, rows: BoardRows = ROWS, options: BoardOptions = OPTIONS, **changes: Any) -> str:
        """Builds the board and returns its id."""
        return self.built(rows=rows, options=options, **changes).build_id

    def built(self, *, rows: BoardRows = ROWS, options: BoardOptions = OPTIONS, **changes: Any) -> Built:
        given = BoardInput(
            self.data,
            self.scores,
            self.submissions,
            self.measured,
            tuple(self.sources),
            tuple(self.models),
            1,
        )
        return build_board(replace(given, **changes), self.path, rows=rows, options=options)
