"""What strangers send to the app itself: every file is refused with a code, and the app stays as it was."""

import itertools
import json
import socket
from pathlib import Path

import psutil
import pytest

from leaderboard.submissions.refusals import CODES
from tests.app.platform import Platform, finetuned, platform
from tests.leaderboard.submissions.hostile import canary, hostile

#: Of the app's process above what it had when nobody had sent anything.
_MOST_MEMORY = 300_000_000
#: So many of one identity that it does not send too often.
_OF_ONE = 50


def refusing(folder: Path, count: int) -> None:
    with platform(folder) as made:
        app = made.app()
        idle = psutil.Process(app.pid).memory_info().rss
        sent = folder / "sent"
        sent.mkdir()
        tokens = [made.token(f"stranger-{number}") for number in range(count // _OF_ONE + 1)]
        for number, one in enumerate(hostile(sent, count)):
            answer = made.submit(tokens[number // _OF_ONE], f"model-{number}", one.path)
            assert answer.status_code in (413, 422), f"{one.what}: {answer.text}"
            assert answer.json()["code"] in CODES, f"{one.what}: {answer.text}"
            one.path.unlink()
        _cut_off(made, tokens[0])
        assert app.poll() is None
        assert psutil.Process(app.pid).memory_info().rss - idle < _MOST_MEMORY
        assert not canary(sent).exists()
        assert not made.queue.entries()
        left = [path for name in ("weights", "incoming") for path in (made.state / name).glob("*")]
        assert not left
        good = made.submit(made.token(), "good", finetuned(folder, 0))
        assert good.status_code == 201, good.text
        assert "Traceback" not in made.log("app")


def _cut_off(made: Platform, token: str) -> None:
    """Uploads that end before they are whole: within the form's head, its declaration, and its file."""
    said = json.dumps({"name": "cut", "architecture": "nano", "licence": "MIT", "contact": "x"})
    parts = [
        '--b\r\nContent-Disposition: form-data; name="submission"\r\n\r\n',
        f'{said}\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="../../../etc/x"\r\n\r\n',
        "\0" * 100_000,
    ]
    head = (
        "POST /api/v1/submissions HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    for body in itertools.accumulate(parts):
        with socket.create_connection(("127.0.0.1", made.port), timeout=20) as line:
            line.sendall((head + body).encode())


def test_hostile_files_leave_the_app_as_it_was(tmp_path: Path) -> None:
    refusing(tmp_path, 50)


@pytest.mark.slow
def test_five_hundred_hostile_files_leave_the_app_as_it_was(tmp_path: Path) -> None:
    refusing(tmp_path, 500)
