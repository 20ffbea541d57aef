import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cosmos1050k import shards, units
from cosmos1050k.errors import InputError
from cosmos1050k.pool import Fatal
from cosmos1050k.units import MANIFEST
from leaderboard import models
from leaderboard.evaluate import BoardRows, EvaluateOptions, RunManifest, evaluate
from leaderboard.score import SCORES_SCHEMA, score
from tests.cosmos1050k.test_build import lose_one
from tests.leaderboard import dataset
from tests.leaderboard.literal import slow_board

ROOT = Path(__file__).resolve().parents[2]


class Bench:
    """A folder with sources, kept units, and what `evaluate` makes of them."""

    def __init__(self, folder: Path) -> None:
        self.data, self.out, self.units = folder / "data", folder / "scores" / "out", folder / "units"
        self.sources: tuple[str, ...] = ()

    def build(self, source: str, cases: Sequence[dataset.SmallCase]) -> None:
        dataset.build(self.data, source, cases, shard_bytes=dataset.ONE_CASE)
        self.sources = tuple(dict.fromkeys((*self.sources, source)))

    def run(
        self, model: str = "box", *, images: int = 500, strategies: Any = None, **more: Any
    ) -> RunManifest:
        options = EvaluateOptions(
            rows=more.pop("rows", "board"), **{"strategies": strategies} if strategies else {}
        )
        given: dict[str, Any] = {
            "sources": self.sources, "protocol_version": 1, "options": options, "workers": 1,
            "board_rows": BoardRows(images_per_pair=images), "store": units.Units("evaluate", self.units),
        }  # fmt: skip
        return evaluate(model, self.data, self.out, **given | more)

    def scores(self, source: str) -> pa.Table:
        return pq.read_table(self.out / f"{source}.parquet")

    def bytes(self) -> dict[str, bytes]:
        """Of all that was written but the manifest, which holds the time it took."""
        return {path.name: path.read_bytes() for path in sorted(self.out.iterdir()) if path.name != MANIFEST}

    def kept(self) -> dict[str, int]:
        """Unit → when it was made, told by its folder's inode: a unit made again has another."""
        return {path.name: path.stat().st_ino for path in (self.units / "evaluate").glob("[!.]*")}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.build("first", dataset.cases(5))
    return made


def in_process(
    model: str, data: Path, source: str, strategies: Sequence[str], keep: Callable[[Any], bool]
) -> pa.Table:
    """What `evaluate` should write for one source, without processes or units."""
    version = shards.load_manifest(data / source).version
    tables = [
        score(models.get(model), shards.read_case(data / source, case), strategies, version)
        for case in shards.load_cases(data / source)
        if keep(case)
    ]
    return pa.concat_tables([SCORES_SCHEMA.empty_table(), *tables])


def test_scores_are_those_of_every_test_case(bench: Bench) -> None:
    bench.build("second", dataset.cases(3, seed=1))
    run = bench.run()
    for source in bench.sources:
        found = bench.scores(source)
        assert found.schema.equals(SCORES_SCHEMA)
        assert found.equals(
            in_process("box", bench.data, source, ["S5", "S6"], lambda c: c["split"] == "test")
        )
        assert run.sources[source].scores == found.num_rows > 0
    modalities = {image.split("/")[2] for image in bench.scores("first")["image_id"].to_pylist()}
    assert modalities == {"CT", "Colonoscopy"}


def test_the_manifest_says_how_the_scores_were_made(bench: Bench) -> None:
    returned = bench.run("box", strategies=("S1", "S6", "S5", "S6"))
    written = RunManifest.model_validate_json((bench.out / MANIFEST).read_text())
    assert written == returned
    assert written.seconds > 0
    assert datetime.now(UTC) - datetime.fromisoformat(written.date) < timedelta(minutes=5)
    assert written.model_dump(exclude={"seconds", "date"}) == {
        "protocol_version": 1,
        "declaration": models.get("box").declaration.model_dump(),
        "strategies": ("S5", "S6"),
        "not_applicable": dict.fromkeys(["S1", "S2", "S3", "S4"], "needs a box"),
        "rows": "board",
        "sources": {
            "first": {
                "version": shards.load_manifest(bench.data / "first").version,
                "cases": 7,  # four of CT, three of them with colonoscopies as well
                "scores": bench.scores("first").num_rows,
                "failures": {},
                "failed_images": [],
            }
        },
    }
    assert sorted(path.name for path in bench.out.iterdir()) == ["first.parquet", "manifest.json"]


