"""The tab "Leaderboard" in a browser, against what the board's file holds."""

import csv
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import Locator, Page, expect

from leaderboard.store.publish import publish
from tests.app.boards import HOSTILE, HOSTILE_OBJECT, HOSTILE_SOURCE, MODELS, STRATEGIES, Made
from tests.app.conftest import Serve

pytestmark = pytest.mark.browser

PAIRS = (f"{HOSTILE_OBJECT}-CT", "Liver-CT")
#: The cells of one table, each row with the heading it stands under and its headings by column.
READ = """table => {
    const names = [...table.querySelectorAll('thead tr:last-child th')].map(th => th.firstChild.textContent);
    return [...table.querySelectorAll('tbody tr:has(td)')].map(tr => ({
        group: tr.closest('tbody').querySelector('[scope=rowgroup]')?.innerText ?? '',
        ...Object.fromEntries([...tr.cells].map((cell, i) => [names[i], cell.innerText.split('\\n')[0]])),
    }));
}"""


@pytest.fixture(scope="module")
def address(serve: Serve, sample_state: Path) -> Iterator[str]:
    with serve(sample_state) as url:
        yield url


def open_board(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator(".board-scroll")).to_have_count(2)


def table(page: Page, number: int) -> list[dict[str, str]]:
    return page.locator(".board-scroll table").nth(number).evaluate(READ)


def by(page: Page, strategy: str) -> None:
    page.get_by_role("radio", name=f"{strategy} ·").check()
    expect(page.locator("h2").first).to_contain_text(f"ranked by {strategy} ·")


#: The headlines over all pairs.
OF_ALL = "(select * from group_scores where grouped = 'all')"


