"""How uploads come: what is too large, too slow or broken off ends, of large ones few are read at once."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Receive

from app.api import PREFIX
from app.api_gate import SMALL, Gate, Shares
from app.api_identity import SUBMITTED
from app.page_uploads import PageUploads
from leaderboard.submissions.tokens import Identity
from tests.app.submitting import Site, asked, declaration, decoder, form, site


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
    api, reading = gated(at_once=99, shares=Shares(large=2, large_of_one=1)), set[str]()
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


async def sent(api: FastAPI, path: str, headers: dict[str, str], body: bytes | None = b"") -> tuple[int, Any]:
    """Posts; the status and the headers of the answer. A body that is None never comes."""
    said: list[Any] = []

    async def receive() -> Message:
        if body is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    given = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"{PREFIX}/{path}",
        "query_string": b"",
        "root_path": "",
    }
    await api({**scope, "headers": given, "client": ("198.51.100.7", 1)}, receive, send)
    return said[0]["status"], {name.decode(): value.decode() for name, value in said[0]["headers"]}


@asynccontextmanager
async def hanging(api: FastAPI, count: int, refused: int, *who: dict[str, str]) -> AsyncIterator[None]:
    """So many uploads of each that send nothing, once so many in all were told to come again."""
    over, all_over = 0, asyncio.Event()

    async def one(headers: dict[str, str]) -> None:
        nonlocal over
        status, answer = await sent(api, "submissions", headers, None)
        assert (status, answer["retry-after"].isdecimal()) == (429, True)
        over += 1
        if over == refused:
            all_over.set()

    tasks = [asyncio.create_task(one(headers)) for headers in who for _ in range(count)]
    try:
        await all_over.wait()
        yield
        assert over == refused
        assert sum(not task.done() for task in tasks) == count * len(who) - refused
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_who_fills_their_share_shuts_nobody_out() -> None:
    api = gated(at_once=128, shares=Shares())

    def of(name: str, size: int) -> dict[str, str]:
        return {"name": name, "content-length": str(size)}

    async def scenario() -> None:
        for _ in range(2):  # what ended counts no longer
            async with hanging(api, 140, 20, of("ann", SMALL + 1)):
                assert (await sent(api, "submissions", of("ann", SMALL), b"a"))[0] == 200
                async with hanging(api, 40, 8, of("ann", 1)):
                    for size in (SMALL, SMALL + 1):
                        assert (await sent(api, "submissions", of("bob", size), b"a"))[0] == 200
            assert (await sent(api, "submissions", of("ann", SMALL + 1), b"a"))[0] == 200

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, scenario()).result(60)


def test_while_uploads_wait_others_submit_withdraw_and_hide(ours: Site) -> None:
    large = {"content-length": str(SMALL + 1)}
    ann, cyn = (
        ours.token(name) | large | {"content-type": "multipart/form-data; boundary=x"}
        for name in ("ann", "cyn")
    )
    bob, boss, mine = ours.token("bob"), ours.token("boss", "admin"), ours.submit()
    form_of = httpx.Request("POST", "http://test", **form(declaration("bobs"), decoder(1)))
    posted = {"content-type": form_of.headers["content-type"]} | bob | large

    async def scenario() -> None:
        async with hanging(ours.api, SUBMITTED + 1, 2, ann, cyn):
            assert (await sent(ours.api, "submissions", posted, form_of.read()))[0] == 201
            (bobs,) = ours.desk.queue.entries(identity="bob")
            assert (await sent(ours.api, f"submissions/{bobs.id}/withdraw", bob))[0] == 200
            assert (await sent(ours.api, f"submissions/{mine}/hide", boss))[0] == 200

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, scenario()).result(60)
    assert ours.desk.queue.get(mine).hidden


def test_what_pages_send_is_bounded_as_a_whole(tmp_path: Path) -> None:
    """Gradio takes a file of anybody, and keeps it for minutes."""

    async def takes(request: Request) -> PlainTextResponse:
        (tmp_path / f"{len(list(tmp_path.iterdir()))}").write_bytes(await request.body())
        return PlainTextResponse("taken")

    app = Starlette(routes=[Route("/gradio_api/upload", takes, methods=["POST"]), Route("/", takes)])
    client = TestClient(PageUploads(app, tmp_path, most_bytes=1000))
    found = [client.post("/gradio_api/upload", content=bytes(900)).status_code for _ in range(7)]
    assert found == [200] * 5 + [503] * 2
    assert client.get("/").status_code == 200
    for path in tmp_path.iterdir():
        path.unlink()
    assert client.post("/gradio_api/upload", content=bytes(900)).status_code == 200
    assert client.post("/gradio_api/upload", content=bytes(1_002_000)).status_code == 413