def test_a_board_takes_whole_cases_until_it_has_images_enough(bench: Bench) -> None:
    bench.build("second", dataset.cases(6, seed=1))
    bench.run(images=3)
    cases = [case for source in bench.sources for case in shards.load_cases(bench.data / source)]
    board = {entry for chosen in slow_board(cases, 3).values() for entry in chosen}
    assert len(board) < sum(case["split"] == "test" for case in cases)
    for source in bench.sources:
        expected = in_process(
            "box",
            bench.data,
            source,
            ["S5", "S6"],
            lambda c: (c["source"], c["case"], c["modality"]) in board,
        )
        assert bench.scores(source).equals(expected)


def test_all_rows_are_those_of_every_split(bench: Bench) -> None:
    bench.run(rows="all", images=1)
    assert bench.scores("first").equals(in_process("box", bench.data, "first", ["S5", "S6"], lambda c: True))


def test_one_worker_and_two_write_the_same_bytes(bench: Bench) -> None:
    bench.build("first", dataset.cases(3, slices=1))
    bench.run("grabcut", workers=1)
    first = bench.bytes()
    bench.units = bench.units.with_name("other units")
    bench.run("grabcut", workers=2)
    assert bench.bytes() == first
    expected = in_process(
        "grabcut", bench.data, "first", ["S2", "S3", "S4", "S5", "S6"], lambda c: c["split"] == "test"
    )
    assert bench.scores("first").equals(expected)


def test_a_second_run_calls_no_model(bench: Bench) -> None:
    bench.run()
    kept, written = bench.kept(), bench.bytes()
    assert len(kept) == 7
    # A worker would be stopped at once, and its case fail.
    again = bench.run(image_timeout_s=1e-9)
    assert not again.sources["first"].failures
    assert bench.kept() == kept
    assert bench.bytes() == written


def test_a_new_source_is_scored_alone(bench: Bench) -> None:
    bench.run()
    kept, written = bench.kept(), bench.bytes()
    bench.build("second", dataset.cases(2, seed=1))
    bench.run()
    assert bench.kept().items() >= kept.items()
    assert len(bench.kept()) == len(kept) + 3
    assert bench.bytes()["first.parquet"] == written["first.parquet"]


def test_a_changed_case_is_scored_anew_alone(bench: Bench) -> None:
    bench.run()
    kept, old = bench.kept(), bench.scores("first")
    cases = dataset.cases(5)
    cases[0] = dataset.changed(cases[0])
    bench.build("first", cases)
    bench.run()
    assert bench.kept().items() >= kept.items()
    assert len(bench.kept()) == len(kept) + 1
    version = shards.load_manifest(bench.data / "first").version
    assert set(bench.scores("first")["source_version"].to_pylist()) == {version}
    assert set(old["source_version"].to_pylist()) != {version}


def test_a_patients_new_name_reaches_scores_without_a_model(bench: Bench) -> None:
    # A case's digest is of its content, and the patient is none: the units stay good.
    bench.run()
    kept = bench.kept()
    bench.build("first", [replace(case, patient=f"{case.patient} of clinic 2") for case in dataset.cases(5)])
    bench.run()
    assert bench.kept() == kept
    assert bench.scores("first").equals(
        in_process("box", bench.data, "first", ["S5", "S6"], lambda c: c["split"] == "test")
    )


def test_strategies_come_and_go(bench: Bench) -> None:
    bench.run(strategies=("S5", "S6"))
    kept, both = bench.kept(), bench.scores("first")
    bench.run(strategies=("S6",))
    six = both.filter(pa.array([name == "S6" for name in both["strategy"].to_pylist()]))
    assert bench.scores("first").equals(six.combine_chunks())
    grown = bench.kept()
    # Back again, in another order, with everything, which does not apply: no case is scored anew.
    run = bench.run(strategies=("S6", "S1", "S5"))
    assert run.strategies == ("S5", "S6")
    assert bench.kept() == grown
    assert grown.items() >= kept.items()
    assert bench.scores("first").equals(both)


def test_no_strategy_that_applies_gives_no_scores(bench: Bench) -> None:
    run = bench.run(strategies=("S1", "S2"))
    assert run.strategies == ()
    assert run.sources["first"].scores == bench.scores("first").num_rows == 0
    assert bench.scores("first").schema.equals(SCORES_SCHEMA)


def test_another_protocol_scores_everything_anew(bench: Bench) -> None:
    bench.run()
    kept = bench.kept()
    assert bench.run(protocol_version=2).protocol_version == 2
    assert len(bench.kept()) == 2 * len(kept)


