"""Pictures of every view of the app, light and dark, on the published board: `python -m tests.screenshots`.

Needs what `make repro` makes, and Debian's Chromium.
"""

import argparse
import io
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nilearn
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Views of the leaderboard by their link.
VIEWS = {
    "leaderboard": "",
    "pairs": "&view=heat",
    "modalities": "&view=modalities",
    "speed": "&view=speed",
    "spread": "&view=spread",
    "paper": "&view=paper",
    "model": "&view=model&model=sam_nano",
    "pair": "&view=pair&pair=Brain-T1W MRI",
    "compare": "&view=compare&model=grabcut&other=box",
}
WIDE, PHONE = (1280, 900), (390, 844)
_VOLUME = Path(nilearn.__file__).parent / "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
_SECONDS = 60_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder to write into (%(default)s)")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        parser.error("no Chromium found; install it, such as by `apt-get install chromium`")
    with _served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        take(browser, address, out)
        browser.close()


def take(browser: Browser, address: str, out: Path) -> None:
    """Writes every picture: those in dark end in `-dark`, those on a phone in `-phone`."""
    for theme, ending in (("light", ""), ("dark", "-dark")):
        for name, query in VIEWS.items():
            with _page(browser, f"{address}?tab=leaderboard{query}&__theme={theme}", WIDE) as page:
                _settled(page)
                _write(page, out / f"{name}{ending}.png")
        for name, journey in _JOURNEYS.items():
            with _page(browser, f"{address}?tab=demo&__theme={theme}", WIDE) as page:
                page.locator(".demo-facts strong").first.wait_for(timeout=_SECONDS)
                journey(page)
                page.wait_for_timeout(1000)
                _write(page, out / f"{name}{ending}.png")
        for name, query in (("submit", "submit"), ("analyses", "analyses&section=figure_6")):
            with _page(browser, f"{address}?tab={query}&__theme={theme}", WIDE) as page:
                _settled(page)
                _write(page, out / f"{name}{ending}.png")
    for name, query in ((tab, f"?tab={tab}") for tab in ("leaderboard", "demo", "submit")):
        with _page(browser, f"{address}{query}", PHONE) as page:
            _settled(page)
            _write(page, out / f"{name}-phone.png", whole=False)


def _write(page: Page, path: Path, whole: bool = True) -> None:
    """A picture of the whole page, or of what is seen of it, in 256 colours: a third of the size."""
    taken = Image.open(io.BytesIO(page.screenshot(full_page=whole))).convert("RGB")
    taken.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


def _prompted(page: Page) -> None:
    """A point in the head, and one outside it."""
    for x, y, keys in ((0.5, 0.4, []), (0.1, 0.9, ["Shift"])):
        canvas = page.locator(".canvas-prompts").first
        box = canvas.bounding_box() or {"width": 0, "height": 0}
        canvas.click(position={"x": x * box["width"], "y": y * box["height"]}, modifiers=keys)  # type: ignore[arg-type]
        page.get_by_text(f"{1 + bool(keys)} prompt").first.wait_for(timeout=_SECONDS)


def _two(page: Page) -> None:
    page.get_by_label("Second model, on the same prompts").click()
    page.get_by_role("option", name="grabcut").click()
    page.locator(".canvas-prompts").nth(1).wait_for(timeout=_SECONDS)
    page.wait_for_timeout(1000)
    _prompted(page)


def _volume(page: Page) -> None:
    page.get_by_label("My own").check()
    page.locator("input[type=file]").first.set_input_files(str(_VOLUME))
    page.get_by_label("coronal").check(timeout=_SECONDS)
    page.get_by_text("coronal slice").wait_for(timeout=_SECONDS)
    _prompted(page)


def _everything(page: Page) -> None:
    page.get_by_label("Everything").check()
    for name, value in (
        ("Points per side of the grid", "8"),
        ("Least predicted IoU of a mask", "0.2"),
        ("Least stability of a mask", "0.6"),
    ):
        page.get_by_label(f"number input for {name}").fill(value)
    page.get_by_role("button", name="Find everything").click()
    page.get_by_text(re.compile("masks? in")).wait_for(timeout=_SECONDS)


_JOURNEYS: dict[str, Callable[[Page], None]] = {
    "demo": _prompted,
    "demo-two-models": _two,
    "demo-volume": _volume,
    "demo-everything": _everything,
}


def _settled(page: Page) -> None:
    """Waits for the figure and the pictures that come after the page."""
    page.get_by_role("tab").first.wait_for(timeout=_SECONDS)
    page.wait_for_timeout(2500)
    page.wait_for_function("!document.querySelector('.board-drawing')", timeout=_SECONDS)
    page.wait_for_timeout(500)


@contextmanager
def _page(browser: Browser, address: str, size: tuple[int, int]) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(address)
    yield page
    page.close()


@contextmanager
def _served() -> Iterator[str]:
    """The app of this folder, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    child = subprocess.Popen([sys.executable, "-m", "app", "--port", str(port)])
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except (urllib.error.URLError, TimeoutError):
                time.sleep(0.1)
        yield address
    finally:
        child.terminate()
        child.wait(15)


if __name__ == "__main__":
    main()
