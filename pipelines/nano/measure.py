"""Stage `measure` of the recipe: the shipped network on what it never saw, beside two baselines; its card.

`python -m pipelines.nano.measure FOLDER` measures it on other built sources and adds them to the card.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.compute as pc
from scipy.stats import spearmanr

from cosmos1050k import shards
from cosmos1050k.disk import replace_text
from cosmos1050k.errors import InputError
from leaderboard import statistics
from leaderboard.evaluate import BoardRows, EvaluateOptions, evaluate
from leaderboard.models.base import ALL, PROMPTED
from leaderboard.sam.everything import Filters
from leaderboard.selection import SELECTIONS
from leaderboard.store.build import BoardOptions, build_board
from leaderboard.store.runs import BoardInput
from pipelines import params, stage
from pipelines.nano import card, recipe

MODEL, BASELINES = "sam_nano", ("box", "grabcut")
MODELS = (MODEL, *BASELINES)


def measure(
    data: Path, sources: Sequence[str], out: Path, rows: BoardRows | None, workers: int | None = None
) -> dict[str, Any]:
    """Scores the models on built sources, as a board does, the baselines under S5 alone.

    Args:
        out: for the scores.
        rows: how many images of a pair, of the split test; None: all images, under S1 none.

    Returns:
        Counts; per model and strategy the headline DICE in per cent of the best candidate with its interval
        and counts, and of the best rated; `same_images`: the network's means of strategies over the objects
        that S1 was scored on; `rated`: per strategy Spearman's correlation of predicted and true IoU;
        `confident`: per cent of the masks best rated under S2 whose rating passes the filter of S1.
    """
    given = params.load()
    for model in MODELS:
        asked = ("S5",) if model in BASELINES else ALL if rows else PROMPTED
        evaluate(
            model, data, out / model, sources=sources, protocol_version=given.protocol_version,
            options=EvaluateOptions(rows="board" if rows else "all", strategies=asked),
            board_rows=rows, workers=workers,
        )  # fmt: skip
    versions = {slug: shards.load_manifest(data / slug).version for slug in sources}
    options = given.section("board", BoardOptions)
    if rows:
        none = out / "none"
        board = BoardInput(data, out, none, none, tuple(sources), MODELS, given.protocol_version)
        build_board(board, out / "board.duckdb", rows=rows, options=options)
    with duckdb.connect(str(out / "board.duckdb") if rows else ":memory:", read_only=bool(rows)) as scored:
        if rows:
            scored.execute(OF_BOARD)
        else:
            files = [str(out / model / f"{slug}.parquet") for model in MODELS for slug in sources]
            scored.execute("create table every as select * from read_parquet(?)", [files])
        return {
            **_counts(scored, "true"),
            "dataset_version": shards.dataset_version(versions),
            "sources": list(sources),
            "dice": {model: _headlines(scored, model, options) for model in MODELS},
            "same_images": _same_images(scored),
            "rated": _rated(scored),
            "confident": _confident(scored),
        }


#: The board's scores with what they are of.
OF_BOARD = """create temporary view every as
    select s.* exclude (pair, model, strategy), s.pair::varchar as pair, s.model::varchar as model,
        s.strategy::varchar as strategy, o.image_id, o.object_index, o.source, o.patient, o.object
    from main.scores s join main.objects o using (object_id)
    where case when s.strategy = 'S1' then o.on_board_s1 else o.on_board end"""


def _counts(scored: duckdb.DuckDBPyConnection, where: str) -> dict[str, int]:
    """Of what is scored where the condition holds."""
    images, pairs, patients = scored.execute(
        f"""select count(distinct image_id), count(distinct pair), count(distinct (source, patient))
        from every where {where}"""
    ).fetchall()[0]
    return {"images": images, "pairs": pairs, "patients": patients}


def _headlines(
    scored: duckdb.DuckDBPyConnection, model: str, options: BoardOptions
) -> dict[str, dict[str, float | None]]:
    """Strategy → a model's headline, interval and counts, by the board's own statistics."""
    patients = scored.sql("select distinct source, patient from every").to_arrow_table()
    scores = scored.sql("select * from every where model = ?", params=[model]).to_arrow_table()
    found: dict[str, dict[str, float | None]] = {}
    for strategy in sorted(pc.unique(scores["strategy"]).to_pylist()):
        own = scores.filter(pc.equal(scores["strategy"], strategy))
        cell: dict[str, float | None] = {**_counts(scored, f"model = '{model}' and strategy = '{strategy}'")}
        for selection in SELECTIONS:
            if selection == "predicted_iou" and strategy == "S1":  # has the oracle alone
                continue
            table = statistics.board(
                own, f"dice_{selection}", patients=patients,
                groups={"all": pc.unique(own["pair"]).to_pylist()},
                seed=options.seed, draws=options.bootstrap_draws,
            ).groups  # fmt: skip
            (row,) = table.to_pylist()
            cell[selection] = _percent(row["headline"])
            if selection == "oracle":
                cell |= {"low": _percent(row["low"]), "high": _percent(row["high"])}
        found[strategy] = cell
    return found


def _percent(dice: float | None) -> float | None:
    return None if dice is None else round(100 * dice, 2)


def _same_images(scored: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """The network's headlines over the objects that S1 was scored on, its own among them."""
    scores = scored.sql(
        """select model, source, patient, image_id, object, pair, strategy, dice_oracle from every
        where model = ? and (pair, image_id, object_index) in
            (select (pair, image_id, object_index) from every where model = ? and strategy = 'S1')""",
        params=[MODEL, MODEL],
    ).to_arrow_table()
    found = {}
    for strategy in sorted(pc.unique(scores["strategy"]).to_pylist()):
        pairs = statistics.aggregate(scores.filter(pc.equal(scores["strategy"], strategy)), "dice_oracle")
        found[strategy] = round(100 * pc.mean(pairs["mean"]).as_py(), 2)
    return found


