"""The app by the keyboard alone, and the demo in axe-core; `test_leaderboard` has the other views in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.app.boards import Made
from tests.app.conftest import Serve

pytestmark = pytest.mark.browser

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
#: What has the focus: its role or tag, and its name.
FOCUSED = """() => {
    const one = document.activeElement;
    const name = one.getAttribute('aria-label') ?? one.labels?.[0]?.innerText ?? one.innerText;
    return [one.getAttribute('role') ?? one.type ?? one.tagName, name.trim()];
}"""
#: Whether the focused element, or what is around it, looks otherwise than without the focus.
SEEN = """() => {
    const one = document.activeElement;
    const look = () => {
        const found = [];
        for (let at = one, up = 0; at && up < 4; at = at.parentElement, up++) {
            const { outline, boxShadow, borderColor, backgroundColor } = getComputedStyle(at);
            found.push([outline, boxShadow, borderColor, backgroundColor]);
        }
        return JSON.stringify(found);
    };
    const focused = look();
    one.blur();
    const plain = look();
    one.focus({ focusVisible: true });
    return focused !== plain;
}"""


@pytest.fixture(scope="module")
def address(serve: Serve, sample: Made, sample_state: Path) -> Iterator[str]:
    with serve(sample_state, "--data", str(sample.path.parent / "data")) as served:
        yield served


@pytest.mark.slow
def test_the_demo_has_no_violation_in_either_look(page: Page, address: str) -> None:
    page.goto(f"{address}?tab=demo&model=grabcut&__theme=light")
    expect(page.locator(".demo-facts strong").first).to_be_visible(timeout=30_000)
    page.locator("#demo").get_by_label("Second model, on the same prompts").click()
    page.get_by_role("option", name="box", exact=True).click()
    page.get_by_label("Show the ground truth").check()
    page.get_by_role("button", name="Box").first.click()
    canvas = page.locator(".canvas-prompts").first
    for corner in ((20, 20), (120, 120)):
        canvas.click(position={"x": corner[0], "y": corner[1]})
    expect(page.get_by_role("region", name="Masks").locator("tbody tr")).to_have_count(2)
    expect(page.locator(".canvas-legend").nth(1)).to_contain_text("ground truth")
    assert violations(page) == []
    page.evaluate("document.body.classList.add('dark')")
    assert violations(page) == []
    page.get_by_label("My own").check()
    page.locator("#demo").get_by_label("Model", exact=True).click()  # grabcut can't find everything
    page.get_by_role("option", name="sam_nano", exact=True).click()
    page.get_by_label("Everything").check()
    expect(page.get_by_role("button", name="Find everything")).to_be_visible()
    assert violations(page) == []
    page.evaluate("document.body.classList.remove('dark')")
    assert violations(page) == []


def violations(page: Page) -> list[tuple[str, list[str]]]:
    """The rules that are broken, and by what."""
    page.wait_for_timeout(300)  # colours change gradually
    found = Axe().run(page, options=RULES).response["violations"]
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]


@pytest.mark.slow
def test_the_keyboard_reaches_all_and_shows_where_it_is(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator(".board-scroll").first).to_be_visible(timeout=30_000)
    found = walked(page)
    names = [name for _, name in found]
    assert ("tab", "Leaderboard") in found
    for name in ("Ranking", "Pairs × models", "Strategy", "Modality", "Search models", "Download CSV"):
        assert name in names
    assert any(role == "region" and name.startswith("Models ranked by") for role, name in found)
    page.get_by_role("tab", name="Demo").press("Enter")
    expect(page.locator(".demo-facts strong").first).to_be_visible(timeout=30_000)
    page.get_by_role("tab", name="Demo").focus()
    found = walked(page)
    names = [name for _, name in found]
    for name in ("From the dataset", "Image", "Model", "Prompts", "Undo", "Opacity", "Keep this mask"):
        assert name in names
    assert ("application", "Picture to prompt") in found


def walked(page: Page) -> list[tuple[str, str]]:
    """What Tab reaches from here to the page's end, each of which must show that it has the focus."""
    found = []
    for _ in range(100):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            return found
        role, name = page.evaluate(FOCUSED)
        found.append((role, name))
        page.wait_for_timeout(50)  # borders change gradually
        assert page.evaluate(SEEN), f"{role} {name!r} does not show that it has the focus"
    raise AssertionError(f"Tab comes to no end: {found}")