def test_a_case_without_an_answer_in_time_failed_and_is_tried_again(bench: Bench) -> None:
    bench.build("first", dataset.cases(1))
    run = bench.run(image_timeout_s=1e-9)
    failures = run.sources["first"].failures
    assert failures
    assert set(failures) <= {f"{c['case']}/{c['modality']}" for c in shards.load_cases(bench.data / "first")}
    lost = bench.scores("first").filter(pa.compute.equal(bench.scores("first")["status"], "failed"))
    assert {"/".join(image.split("/")[1:3]) for image in lost["image_id"].to_pylist()} == set(failures)
    assert set(lost["dice_oracle"].to_pylist()) == {0.0}
    again = bench.run()
    assert not again.sources["first"].failures
    assert "failed" not in bench.scores("first")["status"].to_pylist()
    assert again.sources["first"].scores == run.sources["first"].scores


def test_a_finished_case_that_is_not_seen_is_no_failure_of_the_model(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_one(monkeypatch, units.Units("evaluate", bench.units))
    with pytest.raises(Fatal, match=r"was finished and is not seen here: .*; run it again$"):
        bench.run()
    assert not bench.out.exists()


def test_a_run_that_is_killed_goes_on_where_it_was(bench: Bench, tmp_path: Path) -> None:
    bench.run("grabcut", strategies=("S2", "S4"))
    expected, total = bench.bytes(), len(bench.kept())
    bench.units, bench.out = tmp_path / "other units", tmp_path / "other" / "out"
    child = subprocess.Popen(
        [sys.executable, "-c", _SCORE, bench.data, bench.out, bench.units], cwd=ROOT, start_new_session=True
    )
    while not bench.kept():
        assert child.poll() is None
        time.sleep(0.002)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    killed = bench.kept()
    assert 0 < len(killed) < total
    assert not bench.out.exists()
    bench.run("grabcut", strategies=("S2", "S4"))
    assert bench.bytes() == expected
    assert bench.kept().items() >= killed.items()
    assert len(bench.kept()) == total


_SCORE = """
import sys
from pathlib import Path
from cosmos1050k.units import Units
from leaderboard.evaluate import EvaluateOptions, evaluate
data, out, kept = map(Path, sys.argv[1:])
evaluate(
    "grabcut", data, out, sources=["first"], protocol_version=1, workers=1, store=Units("evaluate", kept),
    options=EvaluateOptions(strategies=("S2", "S4")),
)
"""


@pytest.mark.parametrize(
    ("model", "sources", "message"),
    [
        ("no_such_model", ("first",), "unknown model 'no_such_model'"),
        ("sam_vit_b", ("first",), "sam_vit_b.safetensors: missing; run `cosmos weights sam_vit_b`"),
        ("box", ("first", "unbuilt"), "unbuilt/manifest.json: missing; build the source"),
        ("box", (), "no built source"),
    ],
)
def test_what_cannot_be_scored_is_one_line_and_leaves_the_old_scores(
    bench: Bench, model: str, sources: tuple[str, ...], message: str
) -> None:
    bench.run()
    before = bench.bytes(), (bench.out / MANIFEST).read_bytes()
    with pytest.raises(InputError) as caught:
        bench.run(model, sources=sources)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (bench.bytes(), (bench.out / MANIFEST).read_bytes()) == before


def test_only_some_sources_are_scored_on_the_board_of_all(bench: Bench) -> None:
    bench.build("second", dataset.cases(6, seed=1))
    bench.run(images=3)
    of_all = bench.bytes()
    bench.units, bench.out = bench.units.with_name("other"), bench.out.with_name("other")
    run = bench.run(images=3, only=("second",))
    assert list(run.sources) == ["second"]
    assert bench.bytes() == {"second.parquet": of_all["second.parquet"]}
    scored = sum(case["rows"] for case in shards.load_cases(bench.data / "second"))
    assert 0 < len(bench.kept()) < scored


def test_it_tells_how_many_images_are_done(bench: Bench) -> None:
    told: list[tuple[int, int]] = []
    bench.run(progress=lambda done, total: told.append((done, total)))
    images = sum(case["rows"] for case in shards.load_cases(bench.data / "first") if case["split"] == "test")
    assert told == [(done, images) for done in range(0, images + 1, 2)]  # two of each case
    told.clear()
    bench.run(progress=lambda done, total: told.append((done, total)))
    assert told == [(images, images)]
