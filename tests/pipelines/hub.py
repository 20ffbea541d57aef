"""A server on this machine that speaks the calls by which `huggingface_hub` 2.4 fills a repository.

It is stricter than need be: what arrives must have the sha256 it was announced with, an object is sent once,
a commit changes something and names its parent, and who has no token gets nothing.
"""

import hashlib
import json
import re
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

TOKEN = "hf_TestsOwnToken"
#: Larger uploads are sent in pieces of so many bytes.
PIECE = 6_000
#: Files that a page of a listing shows.
PAGE = 3


@dataclass(frozen=True)
class Stored:
    """A file of a commit; `large`: kept by its sha256."""

    content: bytes
    large: bool

    @property
    def oid(self) -> str:
        """As git names it; for a large file its sha256."""
        if self.large:
            return sha256(self.content)
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


@dataclass(frozen=True)
class Commit:
    oid: str
    files: dict[str, Stored]
    summary: str


@dataclass
class Repository:
    private: bool
    commits: list[Commit]
    tags: dict[str, str] = field(default_factory=dict)

    def at(self, revision: str) -> Commit | None:
        oid = self.commits[-1].oid if revision == "main" else self.tags.get(revision, revision)
        return next((commit for commit in self.commits if commit.oid == oid), None)

    def written(self, folder: Path, revision: str) -> Path:
        """Its files at a revision, as a copy has them."""
        found = self.at(revision)
        assert found is not None, revision
        for name, stored in found.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(stored.content)
        return folder


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    bytes: int


