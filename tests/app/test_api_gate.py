"""How uploads come: what is too large, too slow or broken off ends, of large ones few are read at once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.types import Message, Receive

from app.api import PREFIX
from app.api_gate import SMALL, Gate, Large
from leaderboard.submissions.tokens import Identity
from tests.app.submitting import Site, asked, site


async def endless() -> Message:
    return {"type": "http.request", "body": bytes(100_000), "more_body": True}


def test_an_upload_ends_where_it_is_too_large(tmp_path: Path) -> None:
    with site(tmp_path / "state", tmp_path / "uploads", max_upload_mb=1) as ours:
        status, _, answer, read = asked(ours.api, "POST", "submissions", ours.token(), whole_form())
        assert (status, answer["code"]) == (413, "too-large")
        assert "at most 2,000,000 bytes" in answer["detail"]
        assert read <= 22
        told = ours.token() | {"content-length": "2000001"}
        assert asked(ours.api, "POST", "submissions", told)[::3] == (413, 0)
        assert list(ours.uploads.iterdir()) == []


def whole_form() -> Receive:
    """An upload that begins well and never ends."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    first = iter([head])

    async def receive() -> Message:
        begun = next(first, None)
        return (
            await endless() if begun is None else {"type": "http.request", "body": begun, "more_body": True}
        )

    return receive


def test_an_upload_that_breaks_off_leaves_nothing(ours: Site) -> None:
    messages = iter(
        [{"type": "http.request", "body": b"--x\r\n", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Message:
        return dict(next(messages))

    status, _, answer, _ = asked(ours.api, "POST", "submissions", ours.token(), receive)
    assert (status, answer["code"]) == (400, "form")
    assert list(ours.uploads.iterdir()) == []
    assert ours.desk.queue.entries() == []


def gated(**how: Any) -> FastAPI:
    """A server that says how large what it gets is, behind a gate; who asks stands in a header."""
    api = FastAPI()

    @api.post(f"{PREFIX}/submissions")
    async def length(request: Request) -> int:
        return len(await request.body())

    api.add_middleware(Gate, most_bytes=10**8, **how)

    @api.middleware("http")
    async def named(request: Request, call_next: Any) -> Any:
        request.state.identity = Identity(request.headers.get("name", ""), "submitter", "")
        return await call_next(request)

    return api


def test_an_upload_that_creeps_ends() -> None:
    async def creeping() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"a", "more_body": True}

    status, _, answer, _ = asked(gated(grace_s=0.2), "POST", "submissions", receive=creeping)
    assert status == 408
    assert answer["detail"].startswith("Less than 10,000 bytes came a second")
    # At that rate or above one may be as long as one likes.
    left = iter(range(20))

    async def walking() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": bytes(100_000), "more_body": next(left, None) is not None}

    assert asked(gated(grace_s=0.2), "POST", "submissions", receive=walking)[0] == 200


def test_of_large_uploads_few_are_read_at_once_and_the_others_wait() -> None:
    """Two places, one for each identity: whoever waits is not read, and gets its answer in the end."""
    api, reading = gated(at_once=99, large=Large(at_once=2, of_one=1)), set[str]()
    most: dict[str, int] = {}

    async def posted(who: str, number: int, size: int) -> int:
        said: list[Any] = []
        left = iter([True, True, False])

        async def receive() -> Message:
            reading.add(f"{who}{number}")
            most[""] = max(most.get("", 0), len(reading))
            most[who] = max(most.get(who, 0), sum(name.startswith(who) for name in reading))
            await asyncio.sleep(0.01)
            return {"type": "http.request", "body": b"a", "more_body": next(left)}

        async def send(message: Message) -> None:
            reading.discard(f"{who}{number}")
            said.append(message)

        headers = [(b"content-length", str(size).encode()), (b"name", who.encode())]
        scope = {"type": "http", "method": "POST", "path": f"{PREFIX}/submissions", "query_string": b""}
        await api({**scope, "headers": headers}, receive, send)
        return int(said[0]["status"])

    async def scenario(size: int) -> list[int]:
        most.clear()
        return list(await asyncio.gather(*(posted(who, n, size) for who in "abc" for n in range(4))))

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, scenario(SMALL + 1)).result() == [200] * 12
        assert most == {"": 2, "a": 1, "b": 1, "c": 1}
        assert thread.submit(asyncio.run, scenario(SMALL)).result() == [200] * 12
        assert most[""] == 12
