"""Submissions through the app and workers, whoever is killed; scores as `cosmos evaluate` gives them."""

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from leaderboard.store.read import BoardReader
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.queue import Queue
from tests.app.platform import SOURCE, Platform, below, ended, finetuned, platform
from tests.app.test_submit_journey import choose_file, field, fill, form, submit


def submitted(made: Platform, token: str, numbers: range, at_once: int = 4) -> list[str]:
    """Sends so many checkpoints, some at once; returns their ids, one each."""

    def one(number: int) -> str:
        answer = made.submit(token, f"model-{number}", finetuned(made.folder, number))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    with ThreadPoolExecutor(at_once) as pool:
        found = list(pool.map(one, numbers))
    assert len(set(found)) == len(numbers)
    return found


def check(made: Platform, entries: list[Entry], ids: list[str]) -> None:
    """None lost, none stuck, each scored exactly once, and on the board."""
    assert sorted(entry.id for entry in entries) == sorted(ids)
    assert {entry.state for entry in entries} == {"published"}, [(e.name, e.message) for e in entries]
    for entry in entries:
        ways = [(event.source, event.target) for event in made.queue.events(entry.id)]
        assert ways.count(("running", "scored")) == 1, ways
        assert ways.count(("scored", "published")) == 1, ways
        folder = made.state / "scores" / str(entry.weights_sha256) / f"1-cpu-float32-{entry.id}"
        assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", f"{SOURCE}.parquet"]
    names = {model["name"] for model in BoardReader(made.state).models()}
    assert names == {"box", *(entry.name for entry in entries)}
    assert not list((made.state / "staging").iterdir())


def killing(folder: Path, submissions: int, workers: int, kills: int, seconds: float, seed: int) -> None:
    """Kills app, workers and children at random moments, and starts again what does not start itself."""
    random = Random(seed)
    with platform(folder) as made:
        app, token = made.app(), made.token(role="worker")
        names = [f"worker-{number}" for number in range(workers)]
        running = {name: made.worker(name, token) for name in names}
        ids = submitted(made, made.token(), range(submissions))
        killed = dict.fromkeys(("app", "worker", "child"), 0)
        while sum(killed.values()) < kills and not _all_published(made.queue):
            time.sleep(random.uniform(0.2, 6))
            what, name = random.choice([*killed]), random.choice(names)
            if what == "app":
                ended(app)
                app = made.app()
            elif what == "worker":
                ended(running[name])
                running[name] = made.worker(name, token)
            elif children := below(running[name]):
                random.choice(children).kill()
            else:
                continue
            killed[what] += 1
        assert sum(killed.values()) >= kills / 2, killed
        check(made, made.until_final(seconds), ids)


def _all_published(queue: Queue) -> bool:
    return all(entry.state == "published" for entry in queue.entries())


def test_of_what_four_workers_share_no_kill_loses_anything(tmp_path: Path) -> None:
    killing(tmp_path, submissions=10, workers=4, kills=6, seconds=300, seed=1)


@pytest.mark.slow
def test_sixty_kills_over_forty_submissions_lose_nothing(tmp_path: Path) -> None:
    killing(tmp_path, submissions=40, workers=1, kills=60, seconds=3000, seed=2)


@pytest.mark.slow
def test_four_workers_share_a_hundred_submissions(tmp_path: Path) -> None:
    killing(tmp_path, submissions=100, workers=4, kills=0, seconds=3000, seed=3)


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
    command = ["evaluate", "--weights", str(file), "--arch", "nano", "--name", "ours"]
    command += ["--data", str(made.data), "--strategies", "S2,S5,S6", "--out", str(by_hand)]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ours = pq.read_table(by_hand / f"{SOURCE}.parquet")
    assert ours.num_rows == 3 * 2 * 3
    assert theirs.equals(ours)
