"""How the app is started: as a module, as a Space does it, on a port that is taken, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from fastapi.testclient import TestClient
from PIL import Image

from app import options
from app.__main__ import bound
from app.options import READ_ONLY, Options, for_space, host_and_port
from app.server import build_server
from cosmos1050k.errors import InputError
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from leaderboard.submissions import terms
from leaderboard.submissions.declared import parsed
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.states import State
from leaderboard.submissions.terms import Limits
from tests.app.boards import Made
from tests.app.conftest import _wait, free_port
from tests.app.submitting import TERMS, declaration
from tests.conftest import ROOT

SPACE = ROOT / "app/space"
#: What the queue keeps of weights that were found right.
CHECKED: dict[str, Any] = {
    **dict.fromkeys(("weights_sha256", "tensors_sha256", "file_sha256"), "a" * 64),
    "part": "mask_decoder",
    "bytes": 1,
}
ON_BOARD: tuple[State, ...] = ("queued", "running", "scored", "published")


@contextmanager
def started(command: list[str], port: int, log: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("w") as output:
        child = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env={**os.environ, **environ}, stdout=output, stderr=output
        )
        try:
            _wait(f"http://127.0.0.1:{port}/", child, log)
            yield child
        finally:
            child.kill()
            child.wait(10)


def test_a_space_runs_the_file(sample_state: Path, tmp_path: Path) -> None:
    """It listens where the Space's proxy asks, shows the board and its notice, and ends without a trace."""
    port, log = free_port(), tmp_path / "log.txt"
    command = ["app/__main__.py", "--state", str(sample_state)]
    with started(command, port, log, SPACE_ID="me/cosmos", GRADIO_SERVER_PORT=str(port)) as child:
        address = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{address}/api/v1/board") as answer:
            assert json.load(answer)["rows"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        with urllib.request.urlopen(f"{address}/config") as answer:
            assert READ_ONLY in json.dumps(json.load(answer))
        assert f"COSMOS 1050K at http://0.0.0.0:{port}/" in log.read_text()
        with urllib.request.urlopen(f"{address}/gradio_api/heartbeat/page") as stream:  # as an open page has
            assert stream.readline() == b"data: ALIVE\n"
            child.send_signal(signal.SIGINT)
            assert child.wait(15) == 0
    assert len(log.read_text().splitlines()) == 1, log.read_text()


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "app", "--port", str(port)], cwd=ROOT, capture_output=True, text=True
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"python -m app: error: can't listen on 127.0.0.1:{port}; give another --host or --port"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 70000), ("127.0.0.1", -4), ("a..b", 80), ("nowhere.invalid", 80)]
)
def test_what_is_no_address_is_refused(host: str, port: int) -> None:
    with pytest.raises(InputError, match=f"can't listen on {host}:{port}; give another"):
        bound(host, port)


def test_a_space_without_storage_is_read_only(tmp_path: Path) -> None:
    given = Options(state=tmp_path)
    assert for_space(given, tmp_path / "none") == replace(given, read_only=True, notice=READ_ONLY)


def test_a_space_keeps_its_boards_in_its_storage(sample: Made, larger: Made, tmp_path: Path) -> None:
    """The board that came with its files is the first one there, and takes no other's place."""
    shipped, storage = tmp_path / "shipped", tmp_path / "storage"
    storage.mkdir()
    publish(sample.path, shipped)
    found = for_space(Options(state=shipped), storage)
    assert (found.state, found.read_only, found.notice) == (storage / "state", False, "")
    assert BoardReader(found.state).board()["build_id"] == sample.build_id
    publish(larger.path, found.state)
    assert for_space(Options(state=shipped), storage) == found
    assert BoardReader(found.state).board()["build_id"] == larger.build_id


def test_a_space_follows_the_terms_that_came_with_its_files(
    sample: Made, larger: Made, tmp_path: Path
) -> None:
    shipped, storage = tmp_path / "shipped", tmp_path / "storage"
    state = storage / "state"
    storage.mkdir()
    publish(sample.path, shipped)
    terms.write(TERMS, shipped)
    for_space(Options(state=shipped), storage)
    assert terms.read(state) == TERMS
    # A board that was made in the storage, of the same terms, stays.
    publish(larger.path, state)
    queue = Queue(state)
    submission = queue.add(parsed(json.dumps(declaration())), "ann", TERMS.key, TERMS.limits, CHECKED)[0].id
    for_space(Options(state=shipped), storage)
    assert BoardReader(state).board()["build_id"] == larger.build_id
    changed = TERMS.model_copy(update={"limits": Limits(weekly_quota=3)})
    terms.write(changed, shipped)
    for_space(Options(state=shipped), storage)
    assert BoardReader(state).board()["build_id"] == sample.build_id
    assert terms.read(state) == changed
    assert not queue.board_wanted()
    # What is on the board here comes back onto the one that came.
    for source, target in pairwise(ON_BOARD):
        assert queue.move(submission, source, target, "app")
    terms.write(TERMS, shipped)
    for_space(Options(state=shipped), storage)
    assert queue.board_wanted()
    # Damaged ones are told of, and what is there stays.
    (shipped / terms.TERMS).write_text("{")
    with pytest.raises(InputError, match="damaged"):
        for_space(Options(state=shipped), storage)
    assert terms.read(state) == TERMS


