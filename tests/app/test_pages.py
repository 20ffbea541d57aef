"""The views of models and pairs, against what the board's file holds."""

import base64
import csv
import io
import re
from html import unescape
from pathlib import Path
from typing import Any

import cv2
import duckdb
import numpy as np
import pytest

from app import overview, pages, pictures
from app.leaderboard import page
from app.place import Place, choices, fitted
from cosmos1050k.errors import InputError
from leaderboard import comparison
from leaderboard.demo.engine import Engine
from leaderboard.demo.samples import Samples
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from tests.app.boards import HOSTILE, HOSTILE_OBJECT, Made

PAIR = f"{HOSTILE_OBJECT}-CT"


@pytest.fixture(scope="module")
def reader(larger: Made, tmp_path_factory: pytest.TempPathFactory) -> BoardReader:
    state = tmp_path_factory.mktemp("state")
    publish(larger.path, state)
    return BoardReader(state)


def query(board: Made, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(board.path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def tables(html: str) -> list[list[dict[str, str]]]:
    """The rows of each download in a page."""
    data = re.findall(r'href="data:text/csv;charset=utf-8;base64,([^"]*)"', html)
    return [list(csv.DictReader(io.StringIO(base64.b64decode(one).decode()))) for one in data]


def at(reader: BoardReader, **of: Any) -> Place:
    return fitted(Place(**of), choices(reader), reader)


def test_the_matrix_is_that_of_the_board(reader: BoardReader, larger: Made) -> None:
    (rows,) = tables(overview.heat(reader, at(reader, view="heat", strategy="S6")).body)
    found = {(row["Model"], pair): row[f"{pair} DICE %"] for row in rows for pair in (PAIR, "Liver-CT")}
    stored = query(
        larger,
        """select model, pair, format('{:.2f}', 100 * dice) from pair_scores
        where strategy = 'S6' and selection = 'oracle'""",
    )
    assert found == {row[:2]: row[2] for row in stored}


def test_modalities_are_the_board_s_groups(reader: BoardReader, larger: Made) -> None:
    shown = overview.modalities(reader, at(reader, view="modalities"))
    ((row,),) = tables(shown.body)
    stored = query(
        larger,
        """select model, format('{:.2f}', 100 * headline), format('{:.2f}', 100 * low) from group_scores
        where strategy = 'S5' and selection = 'oracle' and grouped = 'modality' and name = 'CT'""",
    )
    assert row["Modality"] == "CT"
    assert {(name, row[f"{name} DICE %"], row[f"{name} low"]) for name in ("box", "grabcut")} == set(stored)
    assert {trace.name: trace.y for trace in shown.figure.data}.keys() == {"box", "grabcut"}


def test_the_spread_is_that_of_the_board(reader: BoardReader, larger: Made) -> None:
    (rows,) = tables(overview.spread(reader, at(reader, view="spread", model="box", other="grabcut")).body)
    names = ("minimum", "q25", "median", "q75", "maximum")
    columns = ", ".join(f"format('{{:.2f}}', 100 * {name})" for name in names)
    stored = query(
        larger,
        f"""select model, pair, {columns} from pair_scores
        where strategy = 'S5' and selection = 'oracle'""",
    )
    assert sorted(tuple(row.values())[:7] for row in rows) == sorted(stored)


def test_speed_says_how_to_measure_it(reader: BoardReader) -> None:
    shown = overview.speed(reader, at(reader, view="speed"))
    assert shown.figure is None
    command, again = re.findall("<code>([^<]*)</code>", shown.body)
    told = re.fullmatch(r"cosmos latency --model (\S+)", command)
    assert told is not None
    assert told[1] in {model["name"] for model in reader.models() if not model["submitted"]}
    assert again == "make repro"


def test_beside_the_paper_says_what_differs(reader: BoardReader) -> None:
    shown = overview.paper(reader, at(reader, view="paper"))
    assert "a difference is no proof of an error" in shown.body
    assert "rows: all" in shown.body


def test_beside_the_paper_are_both_values(reader: BoardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {"pair": "Liver-CT", "strategy": "S5", "model": "box", "objects": 5, "dice": 0.5, "hausdorff": 1.0}
    monkeypatch.setattr(reader, "all_scores", lambda strategy: [ours])
    shown = overview.paper(reader, at(reader, view="paper"))
    theirs = {
        row["model"]: row["value"]
        for row in reader.reported()
        if (row["pair"], row["strategy"], row["metric"]) == ("Liver-CT", "S5", "dice")
    }
    ((row,),) = tables(shown.body)
    assert row["DICE %"] == "50.00"
    assert {name: float(row[f"paper {name} DICE %"]) for name in theirs} == theirs
    points = {trace.name: (trace.x, trace.y) for trace in shown.figure.data[1:]}
    assert points == {f"box against {name}": ((value,), (50.0,)) for name, value in theirs.items()}


def test_a_model_s_page_has_its_key_and_all_pairs(reader: BoardReader, larger: Made) -> None:
    shown = pages.model(reader, at(reader, view="model", model="grabcut"))
    assert "<h2>grabcut</h2>" in shown.body
    assert HOSTILE not in shown.body
    assert HOSTILE in unescape(shown.body)
    assert "cosmos evaluate --model grabcut\n" in shown.body
    runs = query(larger, "select source, source_version, scores::varchar from runs where model = 'grabcut'")
    (found,) = tables(shown.body)
    assert [(row["Source"], row["Version"], row["Scores"]) for row in found] == runs
    (rows,) = tables(shown.after)
    stored = query(
        larger,
        """select pair, strategy, format('{:.2f}', 100 * dice) from pair_scores
        where model = 'grabcut' and selection = 'oracle'""",
    )
    assert {(row["Pair"], name): row[f"{name} DICE %"] for row in rows for name in ("S2", "S5", "S6")} == {
        row[:2]: row[2] for row in stored
    }
    assert shown.drawn


def test_a_pair_s_page_has_sources_and_all_models(reader: BoardReader, larger: Made) -> None:
    shown = pages.pair(reader, at(reader, view="pair", pair=PAIR, strategy="S2"))
    assert "<script" not in shown.body + shown.after
    (found,) = tables(shown.body)
    assert [tuple(row.values())[:5] for row in found] == [("toy", "unknown", "21", "21", "21")]
    (rows,) = tables(shown.after)
    stored = query(
        larger,
        f"""select model, format('{{:.2f}}', 100 * dice) from pair_scores
        where selection = 'oracle' and strategy = 'S2' and pair = '{PAIR}'""",
    )
    assert [(row["Model"], row["DICE %"]) for row in rows if row["DICE %"] not in ("", "n/a")] == stored


def test_a_source_of_the_registry_has_licence_and_homepage(sample_state: Path) -> None:
    own = BoardReader(sample_state)
    body = pages.pair(own, at(own, view="pair", pair="Liver-CT")).body
    assert '<a href="https://' in body
    assert [row["Licence"] for row in tables(body)[0]] != ["unknown"]


def test_two_models_are_compared(reader: BoardReader) -> None:
    shown = pages.compare(reader, at(reader, view="compare", model="grabcut", other="box"))
    (rows,) = tables(shown.body)
    expected = comparison.compare(reader, ("grabcut", "box"), "S5", "oracle", "dice")
    assert {row["Pair"]: (row["difference"], row["Verdict"]) for row in rows} == {
        row["pair"]: (f"{100 * row['difference']:.2f}", row["verdict"]) for row in expected
    }
    assert rows[0]["Pair"] == "all"
    with pytest.raises(InputError, match="two models"):
        pages.compare(reader, at(reader, view="compare", model="box", other="box"))


def test_a_view_that_has_nothing_says_why(reader: BoardReader) -> None:
    found = page(reader, Place(view="ranking", source="toy", modality="CT", object="Liver", pair=PAIR))
    assert "no pair of all" in found.body
    assert found.figure is None


def drawn(board: Made, reader: BoardReader, **of: Any) -> str:
    samples = Samples(board.path.parent / "data")
    return pictures.drawn(reader, samples, Engine(), at(reader, **of))


def test_cases_are_drawn_with_both_outlines(sample: Made, sample_state: Path) -> None:
    html = drawn(sample, BoardReader(sample_state), view="model", model="box")
    assert html.count("<figure>") == html.count("<svg ") == 8
    paths = re.findall(r'<path class="(\w+)" d="([^"]*)"', html)
    assert [name for name, _ in paths] == ["truth", "mask"] * 8
    assert all(path for _, path in paths)
    scores = [float(text) for text in re.findall(r"<strong>DICE ([\d.]+) %", html)]
    assert scores[:4] == sorted(scores[:4], reverse=True)
    assert scores[4:] == sorted(scores[4:])
    stored = query(
        sample,
        """select max(dice_oracle), min(dice_oracle) from scores where model = 'box' and strategy = 'S5'""",
    )
    assert (scores[0], scores[4]) == tuple(round(100 * value, 2) for value in stored[0])
    assert "solid" in html
    assert "dashed" in html


def test_examples_are_whole_pictures_with_the_truth(sample: Made, sample_state: Path) -> None:
    html = drawn(sample, BoardReader(sample_state), view="pair", pair="Liver-CT")
    assert html.count("<svg ") == 4
    image_id = unescape(re.findall(r"<small>([^<]*)</small>", html)[0])
    data = re.findall(r'href="data:image/png;base64,([^"]*)"', html)[0]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)
    expected = Samples(sample.path.parent / "data").load(image_id).picture
    np.testing.assert_array_equal(picture, expected)
    assert f"?tab=demo&amp;image={image_id.replace('/', '%2F')}" in html


def test_pictures_that_may_not_be_shown_are_not(larger: Made, reader: BoardReader) -> None:
    html = drawn(larger, reader, view="model", model="box")
    assert "<svg" not in html
    assert "may not be shown" in html
    assert drawn(larger, reader, view="pair", pair=PAIR).count("<figure>") == 0
