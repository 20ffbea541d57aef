"""The prompt canvas in a browser: places against the layout's rectangles, pixels against what was sent."""

import base64
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import floor
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from app.components.canvas import Given
from cosmos1050k import pictures
from tests.app import canvas_page as served
from tests.app.canvas_page import ASPECT, HEIGHT, WIDTH, Seen

pytestmark = pytest.mark.browser

#: Notes the text of all answers of the server.
LISTEN = """const asked = window.fetch;
window.received = '';
window.fetch = async (...request) => {
    const answer = await asked(...request);
    const text = new TextDecoder();
    const write = part => { window.received += text.decode(part, {stream: true}); };
    if (answer.body) answer.clone().body.pipeTo(new WritableStream({write})).catch(() => {});
    return answer;
};"""


#: WCAG's contrast of every text of the component against what is behind it.
CONTRAST = """root => {
    const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const channels = colours => {
        paint.clearRect(0, 0, 1, 1);
        for (const colour of colours) { paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1); }
        return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = colours => channels(colours).map(value => value / 255)
        .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
    const ground = node => getComputedStyle(node).backgroundColor;
    const behind = node => node ? [...behind(node.parentElement), ground(node)] : ['white'];
    return [...root.querySelectorAll('button, label, .canvas-help, .canvas-said')].map(node => {
        const grounds = behind(node);
        const [high, low] = [luminance(grounds), luminance([...grounds, getComputedStyle(node).color])]
            .sort((one, other) => other - one);
        return (high + 0.05) / (low + 0.05);
    });
}"""


@pytest.fixture(scope="module")
def seen() -> Seen:
    seen = Seen()
    seen.go.set()
    return seen


@pytest.fixture(scope="module")
def address(seen: Seen) -> Iterator[str]:
    page = served.build(seen)
    theme = gr.themes.Base(font=["sans-serif"], font_mono=["monospace"])
    _, url, _ = page.launch(
        prevent_thread_lock=True, quiet=True, share=False, ssr_mode=False, footer_links=[], theme=theme
    )
    yield url
    page.close(verbose=False)


@contextmanager
def opened(browser: Browser, address: str, width: int, scale: float) -> Iterator[Page]:
    """A page with a picture on both canvases, that must log no error and ask no other host for anything."""
    faults: list[str] = []
    size, touch = {"width": width, "height": 900}, width < 600
    page = browser.new_page(viewport=size, device_scale_factor=scale, has_touch=touch)
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda ask: None if ask.url.startswith((address, "data:")) else faults.append(ask.url))
    page.add_init_script(LISTEN)
    page.goto(address)
    press(page, "Picture")
    expect(page.locator("#second .canvas-filled")).to_be_visible()
    yield page
    page.close()
    assert not faults


@pytest.fixture(scope="module")
def wide(browser: Browser, address: str) -> Iterator[Page]:
    with opened(browser, address, 1280, 2) as page:
        yield page


@pytest.fixture
def page(wide: Page, seen: Seen) -> Page:
    """The wide page at device pixel ratio 2 with a new picture, on which nothing has been given yet."""
    seen.given.clear()
    seen.turned.clear()
    seen.go.set()
    layer(wide, "said").evaluate("it => { it.textContent = 'old'; }")
    press(wide, "Picture")
    said(wide, "^$")
    layer(wide, "prompts").press("p")
    return wide


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def layer(page: Page, name: str, of: str = "first") -> Locator:
    return page.locator(f"#{of} .canvas-{name}")


def said(page: Page, text: str, of: str = "first") -> None:
    expect(layer(page, "said", of)).to_have_text(re.compile(text))


def until(page: Page, seen: Callable[[], bool]) -> None:
    for _ in range(750):
        if seen():
            return
        page.wait_for_timeout(20)
    pytest.fail("the server did not get what was given")


def last(page: Page, seen: Seen, expected: Given) -> None:
    """Waits until what was last given is that, however many slices were asked for."""
    until(page, lambda: [replace(one, turned=0) for one in seen.given[-1:]] == [expected])


def pixel(page: Page, x: float, y: float) -> tuple[int, int]:
    """The picture's pixel at that place of the window, by the rectangle in which the browser laid it out."""
    left, top, right, bottom = layer(page, "picture").evaluate(
        "it => { const r = it.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; }"
    )
    assert left <= x < right
    assert top <= y < bottom
    return floor((x - left) * WIDTH / (right - left)), floor((y - top) * HEIGHT / (bottom - top))


def centre(page: Page, x: int, y: int, of: str = "first") -> tuple[float, float]:
    """Where in the window a pixel of the picture is."""
    box = layer(page, "picture", of).bounding_box()
    assert box is not None
    return box["x"] + (x + 0.5) * box["width"] / WIDTH, box["y"] + (y + 0.5) * box["height"] / HEIGHT


