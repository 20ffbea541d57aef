"""The tab "Leaderboard" in a browser, against what the board's file holds."""

import csv
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from app.place import VIEWS
from leaderboard.store.publish import publish
from tests.app.boards import HOSTILE, HOSTILE_OBJECT, HOSTILE_SOURCE, STRATEGIES, Made
from tests.app.conftest import Serve

pytestmark = pytest.mark.browser

PAIR = f"{HOSTILE_OBJECT}-CT"
#: The link of the ranking with a column of each strategy.
ALL = "?columns=hd&" + "&".join(f"columns={name}" for name in STRATEGIES)
#: The cells of one table, each row with its headings by column.
READ = """table => {
    const names = [...table.querySelectorAll('thead tr:last-child th')].map(th => th.firstChild.textContent);
    return [...table.querySelectorAll('tbody tr')].map(tr => Object.fromEntries(
        [...tr.cells].map((cell, i) => [names[i], cell.innerText.split('\\n')[0]])));
}"""
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


@pytest.fixture(scope="module")
def address(serve: Serve, sample: Made, sample_state: Path) -> Iterator[str]:
    with serve(sample_state, "--data", str(sample.path.parent / "data")) as url:
        yield url


def open_board(page: Page, address: str, query: str = "") -> None:
    page.goto(f"{address}{query}")
    expect(page.locator(".board-tab .view-link")).to_be_visible()


def table(page: Page) -> list[dict[str, str]]:
    """The first of the page that is to be seen."""
    return page.locator(".board-scroll table:visible").first.evaluate(READ)


