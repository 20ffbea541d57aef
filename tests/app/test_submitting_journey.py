"""A checkpoint's whole way in a browser; its scores are those of `cosmos evaluate`."""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from tests.app.platform import SOURCE, Platform, finetuned, platform
from tests.app.test_submit_journey import choose_file, field, fill, form, submit


@pytest.mark.browser
def test_a_checkpoint_reaches_the_board(tmp_path: Path, page: Page) -> None:
    """From the form to its rank; its scores are, row for row, those of `cosmos evaluate`."""
    with platform(tmp_path, patients=3) as made:
        app, file = made.app("--workers", "1"), finetuned(tmp_path, 1)
        page.goto(f"{made.address}/?tab=submit")
        fill(page, "Token", made.token())
        field(page, "Token").press("Enter")
        for label, text in (("Name", "ours"), ("Licence", "CC0"), ("Contact", "ann@lab.org")):
            fill(page, label, text)
        form(page).get_by_label("Architecture").click()
        page.get_by_role("option", name="SAM nano").click()
        choose_file(page, file)
        submit(page)
        expect(page.get_by_role("status").filter(has_text="Received as")).to_be_visible()
        expect(page.locator(".submit-state")).to_contain_text("Running", timeout=60_000)
        expect(page.locator(".submit-state")).to_contain_text("Published", timeout=240_000)
        page.goto(made.address)
        row = page.locator("tr", has_text="ours")
        expect(row).to_contain_text("submitted")
        expect(row.locator("td, th").first).to_have_text(re.compile("^[12]$"))
        (folder,) = (made.state / "scores").glob("*/[!.]*")
        _equal(made, file, pq.read_table(folder / f"{SOURCE}.parquet"))
        app.terminate()  # so that it ends its worker
        app.wait(30)


def _equal(made: Platform, file: Path, theirs: pa.Table) -> None:
    by_hand = made.folder / "by-hand"
    command = ["evaluate", "--weights", str(file), "--architecture", "nano", "--name", "ours"]
    command += ["--data", str(made.data), "--strategies", "S2,S5,S6", "--out", str(by_hand)]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ours = pq.read_table(by_hand / f"{SOURCE}.parquet")
    assert ours.num_rows == 3 * 2 * 3
    assert theirs.equals(ours)