@dataclass
class Hub:
    """What the server holds and was asked, and what it is told to do wrong.

    `fault`: of what is asked, what is answered by an error 500, by a line that is cut, or by the token.
    `wrong`: what was asked that is not allowed.
    """

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    pieces: dict[str, dict[int, bytes]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    fault: Callable[[Asked], Literal["500", "cut", "echo"] | None] = lambda asked: None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def sent(self) -> list[Asked]:
        """What was asked that changes anything."""
        changing = re.compile(r"/repos/create|/lfs/|/commit/|/tag/")
        return [one for one in self.asked if changing.search(one.path) and one.method != "GET"]

    def commit(self, repository: Repository, files: dict[str, Stored], summary: str) -> Commit:
        made = Commit(
            hashlib.sha1(f"{id(repository)} {len(repository.commits)}".encode()).hexdigest(), files, summary
        )
        repository.commits.append(made)
        return made


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Answer(Exception):
    """How a request ends."""

    def __init__(self, status: int, body: Any = None, **headers: str) -> None:
        self.status, self.body, self.headers = status, body, headers


def _no_repository() -> _Answer:
    return _Answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes whole, not its head first
    server: "_Server"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        hub = self.server.hub
        body, url = self._body(), urlsplit(self.path)
        path, asked = unquote(url.path), Asked(self.command, unquote(url.path), len(body))
        with hub.lock:
            hub.asked.append(asked)
            fault = hub.fault(asked)
            if fault == "cut":
                self.close_connection = True
                return
            try:
                if fault == "500":
                    raise _Answer(500, {"error": "the disk is full"})
                if fault == "echo":
                    raise _Answer(403, {"error": f"no right: {self.headers['Authorization']}"})
                self._route(hub, path, {key: one[0] for key, one in parse_qs(url.query).items()}, body)
                raise AssertionError(f"{self.command} {path}: the server knows no such call")
            except _Answer as answer:
                self._answer(answer)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _answer(self, answer: _Answer) -> None:
        content = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _route(self, hub: Hub, path: str, query: dict[str, str], body: bytes) -> None:
        if match := re.fullmatch(r"/lfs/(\w+)(?:/(\d+|done))?", path):
            # Signed addresses: they are asked without a token.
            self._take(hub, match[1], match[2], body, query)
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            raise _Answer(
                401,
                {"error": "Invalid credentials"},
                X_Error_Message="Invalid credentials in Authorization header",
            )
        if path == "/api/validate-yaml":
            yaml.safe_load(json.loads(body)["content"].split("---\n")[1])
            raise _Answer(200, {"warnings": [], "errors": []})
        if path == "/api/repos/create":
            self._create(hub, json.loads(body))
        if match := re.fullmatch(r"/datasets/(.+/.+)\.git/info/lfs/objects/batch", path):
            self._batch(hub, json.loads(body))
        match = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(?:/(\w+)(?:/(.+))?)?", path)
        assert match, path
        repository = hub.repositories.get(match[1])
        if repository is None:
            raise _no_repository()
        self._of_repository(hub, match[1], repository, match[2], match[3], query, body)

    def _of_repository(
        self,
        hub: Hub,
        name: str,
        repository: Repository,
        verb: str,
        revision: str,
        query: dict[str, str],
        body: bytes,
    ) -> None:
        if verb is None:
            raise _Answer(200, {"id": name, "private": repository.private, "sha": repository.commits[-1].oid})
        if verb == "refs":
            tags = [
                {"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": oid}
                for tag, oid in repository.tags.items()
            ]
            main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repository.commits[-1].oid}
            raise _Answer(200, {"branches": [main], "converts": [], "tags": tags})
        commit = repository.at(revision)
        if commit is None:
            raise _Answer(404, {"error": "no such revision"}, X_Error_Code="RevisionNotFound")
        if verb == "tree":
            self._tree(hub, name, revision, commit, int(query.get("cursor", 0)))
        if verb == "preupload":
            self._preupload(commit, json.loads(body))
        if verb == "commit":
            self._commit(hub, name, repository, [json.loads(line) for line in body.splitlines()])
        if verb == "tag":
            tag = json.loads(body)["tag"]
            if tag in repository.tags:
                raise _Answer(409, {"error": "the tag is there"})
            repository.tags[tag] = commit.oid
            raise _Answer(200, {})

    def _create(self, hub: Hub, given: dict[str, Any]) -> None:
        assert given["type"] == "dataset"
        name = f"{given['organization']}/{given['name']}"
        if name in hub.repositories:
            raise _Answer(409, {"error": "You already created this dataset repo"})
        made = Repository(private=given.get("visibility") == "private", commits=[])
        hub.commit(made, {".gitattributes": Stored(b"*.parquet filter=lfs\n", large=False)}, "initial commit")
        hub.repositories[name] = made
        raise _Answer(200, {"url": f"{hub.address}/datasets/{name}", "id": name})

    def _tree(self, hub: Hub, name: str, revision: str, commit: Commit, start: int) -> None:
        entries = [
            {"type": "file", "path": path, "size": len(stored.content), "oid": stored.oid}
            | (
                {"lfs": {"oid": stored.oid, "size": len(stored.content), "pointerSize": 130}}
                if stored.large
                else {}
            )
            for path, stored in sorted(commit.files.items())
        ]
        more = {}
        if start + PAGE < len(entries):
            address = (
                f"{hub.address}/api/datasets/{name}/tree/{revision}?recursive=True&cursor={start + PAGE}"
            )
            more["Link"] = f'<{address}>; rel="next"'
        raise _Answer(200, entries[start : start + PAGE], **more)

    def _preupload(self, commit: Commit, given: dict[str, Any]) -> None:
        found = []
        for file in given["files"]:
            there = commit.files.get(file["path"])
            large = file["path"].endswith(".parquet") or file["size"] > 10_000_000
            mode = {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
            found.append(mode | ({"oid": there.oid} if there else {}))
        raise _Answer(200, {"files": found})

    def _batch(self, hub: Hub, given: dict[str, Any]) -> None:
        assert given["operation"] == "upload"
        found = []
        for wanted in given["objects"]:
            oid, size = wanted["oid"], wanted["size"]
            if oid in hub.objects:
                found.append({"oid": oid, "size": size})
                continue
            here = f"{hub.address}/lfs/{oid}"
            upload: dict[str, Any] = {"href": f"{here}?signed=secret"}
            if size > PIECE:
                pieces = range(1, -(-size // PIECE) + 1)
                header = {
                    "chunk_size": str(PIECE),
                    **{f"{number}": f"{here}/{number}?signed=secret" for number in pieces},
                }
                upload = {"href": f"{here}/done?signed=secret", "header": header}
            found.append({"oid": oid, "size": size, "actions": {"upload": upload}})
        raise _Answer(200, {"transfer": "basic", "objects": found})

    def _take(self, hub: Hub, oid: str, part: str | None, body: bytes, query: dict[str, str]) -> None:
        assert query == {"signed": "secret"}
        assert oid not in hub.objects, f"{oid} is sent twice"
        if part is None or part == "done":
            content = body
            if part == "done":
                numbers = [one["partNumber"] for one in json.loads(body)["parts"]]
                content = b"".join(hub.pieces[oid][number] for number in numbers)
            if sha256(content) != oid:
                raise _Answer(400, {"error": "what arrived is not what was announced"})
            hub.objects[oid] = content
            raise _Answer(200, {})
        hub.pieces.setdefault(oid, {})[int(part)] = body
        raise _Answer(200, None, ETag=f'"{part}"')

    def _commit(self, hub: Hub, name: str, repository: Repository, lines: list[dict[str, Any]]) -> None:
        header, before = lines[0]["value"], repository.commits[-1]
        if header.get("parentCommit") != before.oid:
            raise _Answer(412, {"error": "a commit has happened since"})
        files = dict(before.files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = Stored(b64decode(value["content"]), large=False)
            elif line["key"] == "lfsFile":
                files[value["path"]] = Stored(hub.objects[value["oid"]], large=True)
            else:
                assert line["key"] == "deletedFile"
                del files[value["path"]]
        assert files != before.files, "an empty commit"
        made = hub.commit(repository, files, header["summary"])
        raise _Answer(
            200, {"commitUrl": f"{hub.address}/datasets/{name}/commit/{made.oid}", "commitOid": made.oid}
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The line is cut: of a client that was killed, or that did what this server does not allow."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self.hub.wrong.append(repr(error))


def reached(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes it the Hub of this process, with a token that it takes; the client waits for nothing."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: None, time=time.time))
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@contextmanager
def running() -> Iterator[Hub]:
    """A hub, at its address until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = Hub(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