def pick(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()
    expect(page.get_by_role("option")).to_have_count(0)  # it fades


def view(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).check()


def query(board: Made, sql: str) -> list[tuple[str, ...]]:
    with duckdb.connect(str(board.path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def shown_dice(rows: list[dict[str, str]]) -> dict[tuple[str, ...], str]:
    """(model, strategy) → text, of the cells of the board's models that hold a number."""
    return {
        (row["Model"], name): row[name]
        for row in rows
        for name in STRATEGIES
        if row[name] not in ("n/a", "–") and "(paper)" not in row["Model"]
    }


def stored_dice(board: Made, selection: str = "oracle") -> dict[tuple[str, ...], str]:
    """The same, formatted by DuckDB."""
    ends = "' [' || format('{:.2f}, {:.2f}', 100 * low, 100 * high) || ']'"
    stored = query(
        board,
        f"""select model, strategy, format('{{:.2f}}', 100 * headline) || coalesce({ends}, '')
        from group_scores where grouped = 'all' and selection = '{selection}'""",
    )
    return {row[:2]: row[2] for row in stored}


def test_shows_what_the_board_holds(page: Page, address: str, sample: Made) -> None:
    open_board(page, address, ALL)
    assert shown_dice(table(page)) == stored_dice(sample)
    pick(page, "Mask scored", "Highest predicted IoU")
    link = page.get_by_role("link", name="Download CSV")
    expect(link).to_have_attribute("download", f"models-{sample.build_id}-S5-predicted_iou.csv")
    assert shown_dice(table(page)) == stored_dice(sample, "predicted_iou")
    with page.expect_download() as download:
        link.click()
    with Path(download.value.path()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["S6 DICE %"] for row in rows] == [row["S6"] for row in table(page)]


def test_says_what_the_board_is(page: Page, address: str, sample: Made) -> None:
    open_board(page, address, ALL)
    text = page.locator("body").inner_text()
    for words in (
        "For research. Not a medical device.",
        "This is the sample, not COSMOS 1050K",
        sample.build_id,
        "2 patients, fewer than 20",
        "no evidence for an order: all ranked models share rank 1",
        "n/a: S2 does not apply to box, which needs a box.",
        "the model was not made for this strategy",
    ):
        assert words in text
    facts = page.locator(".board-facts dd").all_inner_texts()
    counts = query(sample, "select images::varchar, pairs::varchar, patients::varchar from boards")[0]
    assert tuple(facts[2:5]) == counts
    assert [row["Rank"] for row in table(page)] == ["1", "1", "–", "–"]
    grey = page.locator(".board-scroll .greyed")
    assert grey.evaluate_all("all => all.map(cell => cell.title)") == ["not made for S6", "not made for S2"]
    assert HOSTILE in page.locator(".board-scroll").inner_text()
    assert page.locator(".board-scroll").locator("script, img").count() == 0
    assert page.evaluate("window.hacked") is None


@pytest.mark.slow
def test_the_best_model_for_a_pair_is_found_and_linked(page: Page, address: str, sample: Made) -> None:
    open_board(page, address)
    pick(page, "Strategy", "S2 · 1 positive point")
    expect(page.locator("h2:visible").first).to_contain_text("S2 · 1 positive point: mean DICE over 2 pairs")
    pick(page, "Pair", "Liver-CT")
    title = page.locator("h2:visible").first
    expect(title).to_have_text("Models ranked by S2 · 1 positive point: mean DICE over 1 pair (Liver-CT)")
    best = query(
        sample,
        """select model, format('{:.2f}', 100 * dice) from pair_scores where strategy = 'S2'
        and selection = 'oracle' and pair = 'Liver-CT' order by rank, dice desc""",
    )[0]
    rows = table(page)
    assert (rows[0]["Model"], rows[0]["DICE under S2"]) == best
    expect(page).to_have_url(f"{address}?tab=leaderboard&strategy=S2&pair=Liver-CT")
    href = page.locator(".board-tab .view-link").get_attribute("href")
    open_board(page, address, f"{href}&__theme=dark")
    expect(title).to_contain_text("(Liver-CT)")
    assert table(page) == rows
    expect(page.get_by_role("combobox", name="Pair", exact=True)).to_have_value("Liver-CT")
    expect(page).to_have_url(f"{address}{href}&__theme=dark")


@pytest.mark.slow
def test_search_and_columns(page: Page, address: str) -> None:
    open_board(page, address)
    search = page.get_by_label("Search models")
    search.press_sequentially("WINDOW.h")
    expect(page.locator(".board-scroll tbody tr")).to_have_count(1)
    assert [row["Model"] for row in table(page)] == ["grabcut"]
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("checkbox", name="Parameters").uncheck()
    expect(page.get_by_role("columnheader", name="Parameters")).to_have_count(0)
    page.get_by_role("checkbox", name="DICE under S6 ").check()
    expect(page.get_by_role("columnheader", name="S6")).to_be_visible()
    assert "search=WINDOW.h" in page.url
    search.fill("nobody")  # as who pastes it
    search.press("Enter")
    expect(page.locator(".board-scroll tbody tr")).to_have_count(0)


@pytest.mark.slow
def test_a_model_s_page_and_back(page: Page, address: str) -> None:
    open_board(page, address, "?strategy=S6")
    page.get_by_role("link", name="box", exact=True).click()
    expect(page.locator("h2:visible").first).to_have_text("box")
    expect(page.get_by_text("cosmos evaluate --model box")).to_be_visible()
    expect(page.locator(".board-cases svg")).to_have_count(8)
    expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_value("box")
    expect(page.get_by_role("combobox", name="Pair", exact=True)).to_be_hidden()
    page.get_by_role("link", name="Liver-CT", exact=True).click()
    expect(page.locator("h2:visible").first).to_have_text("Liver-CT")
    expect(page.locator(".board-cases svg")).to_have_count(4)
    expect(page.get_by_role("link", name="sample", exact=True)).to_be_visible()
    page.go_back()
    expect(page.locator("h2:visible").first).to_have_text("box")
    page.go_back()
    expect(page.locator("h2:visible").first).to_contain_text("Models ranked by S6")


@pytest.mark.slow
def test_two_models_are_compared(page: Page, address: str) -> None:
    open_board(page, address)
    view(page, "Compare")
    expect(page.locator("h2:visible").first).to_have_text("box against grabcut: DICE, % under S5 · box")
    expect(page.locator(".js-plotly-plot .bars path")).to_have_count(2)
    before = {row["Pair"]: row["Difference"] for row in table(page)}
    open_board(page, address, "?view=compare&model=grabcut&other=box")
    expect(page.locator("h2:visible").first).to_contain_text("grabcut against box")
    after = {row["Pair"]: row["Difference"] for row in table(page)}
    assert {name: -float(text) for name, text in after.items()} == {
        name: float(text) for name, text in before.items()
    }
    assert before.keys() == {"Mean of 2 pairs", "Liver-CT", PAIR}


@pytest.mark.slow
@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1280, "light")])
def test_every_view_fits_and_is_accessible(page: Page, address: str, width: int, theme: str) -> None:
    """And none asks another host, or logs an error (`page`)."""
    page.set_viewport_size({"width": width, "height": 844})
    open_board(page, address, f"?columns=S6&__theme={theme}")
    for name, label in VIEWS.items():
        view(page, label)
        expect(page.locator(f'[data-view="{name}"]')).to_have_count(1)
        if name in ("heat", "modalities", "spread", "compare"):
            text = page.locator(".js-plotly-plot .ytick text").first
            expect(text).to_be_visible()
            assert contrast(text, "fill") > 4.5
        expect(page.locator(".board-drawing")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page, options=RULES).response["violations"]
        assert not found, [(name, one["id"], one["nodes"][0]["target"]) for one in found]


