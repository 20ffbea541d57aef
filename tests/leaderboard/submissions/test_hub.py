"""Weights of the Hub: pinned at once, fetched and checked later, from a server that speaks for the Hub."""

import json
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from cosmos1050k.fetch.download import Downloader, Patience
from leaderboard.submissions import hub
from leaderboard.submissions.declared import Declared, HubWeights
from leaderboard.submissions.desk import Desk
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.hub import pinned
from leaderboard.submissions.refusals import Refused
from tests.app.submitting import declaration, decoder, site

COMMIT = "c0ffee" + "0" * 34


class _Hub(BaseHTTPRequestHandler):
    """Two calls of the Hub: what a repository holds, and a file of it."""

    files: dict[str, bytes]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/api/models/org/name/revision/v1":
            siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
            told = {"id": "org/name", "sha": COMMIT, "siblings": siblings}
            self._send(200, json.dumps(told).encode(), "application/json")
        elif path.startswith(f"/org/name/resolve/{COMMIT}/"):
            self._send(200, self.files[path.rpartition("/")[2]], "application/octet-stream")
        else:
            self._send(404, b'{"error": "Repository not found"}', "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """What the repository org/name holds."""
    found: dict[str, bytes] = {}
    handler = type("Hub", (_Hub,), {"files": found})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield found
        server.shutdown()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with site(tmp_path / "state", tmp_path / "uploads") as made:
        yield made.desk


def sent(desk: Desk, **weights: Any) -> Entry:
    said = {"repo": "org/name", "revision": "v1", **weights}
    declared = Declared.model_validate(declaration(weights=said))
    return desk.submit(declared, "ann", None).entry


def test_a_repository_is_pinned_and_then_fetched(desk: Desk, files: dict[str, bytes]) -> None:
    files["model.safetensors"] = decoder()
    entry = sent(desk)
    assert entry.state == "received"
    assert entry.declared.weights == HubWeights(repo="org/name", revision=COMMIT, file="model.safetensors")
    desk._keeper.check()
    found = desk.queue.get(entry.id)
    assert (found.state, found.part, found.bytes) == ("queued", "mask_decoder", len(decoder()))
    assert [(e.source, e.target) for e in desk.queue.events(entry.id)] == [
        (None, "received"), ("received", "validating"), ("validating", "queued"),
    ]  # fmt: skip


def test_a_file_of_the_hub_that_is_wrong_is_refused_later(desk: Desk, files: dict[str, bytes]) -> None:
    files["model.safetensors"] = b"PK\x03\x04" + b"0" * 100
    entry = sent(desk)
    desk._keeper.check()
    found = desk.queue.get(entry.id)
    assert (found.state, found.reason) == ("rejected", "pickle")
    assert not list((desk.queue.path.parent / "weights").glob("*"))
    assert not list((desk.queue.path.parent / "incoming").glob("*"))


def test_the_same_weights_of_the_hub_lead_to_the_first(
    desk: Desk, files: dict[str, bytes], tmp_path: Path
) -> None:
    files["model.safetensors"] = decoder()
    first = sent(desk)
    desk._keeper.check()
    (upload := tmp_path / "upload").write_bytes(decoder())
    again = desk.submit(Declared.model_validate(declaration()), "bob", upload)
    assert (again.entry.id, again.already) == (first.id, True)


def test_a_server_that_was_killed_while_it_checked_checks_again(desk: Desk, files: dict[str, bytes]) -> None:
    files["model.safetensors"] = decoder()
    entry = sent(desk)
    desk.queue.move(entry.id, "received", "validating", "app", expires=desk.queue.clock() + 1000)
    desk.queue.recover(desk.terms().limits)
    desk._keeper.check()
    assert desk.queue.get(entry.id).state == "queued"


def test_a_hub_that_is_away_is_told_at_once_and_tried_again_later(
    desk: Desk, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    files["model.safetensors"] = decoder()
    entry = sent(desk)
    del files["model.safetensors"]  # the handler breaks off
    monkeypatch.setattr(hub, "Downloader", partial(Downloader, patience=Patience(tries=1, backoff_s=0)))
    desk._keeper.check()
    found = desk.queue.get(entry.id)
    assert (found.state, found.reason, found.retries) == ("received", "hub", 1)
    desk._keeper.check()  # not before its pause is over
    assert desk.queue.get(entry.id).retries == 1
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(Refused, match="can't be had from the Hub"):
        pinned(HubWeights(repo="org/name"), 50)


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"repo": "org/none"}, "hub", "can't be had"),
        ({"revision": "v2"}, "hub", "can't be had"),
        ({"file": "other.safetensors"}, "hub", "no 'other.safetensors' there"),
        ({}, "hub", "say which file"),
        ({"file": "large.safetensors"}, "too-large", "at most 50 are taken"),
    ],
)
def test_what_the_hub_does_not_have(
    files: dict[str, bytes], given: dict[str, str], code: str, words: str
) -> None:
    files |= {"small.safetensors": b"1", "large.safetensors": b"1" * 100, "README.md": b""}
    with pytest.raises(Refused, match=words) as error:
        pinned(HubWeights(**{"repo": "org/name", "revision": "v1", **given}), 50)
    assert error.value.code == code
    assert "\n" not in str(error.value)
