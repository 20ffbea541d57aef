"""A desk without its work in the background, the API on it, and what one submits."""

import asyncio
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from fastapi import FastAPI
from safetensors import numpy as tensors
from starlette.testclient import TestClient
from starlette.types import Message, Receive

from app.api import PREFIX, build_api
from app.options import Options
from cosmos1050k.shards import Manifest
from cosmos1050k.units import MANIFEST
from leaderboard import weights
from leaderboard.demo.engine import Engine
from leaderboard.evaluate import BoardRows, EvaluateOptions, RunManifest, SourceRun
from leaderboard.score import SCORES_SCHEMA
from leaderboard.store.build import BoardOptions
from leaderboard.store.read import BoardReader
from leaderboard.submissions import terms
from leaderboard.submissions.declared import parsed
from leaderboard.submissions.desk import Desk
from leaderboard.submissions.order import Order
from leaderboard.submissions.terms import Limits, Terms
from leaderboard.submissions.tokens import Role

TERMS = Terms(
    sources={"sample": "abc", "toy": "def"},
    models=("box",),
    protocol_version=1,
    evaluate=EvaluateOptions(),
    board_rows=BoardRows(),
    board=BoardOptions(),
    device="cpu",
    numerics="float32",
)


@dataclass(frozen=True)
class Site:
    """A server, its desk, and the folder of its uploads."""

    api: FastAPI
    desk: Desk
    uploads: Path

    def token(self, name: str = "ann", role: Role = "submitter") -> dict[str, str]:
        """Headers with a new token."""
        return bearer(self.desk.tokens.create(name, role, 1))

    def submit(self, name: str = "mine", seed: int = 0) -> str:
        """Has the desk take a submission of ann's; returns its id."""
        upload = self.uploads / "sent"
        upload.write_bytes(decoder(seed))
        return self.desk.submit(parsed(json.dumps(declaration(name))), "ann", upload).entry.id

    def asking(self, headers: dict[str, str] | None = None) -> TestClient:
        return TestClient(
            self.api, base_url=f"http://test{PREFIX}/", headers=headers, raise_server_exceptions=False
        )


@contextmanager
def site(state: Path, uploads: Path, data: Path | None = None, **limits: Any) -> Iterator[Site]:
    """The API where the server mounts it, without Gradio; nothing goes on in the background.

    `data`: the built sources, if more than their versions is asked for.
    """
    terms.write(TERMS.model_copy(update={"limits": Limits(**limits)}), state)
    uploads.mkdir(exist_ok=True)
    desk = Desk(state, data or built(state.parent / "built"))
    try:
        yield Site(served(state, folders(uploads), desk), desk, uploads)
    finally:
        desk.close()


def built(data: Path) -> Path:
    """The manifests of the sources of `TERMS`, which are said to be built there."""
    none: dict[str, Any] = {
        "splits": {},
        "modalities": {},
        "objects": {},
        "pairs": {},
        "shards": (),
        "skipped": (),
    }
    counts = dict.fromkeys(("rows", "cases", "empty", "patients"), 0)
    for slug, version in TERMS.sources.items():
        manifest = Manifest(source=slug, phantom=False, version=version, **counts, **none)
        (data / slug).mkdir(parents=True, exist_ok=True)
        (data / slug / MANIFEST).write_text(manifest.model_dump_json())
    return data


def served(state: Path, folder: Callable[[], Path], desk: Desk | None) -> FastAPI:
    server = FastAPI(openapi_url=None)
    server.mount(PREFIX, unmounted(state, folder, desk))
    return server


def unmounted(state: Path, folder: Callable[[], Path], desk: Desk | None) -> FastAPI:
    return build_api(BoardReader(state), Engine(), Options(state=state), folder, desk)


def folders(below: Path) -> Callable[[], Path]:
    return lambda: Path(tempfile.mkdtemp(dir=below))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def declaration(name: str = "mine", **more: Any) -> dict[str, Any]:
    said = {"name": name, "architecture": "nano", "licence": "CC0", "contact": "ann@lab.org"}
    return {**said, "description": f"The model {name}.", **more}


def decoder(seed: int = 0) -> bytes:
    """A mask decoder for `sam_nano`, other weights for each seed."""
    found = tensors.load_file(weights.shipped("sam_nano"))
    own = {name: value for name, value in found.items() if name.startswith("mask_decoder.")}
    first = min(own)
    own[first] = own[first] + np.asarray(seed, own[first].dtype)
    return bytes(tensors.save(own))


def form(declared: dict[str, Any], file: bytes | None, name: str = "any name") -> dict[str, Any]:
    """What httpx is given to post a submission."""
    sent = {} if file is None else {"files": {"file": (name, file)}}
    return {"data": {"submission": json.dumps(declared)}, **sent}


def scored(order: Order) -> tuple[bytes, bytes]:
    """Scores on a source, none, and the manifest of such a run of all that was ordered."""
    run = RunManifest(
        protocol_version=order.protocol_version,
        declaration=order.record.declaration,
        strategies=order.evaluate.strategies,
        not_applicable={},
        rows=order.evaluate.rows,
        sources={
            slug: SourceRun(version=order.sources[slug], cases=0, scores=0, failures={}, failed_images=[])
            for slug in order.only
        },
        seconds=1.0,
        date="2025-01-01T00:00:00Z",
    )
    stream = io.BytesIO()
    pq.write_table(SCORES_SCHEMA.empty_table(), stream)
    return stream.getvalue(), run.model_dump_json().encode()


def refused(answer: Any, status: int, code: str) -> str:
    """The sentence of a refusal with a code."""
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert said.keys() == {"detail", "code"}
    assert said["code"] == code
    text = str(said["detail"])
    assert text.endswith(".")
    assert "\n" not in text
    return text


def asked(
    api: FastAPI,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    receive: Receive | None = None,
    root: str = "",
) -> tuple[int, dict[str, str], Any, int]:
    """Status, headers and JSON, and how many messages of the body were read before the answer."""
    said: list[Any] = []
    read = 0

    async def body() -> Message:
        nonlocal read
        read += 1
        return await receive() if receive else {"type": "http.request", "body": b"--x--", "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    given = {"content-type": "multipart/form-data; boundary=x", **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": f"{root}{PREFIX}/{path}",
        "root_path": root,
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("198.51.100.7", 1234),
    }
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, api(scope, body, send)).result()
    kept = {name.decode(): value.decode() for name, value in said[0]["headers"]}
    return said[0]["status"], kept, json.loads(said[1]["body"]), read