def _rated(scored: duckdb.DuckDBPyConnection) -> dict[str, float | None]:
    """Per strategy, and over all, how the rating of the best rated mask goes with its true IoU.

    None where it is not defined: fewer than two objects, or the same everywhere.
    """
    rows = scored.execute(
        """select strategy, predicted_iou_predicted_iou,
            dice_predicted_iou / (2 - dice_predicted_iou) as jaccard_predicted_iou
        from every
        where model = ? and predicted_iou_predicted_iou is not null order by all""",
        [MODEL],
    ).fetchall()
    found: dict[str, float | None] = {}
    for name in ("all", *sorted({row[0] for row in rows})):
        own = [row[1:] for row in rows if name in ("all", row[0])]
        found[name] = _correlation([row[0] for row in own], [row[1] for row in own])
    return found


def _confident(scored: duckdb.DuckDBPyConnection) -> float:
    passing, every = scored.execute(
        """select count(*) filter (predicted_iou_predicted_iou >= ?), count(*) from every
        where model = ? and strategy = 'S2'""",
        [Filters().predicted_iou, MODEL],
    ).fetchall()[0]
    return round(100 * passing / max(every, 1), 1)


def _correlation(rated: Sequence[float], true: Sequence[float]) -> float | None:
    if len(set(rated)) < 2 or len(set(true)) < 2:
        return None
    return round(float(spearmanr(rated, true).statistic), 3)


def main() -> None:
    given = recipe.load()
    if len(sys.argv) > 1:
        folder = Path(stage.argument("python -m pipelines.nano.measure [FOLDER]"))
        if not (built := shards.built(folder)):
            raise InputError(f"{folder}: no built source in it; build one with `cosmos build SLUG --out`")
        found = measure(folder, built, recipe.NANO / "scores/others", None)
        replace_text(recipe.OTHERS, json.dumps(found, indent=1) + "\n")
    else:
        replace_text(recipe.METRICS, json.dumps(_unseen(given), indent=1) + "\n")
    card.write()


def _unseen(given: recipe.Recipe) -> dict[str, Any]:
    """On the split test of what was trained on, of the sample, and of the sources that were left out."""
    seen, left_out = recipe.BUILT / "seen", recipe.BUILT / "left_out"
    trained = recipe.trained(given)
    sets = {
        "patients never seen": (seen, [slug for slug in trained if slug != recipe.SAMPLE]),
        "the sample's slabs never seen": (seen, [recipe.SAMPLE]),
        "sources never seen": (left_out, list(shards.built(left_out))),
    }
    return {
        name: measure(data, slugs, recipe.NANO / f"scores/{place}", given.measure)
        for place, (name, (data, slugs)) in enumerate(sets.items())
    }


if __name__ == "__main__":
    with stage.reported():
        main()