def query(board: Made, sql: str) -> list[tuple[str, ...]]:
    with duckdb.connect(str(board.path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def shown_dice(rows: list[dict[str, str]]) -> dict[tuple[str, ...], str]:
    """(pair, model, strategy) → text, of the cells that hold a number."""
    return {
        (row["group"], row["Model"], name): row[name]
        for row in rows
        for name in STRATEGIES
        if row[name] != "n/a"
    }


def stored_dice(board: Made, selection: str = "oracle") -> tuple[dict[tuple[str, ...], str], ...]:
    """The same two tables, formatted by DuckDB."""
    ends = "' [' || format('{:.2f}, {:.2f}', 100 * low, 100 * high) || ']'"
    return tuple(
        {
            row[:3]: row[3]
            for row in query(
                board,
                f"""select {pair}, model, strategy, format('{{:.2f}}', 100 * {value}) || coalesce({ends}, '')
                from {name} where selection = '{selection}'""",
            )
        }
        for pair, value, name in (("''", "headline", OF_ALL), ("pair", "dice", "pair_scores"))
    )


def test_shows_what_the_board_holds(page: Page, address: str, sample: Made) -> None:
    open_board(page, address)
    models, pairs = stored_dice(sample)
    assert shown_dice(table(page, 0)) == models
    assert shown_dice(table(page, 1)) == pairs
    page.get_by_role("radio", name="predicted IoU").check()
    expect(page.locator(".board-title a").first).to_have_attribute(
        "download", f"models-{sample.build_id}-S5-predicted_iou.csv"
    )
    models, pairs = stored_dice(sample, "predicted_iou")
    assert shown_dice(table(page, 0)) == models
    assert shown_dice(table(page, 1)) == pairs


def test_says_what_the_board_is(page: Page, address: str, sample: Made) -> None:
    open_board(page, address)
    text = page.locator("body").inner_text()
    for words in (
        "For research. Not a medical device.",
        "This is the sample, not COSMOS 1050K",
        sample.build_id,
        "2 patients, fewer than 20",
        "no evidence for an order: all ranked models share rank 1",
    ):
        assert words in text
    facts = page.locator(".board-facts dd").all_inner_texts()
    counts = query(sample, "select images::varchar, pairs::varchar, patients::varchar from boards")[0]
    assert tuple(facts[2:5]) == counts
    assert [row["Rank"] for row in table(page, 0)] == ["1", "1"]


def test_n_a_and_grey_cells_are_explained(page: Page, address: str) -> None:
    open_board(page, address)
    row = next(row for row in table(page, 0) if row["Model"] == "box")
    assert row["S2"] == "n/a"
    expect(page.get_by_text("n/a: S2 does not apply to box, which needs a box.")).to_be_visible()
    grey = page.locator(".board-scroll").first.locator(".greyed")
    assert grey.evaluate_all("all => all.map(cell => cell.title)") == ["not made for S6", "not made for S2"]
    plain = page.locator(".board-scroll").first.locator("tbody td.number:not(.greyed)").last
    colour = "cell => getComputedStyle(cell).backgroundColor"
    assert grey.first.evaluate(colour) != plain.evaluate(colour)
    expect(page.get_by_text("the model was not made for this strategy")).to_be_visible()


def test_strategy_sorts_and_names_the_other_metrics(page: Page, address: str, sample: Made) -> None:
    open_board(page, address)
    orders = []
    for strategy in ("S5", "S2"):
        by(page, strategy)
        orders.append([row["Model"] for row in table(page, 0)])
        scored = query(
            sample,
            f"""select model from {OF_ALL} where selection = 'oracle' and strategy = '{strategy}'
            order by rank, headline desc""",
        )
        assert orders[-1][: len(scored)] == [model for (model,) in scored]
        stored = query(
            sample,
            f"""select pair, model, coalesce(format('{{:.2f}}', hausdorff), '–'), empties::varchar,
            failures::varchar from pair_scores where selection = 'oracle' and strategy = '{strategy}'""",
        )
        keys = ("group", "Model", "HD", "Empty", "Failed")
        shown = [tuple(row[key] for key in keys) for row in table(page, 1) if row["HD"] != "n/a"]
        assert sorted(shown) == sorted(stored)
    assert orders == [["box", "grabcut"], ["grabcut", "box"]]


def test_pair_filter_keeps_one_pair(page: Page, address: str) -> None:
    open_board(page, address)
    assert {row["group"] for row in table(page, 1)} == set(PAIRS)
    page.get_by_role("combobox", name="Object–modality pair").click()
    page.get_by_role("option", name="Liver-CT").click()
    expect(page.locator("[scope=rowgroup]")).to_have_text(["Liver-CT"])
    assert [(row["group"], row["Model"]) for row in table(page, 1)] == [("Liver-CT", name) for name in MODELS]
    by(page, "S6")
    expect(page.locator("[scope=rowgroup]")).to_have_text(["Liver-CT"])


def test_hostile_names_are_text(page: Page, address: str) -> None:
    open_board(page, address)
    assert HOSTILE in page.locator(".board-scroll").first.inner_text()
    expect(page.locator("[scope=rowgroup]").first).to_have_text(PAIRS[0])
    assert page.locator(".board-scroll").locator("script, img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_csv_holds_the_table(page: Page, address: str, sample: Made) -> None:
    open_board(page, address)
    for number, stored in enumerate(stored_dice(sample)):
        with page.expect_download() as download:
            page.get_by_role("link", name="Download CSV").nth(number).click()
        with Path(download.value.path()).open(newline="") as file:
            rows = list(csv.DictReader(file))
        found = {
            (row.get("Pair", ""), row["Model"], name): row[f"{name} DICE %"]
            for row in rows
            for name in STRATEGIES
            if row[f"{name} DICE %"] != "n/a"
        }
        assert found == stored


@pytest.mark.parametrize("width", [390, 1280])
def test_page_never_scrolls_sideways(page: Page, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    open_board(page, address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator(".board-scroll").last
    assert width > 640 or box.evaluate("box => box.scrollWidth > box.clientWidth")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_phantom_is_named_above_the_tabs(
    page: Page, serve: Serve, phantom: Made, tmp_path: Path, width: int, theme: str
) -> None:
    publish(phantom.path, tmp_path)
    page.set_viewport_size({"width": width, "height": 844})
    with serve(tmp_path) as address:
        open_board(page, f"{address}?__theme={theme}")
        notice = page.get_by_role("note")
        expect(notice).to_contain_text(f"Synthetic images: {HOSTILE_SOURCE} is a phantom. The files were")
        expect(notice).to_be_in_viewport(ratio=1)
        tabs = page.get_by_role("tablist").bounding_box()
        shown = notice.bounding_box()
        assert tabs
        assert shown
        assert shown["y"] + shown["height"] <= tabs["y"]
        assert contrast(notice) > 4.5  # WCAG 2, AA
        assert {row["Phantom"] for row in table(page, 1)} == {"yes"}
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("window.hacked") is None


def contrast(text: Locator) -> float:
    """WCAG's contrast ratio of a text and its ground, as the browser paints them."""
    ratio = text.evaluate(
        """text => {
            const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            const light = colour => {
                canvas.fillStyle = colour;
                canvas.fillRect(0, 0, 1, 1);
                const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(
                    value => value <= 10 ? value / 3294 : ((value / 255 + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const style = getComputedStyle(text);
            const [a, b] = [light(style.color), light(style.backgroundColor)];
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        }"""
    )
    return float(ratio)


def test_follows_the_published_board(
    page: Page, serve: Serve, sample: Made, larger: Made, tmp_path: Path
) -> None:
    with serve(tmp_path) as address:
        page.goto(address)
        expect(page.get_by_text("There is no board to show")).to_contain_text("run make repro")
        expect(page.get_by_role("radio")).to_have_count(0)

        publish(sample.path, tmp_path)
        page.reload()
        expect(page.get_by_text(sample.build_id)).to_be_visible()
        assert shown_dice(table(page, 0)) == stored_dice(sample)[0]

        publish(larger.path, tmp_path)
        page.reload()
        expect(page.get_by_text(larger.build_id)).to_be_visible()
        expect(page.get_by_role("note")).to_have_count(0)
        models, pairs = stored_dice(larger)
        assert shown_dice(table(page, 0)) == models
        assert shown_dice(table(page, 1)) == pairs
        assert all("[" in text for text in models.values())

        publish(sample.path, tmp_path)
        by(page, "S6")
        expect(page.get_by_text(sample.build_id)).to_be_visible()
