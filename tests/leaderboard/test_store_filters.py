import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import duckdb
import numpy as np
import pytest

from cosmos1050k.errors import InputError
from leaderboard.contamination import CONTACTS
from leaderboard.selection import SELECTIONS
from leaderboard.store import views
from leaderboard.store.filters import KINDS, Filter, Ranking, RankRow, ranking
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from leaderboard.strategies import STRATEGIES
from tests.app.large import make_large
from tests.leaderboard.store_queries import query, rows_of

Rows = list[dict[str, Any]]
#: (strategy, selection, model) → rows.
Keyed = dict[tuple[str, str, str], Rows]


@pytest.fixture(scope="module")
def reader(board: Path, tmp_path_factory: pytest.TempPathFactory) -> BoardReader:
    state = tmp_path_factory.mktemp("filters")
    publish(board, state)
    return BoardReader(state)


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state with a board of random numbers: 14 models, 11 pairs in 8 modalities."""
    state = tmp_path_factory.mktemp("invented")
    publish(make_large(state / "made" / "board.duckdb", models=14, pairs=11, seed=3), state)
    return state


def keyed(board: Path, table: str) -> Keyed:
    found: Keyed = {}
    for row in rows_of(board, table):
        found.setdefault((row["strategy"], row["selection"], row["model"]), []).append(row)
    return found


class Slow:
    """The ranking in plain loops over all rows of the tables, the ranks and intervals of groups as stored."""

    def __init__(self, board: Path) -> None:
        self.pairs, self.models = rows_of(board, "pairs"), rows_of(board, "models")
        self.models.sort(key=lambda model: model["order"])
        self.of_pair, self.of_group = keyed(board, "pair_scores"), keyed(board, "group_scores")
        self.parts = {part: keyed(board, f"{part}_scores") for part in ("source", "contact")}
        self.contacts, self.kinds = rows_of(board, "contacts"), rows_of(board, "kinds")
        self.prompt = {
            (row["model"], row["strategy"]): row["prompt_ms"] for row in rows_of(board, "measured")
        }
        self.dates = {model["name"]: "" for model in self.models}
        for run in rows_of(board, "runs"):
            self.dates[run["model"]] = max(self.dates[run["model"]], run["date"].split("T")[0])

    def scope(self, asked: Filter) -> list[str]:
        return [
            pair["pair"]
            for pair in self.pairs
            if (asked.pair is None or pair["pair"] == asked.pair)
            and (asked.modality is None or pair["modality"] == asked.modality)
            and (asked.object is None or pair["object"] == asked.object)
            and (asked.source is None or asked.source in pair["sources"])
        ]

    def value(self, asked: Filter, strategy: str, model: str) -> tuple[Any, ...]:
        """DICE, low, high, rank and number of pairs of a model under one strategy."""
        scope, nothing = self.scope(asked), (None, None, None, None, 0)
        narrowed = asked.pair or asked.modality or asked.object

        def own(rows: Keyed, **keys: Any) -> Rows:
            found = rows.get((strategy, asked.selection, model), [])
            return [row for row in found if all(row[name] == key for name, key in keys.items())]

        if asked.selection != "oracle" and asked.strategy == "S1":
            return nothing
        if asked.source or asked.contact:
            if asked.source and asked.contact and not self.all_in_contact(asked, model):
                return nothing
            part = "source" if asked.source else "contact"
            rows = own(self.parts[part], **{part: getattr(asked, part)})
            if not narrowed:
                found = [row for row in rows if row["pair"] is None]
                pairs = found[0]["pairs"] if found else 0
            else:
                found = [row for row in rows if row["pair"] in scope]
                pairs = len(found)
            if not found:
                return nothing
            ends = (found[0]["low"], found[0]["high"]) if not narrowed or len(scope) == 1 else (None, None)
            return (fmean(row["dice"] for row in found), *ends, None, pairs)
        found = [row for row in own(self.of_pair) if row["pair"] in scope]
        if not found:
            return nothing
        if asked.pair or (asked.modality and asked.object):
            return (*(found[0][name] for name in ("dice", "low", "high", "rank")), 1)
        by, name = "all", ""
        if asked.modality or asked.object:
            by, name = ("modality", asked.modality) if asked.modality else ("object", str(asked.object))
        (group,) = own(self.of_group, grouped=by, name=name)
        return (
            fmean(row["dice"] for row in found),
            *(group[name] for name in ("low", "high", "rank")),
            len(found),
        )

    def all_in_contact(self, asked: Filter, model: str) -> bool:
        kinds = [kind["kind"] for kind in self.kinds if kind["source"] == asked.source]
        own = [row for row in self.contacts if row["model"] == model and row["kind"] in kinds]
        return all(row["contact"] == asked.contact for row in own)

    def row(self, asked: Filter, model: dict[str, Any], of_pairs: int) -> dict[str, Any]:
        name = model["name"]
        dice, low, high, rank, pairs = self.value(asked, asked.strategy, name)
        prompt = self.prompt.get((name, asked.strategy))
        scope = self.scope(asked)
        rows = [
            row
            for row in self.of_pair.get((asked.strategy, asked.selection, name), [])
            if row["pair"] in scope
        ]
        known = bool(rows) and not asked.source and not asked.contact
        far = [row["hausdorff"] for row in rows if row["hausdorff"] is not None]
        return {
            "model": name, "kind": model["kind"], "dice": dice, "low": low, "high": high, "rank": rank,
            "pairs": pairs, "of_pairs": of_pairs,
            "hausdorff": fmean(far) if known and far else None,
            "empties": sum(row["empties"] for row in rows) if known else None,
            "failures": sum(row["failures"] for row in rows) if known else None,
            "milliseconds": None if prompt is None else model["encoder_ms"] + prompt,
            "timed_on": model["timed_on"],
            "date": self.dates[name],
            "cells": {strategy: self.value(asked, strategy, name)[0] for strategy in STRATEGIES},
        }  # fmt: skip

    def rows(self, asked: Filter) -> Rows:
        of_pairs = len(self.scope(asked))
        if asked.source or asked.contact:
            part = "source" if asked.source else "contact"
            has = {
                row["pair"]
                for model in self.models
                for row in self.parts[part].get((asked.strategy, asked.selection, model["name"]), [])
                if row[part] == getattr(asked, part)
            }
            nothing = asked.strategy == "S1" and asked.selection != "oracle"
            of_pairs = of_pairs if nothing else sum(pair in has for pair in self.scope(asked))
        rows = [self.row(asked, model, of_pairs) for model in self.models]
        for row in rows:
            row["fastest"] = asked.contact is None and in_front(row, rows)
        rows = [row for row in rows if not asked.kinds or row["kind"] in asked.kinds]
        rows = [row for row in rows if asked.search.lower() in row["model"].lower() + " invented"]
        return sorted(
            rows,
            key=lambda row: (
                row["dice"] is None,
                row["rank"] or 10**9,
                row["pairs"] < row["of_pairs"],
                -(row["dice"] or 0),
            ),
        )


def in_front(row: dict[str, Any], rows: Rows) -> bool:
    """No model that has all pairs, timed on the same machine, is both faster and better."""

    def counts(one: dict[str, Any]) -> bool:
        whole = one["dice"] is not None and one["pairs"] == one["of_pairs"]
        return whole and one["milliseconds"] is not None and one["timed_on"] == row["timed_on"]

    return counts(row) and not any(
        counts(other) and other["milliseconds"] < row["milliseconds"] and other["dice"] > row["dice"]
        for other in rows
    )


def plain(row: RankRow) -> dict[str, Any]:
    named = ("model", "kind", "pairs", "of_pairs", "hausdorff", "empties", "failures", "milliseconds")
    named = (*named, "timed_on", "date", "fastest")
    of_cell = {name: getattr(row.cell, name) for name in ("dice", "low", "high", "rank")}
    cells = {strategy: cell.dice for strategy, cell in row.cells.items()}
    return {**{name: getattr(row, name) for name in named}, **of_cell, "cells": cells}


def filters(pairs: Rows) -> Iterator[Filter]:
    """Every set of fields twice, of one pair, so that something is left; the rest by chance."""
    chance = random.Random(0)
    for *narrowed, source, contact in 2 * list(product([False, True], repeat=5)):
        pair = chance.choice(pairs)
        of_pair = zip(("modality", "object", "pair"), narrowed, strict=True)
        yield Filter(
            chance.choice(list(STRATEGIES)),
            chance.choice(SELECTIONS),
            **{name: pair[name] for name, is_given in of_pair if is_given},
            source=chance.choice(pair["sources"]) if source else None,
            contact=chance.choice(list(CONTACTS)) if contact else None,
            kinds=chance.choice([(), (), (chance.choice(KINDS),)]),
            search=chance.choice(["", "", "EL-01", "-003", "nVented", "nobody"]),
        )


def test_a_ranking_is_what_slow_loops_find(invented: Path) -> None:
    slow, reader = Slow((invented / "boards/current.duckdb").resolve()), BoardReader(invented)
    for asked in filters(slow.pairs):
        found, expected = ranking(reader, asked), slow.rows(asked)
        assert len(found.rows) == len(expected)
        for row, wanted in zip(found.rows, expected, strict=True):
            own = plain(row)
            assert own.pop("cells") == pytest.approx(wanted.pop("cells"), abs=1e-8)
            assert own == pytest.approx(wanted, abs=1e-8)
        whole = asked.source is None and asked.contact is None
        assert found.ranked == (whole and not (asked.strategy == "S1" and asked.selection != "oracle"))
        assert bool(found.note) != found.ranked


def test_a_mean_of_one_of_two_pairs_has_no_interval_either(invented: Path) -> None:
    # model-004 lacks one of the modality's two pairs.
    (last,) = query((invented / "boards/current.duckdb").resolve(), "select modality from pairs offset 10")
    lacking = {
        row.model: row.cell
        for row in ranking(BoardReader(invented), Filter(modality=last[0], contact="other_source")).rows
        if (row.pairs, row.of_pairs) == (1, 2)
    }
    assert set(lacking) == {"model-004", "model-009"}
    assert all(cell.dice is not None and cell.low is cell.high is None for cell in lacking.values())


def test_the_whole_board_is_what_cosmos_board_shows(reader: BoardReader) -> None:
    for strategy in ("S1", "S2", "S5", "S6"):
        own = [row for row in ranking(reader, Filter(strategy)).rows if row.kind != "reported"]
        shown = views.models_view(reader, sort_by=strategy)
        named = set(views.ModelRow.__dataclass_fields__) - {"of_pairs"}  # 0 there, of who has no score
        assert [{name: getattr(row, name) for name in named} for row in own] == [
            {name: getattr(row, name) for name in named} for row in shown
        ]
        assert [row.cell for row in own] == [row.cells[strategy] for row in own]


def test_a_pairs_cells_say_what_is_missing(reader: BoardReader) -> None:
    rows = {row.model: row for row in ranking(reader, Filter(pair="Liver-CT")).rows}
    for shown in views.pairs_view(reader):
        if shown.pair == "Liver-CT":
            assert rows[shown.model].cells == shown.cells


def test_what_the_paper_reports_stands_below(reader: BoardReader, board: Path) -> None:
    text = """select model, avg(value) / 100, count(*) from paper join pairs using (pair)
        where metric = 'dice' and strategy = 'S5' and "table" in (2, 3) and not phantom {} group by model"""
    for asked, where in (
        (Filter(), ""),
        (Filter(pair="Liver-CT"), "and pair = 'Liver-CT'"),
        (Filter(modality="CT"), "and pairs.modality = 'CT'"),
    ):
        expected = {model: (dice, pairs) for model, dice, pairs in query(board, text.format(where))}
        assert expected
        found = ranking(reader, asked).rows
        below = found[-len(expected) :]
        assert {row.model: row.pairs for row in below} == {name: own[1] for name, own in expected.items()}
        for row in below:
            assert row.cell.dice == pytest.approx(expected[row.model][0])
        assert all((row.kind, row.cell.rank) == ("reported", None) for row in below)
        assert not any(row.kind == "reported" for row in found[: -len(expected)])
    # It is of other pairs, of all sources together, and of the masks that an oracle chose.
    for asked in (
        Filter(modality="Colonoscopy"),
        Filter(source="first"),
        Filter(contact="may_contain"),
        Filter(selection="predicted_iou"),
        Filter(kinds=("baseline",)),
        Filter(search="better"),
    ):
        assert not any(row.kind == "reported" for row in ranking(reader, asked).rows)
    only = ranking(reader, Filter(kinds=("reported",), search="VIT_B")).rows
    assert [row.model for row in only] == ["sam_vit_b"]


def test_what_the_board_does_not_have_is_one_line(reader: BoardReader) -> None:
    hostile = "x' or 1=1; drop table boards; --\n"
    for name, known in (
        ("strategy", "S1, S2, S5, S6"),
        ("selection", "oracle, predicted_iou"),
        ("modality", "CT, Colonoscopy"),
        ("object", "Kidney, Lesion, Liver"),
        ("pair", "Kidney-CT, Lesion-CT, Lesion-Colonoscopy, Liver-CT"),
        ("source", "first, second"),
        ("contact", ", ".join(CONTACTS)),
    ):
        with pytest.raises(InputError, match=f"has no {name} .*; it has {known}$") as caught:
            ranking(reader, replace(Filter(), **{name: hostile}))
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="has no kind 'x'; it has official, "):
        Filter(kinds=("x",)).checked(reader)
    with pytest.raises(InputError, match="has no pair of all of Liver, Colonoscopy"):
        Filter(object="Liver", modality="Colonoscopy").checked(reader)
    assert ranking(reader, Filter(search=hostile)).rows == []
    # In a description it is found like any other text.
    assert [row.model for row in ranking(reader, Filter(search="<SCRIPT>")).rows] == ["better"]


def test_a_board_without_the_strategy_that_ranks(invented: Path, tmp_path: Path) -> None:
    path = tmp_path / "board.duckdb"
    path.write_bytes((invented / "boards/current.duckdb").read_bytes())
    with duckdb.connect(str(path)) as connection:
        connection.execute("delete from group_scores where strategy in ('S1', 'S5')")
    publish(path, tmp_path)
    reader = BoardReader(tmp_path)
    assert ranking(reader, Filter()).filter == Filter("S2")
    with pytest.raises(InputError, match="has no strategy 'S1'; it has S2, S3, S4, S6"):
        ranking(reader, Filter("S1"))


def test_many_who_ask_the_same_cost_one_question(invented: Path) -> None:
    reader = BoardReader(invented)
    first: Ranking = ranking(reader, Filter(modality="CT"))
    again = ranking(reader, Filter(modality="CT", search="model"))
    assert all(one is other for one, other in zip(first.rows, again.rows, strict=True))


def test_matrix_and_spread_hold_the_pairs_numbers(reader: BoardReader, board: Path) -> None:
    rows = query(
        board,
        """select model, pair, dice, minimum, q25, median, q75, maximum, images from pair_scores
        where strategy = 'S5' and selection = 'oracle' order by pair, model""",
    )
    matrix = reader.matrix("S5")
    cells = {
        (model, pair): matrix.dice[line, column]
        for line, model in enumerate(matrix.models)
        for column, pair in enumerate(matrix.pairs)
    }
    assert cells == {row[:2]: row[2] for row in rows}
    spread = reader.spread("S5").to_pylist()
    names = ("model", "pair", "dice", "minimum", "q25", "median", "q75", "maximum", "images")
    assert [tuple(row[name] for name in names) for row in spread] == rows
    assert reader.spread("S5", model="box").num_rows == sum(row[0] == "box" for row in rows)
    assert reader.matrix("S9").dice.shape == (0, 0)


def test_a_gap_of_the_matrix_is_no_number(invented: Path) -> None:
    matrix = BoardReader(invented).matrix("S5")
    assert matrix.dice.shape == (14, 11)
    # Every fifth model lacks one pair, the same.
    lines, columns = np.nonzero(np.isnan(matrix.dice))
    assert [matrix.models[line] for line in lines] == ["model-004", "model-009"]
    assert len(set(columns.tolist())) == 1