def contrast(text: Locator, colour: str = "color") -> float:
    """WCAG's contrast ratio of a text and the ground behind it, as the browser paints them."""
    ratio = text.evaluate(
        """(text, colour) => {
            const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            const light = colour => {
                canvas.fillStyle = colour;
                canvas.fillRect(0, 0, 1, 1);
                const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(
                    value => value <= 10 ? value / 3294 : ((value / 255 + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            let ground = text;
            while (/, 0\\)$|transparent/.test(getComputedStyle(ground).backgroundColor))
                ground = ground.parentElement;
            const [a, b] = [
                light(getComputedStyle(text)[colour]), light(getComputedStyle(ground).backgroundColor)];
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        }""",
        colour,
    )
    return float(ratio)


@pytest.mark.slow
def test_follows_the_published_board(
    page: Page, serve: Serve, sample: Made, larger: Made, phantom: Made, tmp_path: Path
) -> None:
    with serve(tmp_path) as address:
        page.goto(address)
        expect(page.get_by_text("There is no board to show")).to_contain_text("run make repro")
        expect(page.locator(".board-tab").get_by_role("radio")).to_have_count(0)

        publish(sample.path, tmp_path)
        open_board(page, address, ALL)
        expect(page.get_by_text(sample.build_id)).to_be_visible()
        assert shown_dice(table(page)) == stored_dice(sample)

        publish(larger.path, tmp_path)
        pick(page, "Strategy", "S6 · box and 1 positive point")
        expect(page.get_by_text(larger.build_id)).to_be_visible()
        expect(page.get_by_role("note")).to_have_count(0)
        assert shown_dice(table(page)) == stored_dice(larger)
        assert all("[" in text for text in shown_dice(table(page)).values())

        publish(phantom.path, tmp_path)
        for width, theme in ((390, "light"), (1280, "dark")):
            page.set_viewport_size({"width": width, "height": 844})
            open_board(page, address, f"?__theme={theme}")
            says_phantom(page, width)

        (tmp_path / "boards" / "current.duckdb").resolve().write_bytes(b"half written")
        page.reload()
        expect(page.get_by_role("note").last).to_contain_text("This board is an older one")
        expect(page.get_by_role("note").last).to_contain_text("make repro")
        expect(page.locator(".board-scroll")).to_be_visible()


def says_phantom(page: Page, width: int) -> None:
    """The notice is above the tabs, to be read, and text."""
    notice = page.get_by_role("note")
    expect(notice).to_contain_text(f"Synthetic images: {HOSTILE_SOURCE} is a phantom. The files were")
    expect(notice).to_be_in_viewport(ratio=1)
    tabs, shown = page.get_by_role("tablist").bounding_box(), notice.bounding_box()
    assert tabs
    assert shown
    assert shown["y"] + shown["height"] <= tabs["y"]
    assert contrast(notice) > 4.5  # WCAG 2, AA
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.hacked") is None