def drag(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    page.mouse.move(*centre(page, *start))
    page.mouse.down()
    page.mouse.move(*centre(page, *end), steps=3)
    page.mouse.up()


def drawn(page: Page, name: str, of: str = "first") -> np.ndarray[Any, np.dtype[np.uint8]]:
    """RGBA of a layer as it is drawn, in device pixels."""
    png = layer(page, name, of).evaluate("it => it.toDataURL().split(',')[1]")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA"))


def at_centres(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Of what is drawn, the values at the centres of the picture's pixels: H×W×4."""
    height, width = pixels.shape[:2]
    rows = ((np.arange(HEIGHT) + 0.5) * height / HEIGHT).astype(int)
    columns = ((np.arange(WIDTH) + 0.5) * width / WIDTH).astype(int)
    return pixels[rows[:, None], columns]


@pytest.mark.parametrize(("width", "scale"), [(1280, 1), (390, 2)])
def test_a_click_gives_the_pixel_under_it(
    browser: Browser, address: str, seen: Seen, width: int, scale: int
) -> None:
    with opened(browser, address, width, scale) as page:
        layer(page, "stage").scroll_into_view_if_needed()
        box = layer(page, "picture").bounding_box()
        assert box is not None
        assert box["height"] / box["width"] == pytest.approx(HEIGHT * ASPECT / WIDTH, rel=0.005)
        assert box["height"] <= 0.7 * 900 + 1
        expected: list[tuple[int, int, bool]] = []
        for across, down in ((0.003, 0.003), (0.51, 0.26), (0.777, 0.9), (0.996, 0.996)):
            place = box["x"] + across * box["width"], box["y"] + down * box["height"]
            point = page.mouse.click if width > 600 else page.touchscreen.tap
            point(*place)
            expected.append((*pixel(page, *place), True))
        last(page, seen, Given(tuple(expected), None, "one"))
        assert expected[0][:2] == (0, 0)
        assert expected[-1][:2] == (WIDTH - 1, HEIGHT - 1)
        assert drawn(page, "prompts").shape[1] == round(box["width"] * scale)
        np.testing.assert_array_equal(drawn(page, "picture")[..., :3], served.image())


@pytest.mark.slow
def test_points_and_a_box_by_mouse(page: Page, seen: Seen) -> None:
    page.mouse.click(*centre(page, 4, 5))
    page.mouse.click(*centre(page, 9, 8), button="right")
    layer(page, "prompts").press("n")
    page.mouse.click(*centre(page, 30, 40))
    points = ((4, 5, True), (9, 8, False), (30, 40, False))
    last(page, seen, Given(points, None, "one"))

    page.locator("#first").get_by_role("button", name="Box").click()
    drag(page, (25, 45), (7, 12))
    boxed = Given(points, (7, 12, 25, 45), "one")
    last(page, seen, boxed)
    said(page, r"^Box from 7, 12 to 25, 45\. 1 positive, 2 negative, a box\.$")
    page.keyboard.down("Shift")
    page.mouse.click(*centre(page, 2, 2))
    page.keyboard.up("Shift")
    last(page, seen, Given((*points, (2, 2, False)), boxed.box, "one"))

    page.keyboard.press("Control+z")
    last(page, seen, boxed)
    page.keyboard.press("Escape")
    last(page, seen, Given((), None, "one"))
    said(page, "^Cleared")
    page.locator("#first").get_by_role("button", name="Undo").click()
    last(page, seen, boxed)
    page.mouse.click(*centre(page, 3, 30))
    page.mouse.click(*centre(page, 20, 10))  # the corners of another box, without a drag
    last(page, seen, Given(points, (3, 10, 20, 30), "one"))
    drag(page, (5, 5), (WIDTH + 9, 6))  # past the border
    last(page, seen, Given(points, (5, 5, WIDTH - 1, 6), "one"))


def test_points_and_a_box_by_keyboard(page: Page, seen: Seen) -> None:
    prompts = page.get_by_role("application", name=served.LABEL)
    prompts.focus()
    for key in ("ArrowLeft", "Shift+ArrowDown", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    x, y = WIDTH // 2 - 1, HEIGHT // 2 + 9
    last(page, seen, Given(((x, y, True),), None, "one"))
    said(page, rf"^Positive point at {x}, {y}\. 1 positive, 0 negative, no box\.$")
    page.keyboard.press("b")
    page.keyboard.press("Space")
    said(page, rf"^First corner at {x}, {y}")
    for _ in range(5):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    last(page, seen, Given(((x, y, True),), (x, y - 1, WIDTH - 1, y), "one"))
    page.keyboard.press("u")
    page.keyboard.press("u")
    last(page, seen, Given((), None, "one"))
    page.keyboard.press("u")
    said(page, "^Nothing to undo")
    described = page.locator(f"#{prompts.get_attribute('aria-describedby')}")
    expect(described).to_contain_text("arrows move the crosshair")


def test_no_click_is_lost_while_the_server_is_slow(page: Page, seen: Seen) -> None:
    seen.go.clear()
    places = [(5, 6), (10, 12), (15, 18), (20, 24), (25, 30)]
    for place in places:
        page.mouse.click(*centre(page, *place))
    seen.go.set()
    last(page, seen, Given(tuple((*place, True) for place in places), None, "one"))
    assert [given.points for given in seen.given] == [
        ((5, 6, True),),
        tuple((*place, True) for place in places),
    ]


def test_slices_are_asked_for_and_none_is_lost(page: Page, seen: Seen) -> None:
    before = page.evaluate("window.promptCanvases.first.turned")
    seen.go.clear()
    layer(page, "prompts").focus()
    for key in ("PageDown", "PageDown", "Shift+PageDown", "PageUp"):
        page.keyboard.press(key)
    page.mouse.move(*centre(page, 10, 10))
    page.keyboard.down("Control")
    page.mouse.wheel(0, 100)
    page.keyboard.up("Control")
    seen.go.set()
    until(page, lambda: seen.turned[-1:] == [before + 12])
    turned = list(seen.turned)
    assert len(turned) == 2
    press(page, "Flat")
    until(page, lambda: layer(page, "picture").evaluate("it => it.offsetHeight / it.offsetWidth") < 2)
    layer(page, "prompts").press("PageDown")
    layer(page, "prompts").press("Enter")
    at = (WIDTH // 2, HEIGHT // 2, True)
    last(page, seen, Given(((3, 4, True), at), None, "two"))
    assert seen.turned == turned
    assert seen.given[-1].turned == before + 12


@pytest.mark.slow
def test_masks_are_drawn_without_sending_the_picture_again(page: Page) -> None:
    sent = base64.b64encode(pictures.encode(served.image())).decode()
    until(page, lambda: sent in page.evaluate("window.received"))
    page.evaluate("window.received = ''")
    press(page, "Overlay")
    expect(layer(page, "legend")).to_have_text("<i>one</i>")
    answer = page.evaluate("window.received")
    assert base64.b64encode(pictures.encode(served.mask().view(np.uint8) * 255)).decode() in answer
    assert sent not in answer
    layer(page, "opacity").fill("100")
    layer(page, "contours").uncheck()
    seen = at_centres(drawn(page, "overlay"))
    np.testing.assert_array_equal(seen[..., 3] > 0, served.mask())
    assert {tuple(value) for value in seen[served.mask()]} == {(0x10, 0x20, 0xF0, 255)}

    layer(page, "opacity").fill("50")
    np.testing.assert_allclose(at_centres(drawn(page, "overlay"))[served.mask()][:, 3], 127.5, atol=1)
    layer(page, "opacity").fill("0")
    assert not drawn(page, "overlay").any()
    layer(page, "contours").check()
    row, column = 20, 5  # on the left side of the outline
    assert tuple(at_centres(drawn(page, "overlay"))[row, column]) == (0x10, 0x20, 0xF0, 255)

    press(page, "Stale")
    press(page, "Both")  # a mask with a new picture, whose key no other update knows
    until(page, lambda: bool(drawn(page, "overlay").any()))
    press(page, "Overlay")
    press(page, "Broken")
    said(page, "could not be drawn")
    expect(layer(page, "legend")).to_have_text("<i>one</i>")


@pytest.mark.slow
def test_another_canvas_shows_the_same_prompts(page: Page, seen: Seen) -> None:
    page.mouse.click(*centre(page, 12, 20))
    layer(page, "prompts").press("b")
    drag(page, (5, 10), (30, 44))
    last(page, seen, Given(((12, 20, True),), (5, 10, 30, 44), "one"))
    until(page, lambda: np.array_equal(drawn(page, "prompts"), drawn(page, "prompts", "second")))
    point = at_centres(drawn(page, "prompts", "second"))
    assert tuple(point[20, 12]) == (255, 255, 255, 255)  # the sign
    assert point[10, 5:31, 3].any()
    assert not point[30, 10:25].any()
    layer(page, "prompts", "second").press("u")
    said(page, "^Undone. 1 positive, 0 negative, no box", "second")


@pytest.mark.slow
def test_a_canvas_that_was_hidden_shows_the_same_again(page: Page, seen: Seen) -> None:
    page.mouse.click(*centre(page, 12, 20))
    last(page, seen, Given(((12, 20, True),), None, "one"))
    expect(layer(page, "legend")).to_have_text("<i>one</i>")
    before = [drawn(page, name) for name in ("picture", "overlay", "prompts")]
    press(page, "Hide")
    expect(page.locator("#first")).to_have_count(0)
    press(page, "Show")
    for name, pixels in zip(("picture", "overlay", "prompts"), before, strict=True):
        until(page, lambda name=name, pixels=pixels: np.array_equal(drawn(page, name), pixels))
    page.mouse.click(*centre(page, 30, 40))
    last(page, seen, Given(((12, 20, True), (30, 40, True)), None, "one"))
    assert seen.given[-1].turned == seen.given[-2].turned


@pytest.mark.parametrize("dark", [False, True])
def test_texts_and_buttons_can_be_read(page: Page, dark: bool) -> None:
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
    page.wait_for_timeout(300)  # Gradio's colours fade
    ratios = page.locator("#first").evaluate(CONTRAST)
    assert len(ratios) >= 8
    assert min(ratios) >= 4.5
