"""Submissions through the app and workers: whoever is killed, none is lost, and each is scored once."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from leaderboard.store.read import BoardReader
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.queue import Queue
from tests.app.platform import SOURCE, Platform, below, ended, finetuned, platform


def submitted(made: Platform, token: str, count: int) -> list[str]:
    """Sends so many checkpoints, all at once; returns their ids, one each."""

    def one(number: int) -> str:
        answer = made.submit(token, f"model-{number}", finetuned(made.folder, number))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(one, range(count)))
    assert len(set(found)) == count
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


def sharing(folder: Path, submissions: int, workers: int, kills: int, seconds: float, seed: int) -> None:
    """Workers share submissions; so many times app, worker or child is killed at a random moment.

    What does not start itself is started again.
    """
    random = Random(seed)
    with platform(folder) as made:
        app, token = made.app(), made.token(role="worker")
        names = [f"worker-{number}" for number in range(workers)]
        running = {name: made.worker(name, token) for name in names}
        ids = submitted(made, made.token(), submissions)
        for number in range(kills):
            # So that the kills are spread over all submissions.
            until_scored(made.queue, number * submissions // kills, seconds)
            time.sleep(random.uniform(0.2, 6))
            name = random.choice(names)
            what = random.choice(["app", "worker", *(["child"] if below(running[name]) else [])])
            if what == "app":
                ended(app)
                app = made.app()
            elif what == "worker":
                ended(running[name])
                running[name] = made.worker(name, token)
            else:
                for child in below(running[name])[:1]:
                    child.kill()
        check(made, made.until_final(seconds), ids)


def until_scored(queue: Queue, count: int, seconds: float) -> None:
    """Waits until so many submissions have scores."""
    end = time.monotonic() + seconds
    while sum(entry.state in ("scored", "published") for entry in queue.entries()) < count:
        assert time.monotonic() < end, f"fewer than {count} scored after {seconds} s"
        time.sleep(0.1)


def test_of_what_workers_share_no_kill_loses_anything(tmp_path: Path) -> None:
    sharing(tmp_path, submissions=2, workers=2, kills=3, seconds=300, seed=1)


@pytest.mark.slow
def test_of_what_four_workers_share_no_kill_loses_anything(tmp_path: Path) -> None:
    sharing(tmp_path, submissions=10, workers=4, kills=6, seconds=600, seed=1)


@pytest.mark.slow
def test_sixty_kills_over_forty_submissions_lose_nothing(tmp_path: Path) -> None:
    sharing(tmp_path, submissions=40, workers=1, kills=60, seconds=3000, seed=2)


@pytest.mark.slow
def test_four_workers_share_a_hundred_submissions(tmp_path: Path) -> None:
    sharing(tmp_path, submissions=100, workers=4, kills=0, seconds=3000, seed=3)
