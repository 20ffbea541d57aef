"""Submitting in a browser, on a server without a worker."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Response, expect

from app.submit.layout import EVERYBODY
from leaderboard.store.publish import publish
from leaderboard.submissions import terms
from leaderboard.submissions.tokens import Tokens
from tests.app.boards import HOSTILE, Made
from tests.app.conftest import Serve
from tests.app.submitting import TERMS, built, decoder
from tests.app.test_web_access import FOCUSED, SEEN, violations

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Served:
    """A server that takes submissions, and a submitter's token."""

    address: str
    token: str


@pytest.fixture(scope="module")
def served(serve: Serve, sample: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    state = tmp_path_factory.mktemp("state")
    publish(sample.path, state)
    terms.write(TERMS, state)
    token = Tokens(state).create("ann", "submitter", 1)
    data = built(tmp_path_factory.mktemp("built"))
    with serve(state, "--data", str(data)) as address:
        yield Served(address, token)


def form(page: Page) -> Locator:
    return page.locator("#submit")


def field(page: Page, label: str) -> Locator:
    """By how its label begins: a hint stands in it."""
    return form(page).get_by_label(re.compile(rf"^\s*{label}"))


def fill(page: Page, label: str, text: str) -> None:
    field(page, label).fill(text)


def opened(page: Page, address: str) -> None:
    page.goto(f"{address}?tab=submit")
    expect(page.get_by_text("None.")).to_be_visible()  # the queue is here


def choose_file(page: Page, path: Path) -> None:
    """Instead of the one that is chosen, if one is."""
    if form(page).get_by_label("Clear").count():
        form(page).get_by_label("Clear").click()
    with page.expect_response(re.compile("/upload")):
        form(page).locator("input[type=file]").set_input_files(str(path))
    expect(form(page).get_by_text(path.stem)).to_be_visible()


def submit(page: Page) -> None:
    page.get_by_role("button", name="Submit", exact=True).click()


def said(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.get_by_role("alert").filter(has_text=text)).to_be_visible()


@pytest.mark.slow
def test_a_checkpoint_is_submitted_and_followed(
    page: Page, browser: Browser, served: Served, tmp_path: Path
) -> None:
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    opened(page, served.address)
    assert violations(page) == []

    # A stranger
    submit(page)
    said(page, "give your token")
    fill(page, "Token", "cosmos_submitter_guess")
    field(page, "Token").press("Enter")
    said(page, "did not make this token")
    fill(page, "Token", served.token)
    field(page, "Token").press("Enter")
    expect(page.get_by_text("You are ann, a submitter.")).to_be_visible()

    # A broken file
    fill(page, "Name", "ours")
    form(page).get_by_label("Architecture").click()
    page.get_by_role("option", name="MedSAM").click()
    expect(page.get_by_label("S1 · everything")).not_to_be_checked()
    form(page).get_by_label("Architecture").click()
    page.get_by_role("option", name="SAM nano").click()
    expect(page.get_by_label("S1 · everything")).to_be_checked()
    fill(page, "Licence", "CC0")
    fill(page, "Contact", "ann@lab.org")
    fill(page, "Description", HOSTILE)
    form(page).get_by_label("On the COSMOS train split of").click()
    page.get_by_role("option", name="acdc", exact=True).click()
    page.keyboard.press("Escape")
    broken, good = tmp_path / "broken.safetensors", tmp_path / "good.safetensors"
    broken.write_bytes(decoder()[:1000])
    good.write_bytes(decoder())
    choose_file(page, broken)
    submit(page)
    said(page, "The file ends within its header; save it anew as safetensors")
    assert violations(page) == []
    expect(field(page, "Name")).to_have_value("ours")

    # A good one
    choose_file(page, good)
    submit(page)
    expect(page.get_by_role("status").filter(has_text="Received as")).to_contain_text("place 1 in the queue")
    submission = page.get_by_role("status").filter(has_text="Received as").locator("strong").inner_text()
    expect(page).to_have_url(f"{served.address}?tab=submit&submission={submission}")
    expect(page.locator(".submit-state")).to_contain_text("Queued: it waits for a worker.")
    expect(page.get_by_text("the split train of acdc; an unknown part of any other source")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    for theme in ("dark", "light"):
        page.evaluate(f"document.body.classList.toggle('dark', {str(theme == 'dark').lower()})")
        assert violations(page) == []

    # Others see it, by its link and in the queue, on a phone too
    other = browser.new_page(viewport={"width": 390, "height": 844})
    other.goto(f"{served.address}?tab=submit&submission={submission}")
    expect(other.locator(".submit-state")).to_contain_text("Queued")
    expect(form(other).get_by_text(HOSTILE)).to_be_visible()
    assert other.get_by_text("ann@lab.org").count() == 0
    assert other.get_by_role("button", name="Withdraw").count() == 0
    assert other.evaluate("document.documentElement.scrollWidth") <= 390
    above, below = (
        other.locator(".submit-state").bounding_box(),
        other.get_by_label("Architecture").bounding_box(),
    )
    assert above
    assert below
    assert above["y"] < below["y"]

    # The page looks again by itself, but not while another tab is in front
    with page.expect_request(re.compile("run/predict")):
        pass
    page.get_by_role("tab", name="Leaderboard").click()
    expect(page.locator(".board-tab .view-link")).to_be_visible()
    page.wait_for_timeout(500)  # what was asked before is answered
    before = len(answers)
    page.wait_for_timeout(5000)
    assert len(answers) == before
    page.get_by_role("tab", name="Submit").click()

    # Who is not sure does not withdraw; the page of the other follows by itself
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Withdraw").click()
    page.once("dialog", lambda dialog: dialog.accept())
    expect(page.locator(".submit-state")).to_contain_text("Queued")
    page.get_by_role("button", name="Withdraw").click()
    for each in (page, other):
        expect(each.locator(".submit-state")).to_contain_text("Withdrawn: it was taken back.")
        expect(each.get_by_role("region", name="Submissions").locator("tbody tr")).to_contain_text(
            "withdrawn"
        )
    expect(page.get_by_role("button", name="Withdraw")).to_have_count(0)
    other.close()

    # The token was sent, and never came back
    asked = [answer for answer in answers if "gradio_api" in answer.url and "heartbeat" not in answer.url]
    assert any(served.token in (answer.request.post_data or "") for answer in asked)
    assert not any(served.token in answer.url for answer in answers)
    for answer in asked:
        if "run/predict" in answer.url:
            assert served.token not in answer.text()


@pytest.mark.slow
def test_the_keyboard_reaches_all_and_a_page_asks_for_no_more_than_it_shows(
    page: Page, served: Served
) -> None:
    page.goto(served.address)
    expect(page.locator(".board-scroll").first).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.post_data or ""))
    page.get_by_role("tab", name="Submit").press("Enter")
    expect(page.get_by_role("heading", name="The queue")).to_be_visible()
    expect(page.get_by_role("region", name="Submissions").or_(page.get_by_text("None."))).to_be_visible()
    page.get_by_role("tab", name="Submit").focus()
    names = reached(page, "Refresh")
    for begin in ("Token", "Name", "SAM's", "S6", "A file", "On all of", "Licence", "Submit", "Everybody's"):
        assert any(name.startswith(begin) for name in names), names
    page.wait_for_timeout(5000)
    own = [body for body in asked if EVERYBODY in body]
    assert len(own) == 3, own  # the tab was opened, and the token's field left twice: once by `SEEN`


def reached(page: Page, last: str) -> list[str]:
    """What Tab reaches up to the last, each of which must show that it has the focus."""
    names: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            continue  # a long list of choices was left, which takes a Tab of its own
        names.append(page.evaluate(FOCUSED)[1])
        page.wait_for_timeout(50)  # borders change gradually
        assert page.evaluate(SEEN), f"{names[-1]!r} does not show that it has the focus"
        if names[-1] == last:
            return names
    raise AssertionError(f"Tab does not come to {last!r}: {names}")