@pytest.mark.slow
def test_in_a_space_one_signs_in(sample_state: Path) -> None:
    """With what a Space sets where its `README.md` says `hf_oauth: true`."""
    given = {"OAUTH_CLIENT_ID": "id", "OAUTH_CLIENT_SECRET": "secret", "OAUTH_SCOPES": "openid profile"}
    given |= {"SYSTEM": "spaces", "SPACE_ID": "me/it", "SPACE_HOST": "me-it.hf.space"}
    given |= {"OPENID_PROVIDER_URL": "https://huggingface.co"}
    ask = """
import sys, pathlib
from starlette.testclient import TestClient
from app.options import Options
from app.server import build_server
client = TestClient(build_server(Options(state=pathlib.Path(sys.argv[1]))))
print(client.get("/config").text.count('"value":"Sign in with Hugging Face"'))
"""
    done = subprocess.run(
        [sys.executable, "-c", ask, str(sample_state)],
        env={**os.environ, **given}, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1"]


def test_where_it_listens() -> None:
    assert host_and_port({}) == ("127.0.0.1", 7860)
    assert host_and_port({"GRADIO_SERVER_PORT": "80"}) == ("127.0.0.1", 7860)
    assert host_and_port({"SPACE_ID": "me/it"}) == ("0.0.0.0", 7860)
    assert host_and_port({"SPACE_ID": "me/it", "GRADIO_SERVER_PORT": "80"}) == ("0.0.0.0", 80)
    with pytest.raises(InputError, match="GRADIO_SERVER_PORT is 'x'"):
        host_and_port({"SPACE_ID": "me/it", "GRADIO_SERVER_PORT": "x"})


def test_the_space_is_described_as_the_project_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (SPACE / "requirements.txt").read_text().splitlines() == project["dependencies"]
    header = yaml.safe_load((SPACE / "README.md").read_text().split("---")[1])
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if ";" not in line
    )
    assert header["sdk_version"] == pins["gradio"]
    assert header["license"] == project["license"].lower()
    assert f">={header['python_version']}" == project["requires-python"]
    assert (ROOT / header["app_file"]).samefile(options.__file__.replace("options", "__main__"))
    assert len(header["short_description"]) <= 60  # the Hub takes no more


def test_a_file_that_was_not_uploaded_is_not_opened(sample_state: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "secret.png")
    with TestClient(build_server(Options(state=sample_state, data=tmp_path))) as client:
        config = client.get("/config").json()
        files = [part["id"] for part in config["components"] if part["type"] == "file"]
        takes = [[number, "upload"] for number in files]
        (event,) = (d["id"] for d in config["dependencies"] if any(one in d["targets"] for one in takes))
        given = [{"path": str(tmp_path / "secret.png"), "meta": {"_type": "gradio.FileData"}}]
        asked = {"data": [given], "fn_index": event, "session_hash": "stranger"}
        told = client.post("/gradio_api/run/predict", json=asked)
        assert told.status_code >= 400
        assert "data:image" not in told.text
    assert (tmp_path / "secret.png").exists()


def test_a_page_of_another_site_may_neither_change_nor_read(sample_state: Path, tmp_path: Path) -> None:
    """A browser would send what says who signed in."""
    with TestClient(build_server(Options(state=sample_state, data=tmp_path))) as client:
        foreign, own = {"Origin": "https://evil.example"}, {"Origin": "http://testserver"}
        for path in (
            "/gradio_api/queue/join",
            "/gradio_api/run/predict",
            "/gradio_api/upload",
            "/api/v1/prompt",
        ):
            assert client.post(path, headers=foreign).status_code == 403
            assert client.options(path, headers=foreign).status_code == 403
            assert client.post(path, headers=own).status_code != 403
        for headers in (foreign, own):
            answer = client.get("/config", headers=headers)
            assert answer.status_code == 200
            allowed = [name for name in answer.headers if name.startswith("access-control-")]
            assert not (headers is foreign and allowed)


def test_nothing_is_kept_of_a_page_that_was_closed(sample_state: Path, tmp_path: Path) -> None:
    server = build_server(Options(state=sample_state, data=tmp_path))
    queue = server.routes[-1].app.get_blocks()._queue  # type: ignore[attr-defined]
    kept = (queue.pending_messages_per_session, queue.pending_event_ids_session, queue.event_ids_to_events)
    with TestClient(server) as client:
        events = client.get("/config").json()["dependencies"]
        queued = next(one for one in events if one["api_name"].startswith("encode"))  # nothing is open
        closing = [one["id"] for one in events if any(name == "unload" for _, name in one["targets"])]
        for page in ("left", "stays"):
            asked = {"data": [], "fn_index": queued["id"], "session_hash": page}
            assert client.post("/gradio_api/queue/join", json=asked).status_code == 200
            answer = client.get(f"/gradio_api/queue/data?session_hash={page}")
            assert '"msg":"process_completed"' in answer.text
        for event in closing:  # what a browser's leaving calls
            asked = {"data": [], "fn_index": event, "session_hash": "left"}
            assert client.post("/gradio_api/run/predict", json=asked).status_code == 200
        assert [list(one) for one in kept] == [["stays"], ["stays"], []]
    assert queue.cached_event_analytics_summary == {"functions": {}}  # nor is counted what nobody asks for
