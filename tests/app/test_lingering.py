"""A refusal reaches who sends first and reads then; what goes on sending is not listened to for ever."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api_gate import Gate
from app.lingering import Lingering
from app.options import Options
from app.server import build_server

#: Far more than the buffers between two sockets hold.
BODY = 64 * 2**20


def app(status: int) -> ASGIApp:
    """Answers at once, the body unread."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse({"detail": "said at once"}, status)(scope, receive, send)

    return answer


@contextmanager
def served(app: ASGIApp) -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def head(length: int, path: str = "/") -> bytes:
    """As nginx asks: the connection is to end with the answer."""
    lines = f"POST {path} HTTP/1.1", "Host: here", "Connection: close", f"Content-Length: {length}"
    return "\r\n".join([*lines, "", ""]).encode()


def sent_whole(address: tuple[str, int], path: str = "/") -> bytes:
    """What a client is told that reads nothing until it has sent everything."""
    with socket.create_connection(address, timeout=60) as client:
        client.sendall(head(BODY, path))
        client.sendall(bytes(BODY))
        answer = b""
        while piece := client.recv(65536):
            answer += piece
        return answer


def test_who_sends_all_before_reading_is_told_why() -> None:
    with served(app(401)) as address, pytest.raises(ConnectionError):
        sent_whole(address)
    with served(Lingering(app(401))) as address:
        answer = sent_whole(address)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.endswith(b'{"detail":"said at once"}')


def test_the_platform_s_own_refusals_reach_who_sends_first(sample_state: Path, tmp_path: Path) -> None:
    with served(build_server(Options(state=sample_state, data=tmp_path))) as address:
        assert sent_whole(address, "/api/v1/submissions").startswith(b"HTTP/1.1 401 ")


def test_the_answer_does_not_wait_for_the_rest() -> None:
    with (
        served(Lingering(app(401), idle_s=30)) as address,
        socket.create_connection(address) as client,
    ):
        client.sendall(head(99) + b"and no more")
        client.settimeout(10)
        answer = b""
        while b"said at once" not in answer and (piece := client.recv(65536)):
            answer += piece
        assert b"said at once" in answer


def test_what_goes_on_is_read_for_a_while_only() -> None:
    """The one sends without end, the other holds the connection and sends nothing."""
    begun = time.monotonic()
    with served(Lingering(app(413), longest_s=1, idle_s=0.5)) as address:
        for piece in (bytes(2**20), b""):
            with socket.create_connection(address) as client:
                client.sendall(head(2**40))
                client.settimeout(30)
                with suppress(ConnectionError):
                    while piece and time.monotonic() < begun + 30:
                        client.sendall(piece)
                    while client.recv(65536):
                        pass
    assert time.monotonic() - begun < 30


def test_a_place_is_free_while_the_rest_is_read() -> None:
    """Who trickles on after a refusal keeps nobody out."""
    with (
        served(Lingering(Gate(app(404), 2**41, at_once=1), idle_s=30)) as address,
        ExitStack() as clients,
    ):
        for _ in range(3):
            client = clients.enter_context(socket.create_connection(address, timeout=30))
            client.sendall(head(2**40))
            assert client.recv(65536).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("status", "headers", "pieces"),
    [
        (200, [(b"content-length", b"9"), (b"connection", b"close")], []),
        (401, [(b"content-length", b"9")], []),
        (401, [(b"connection", b"close")], []),
        (401, [(b"content-length", b"9"), (b"connection", b"close")], [b"all of it"]),
    ],
)
def test_else_it_changes_nothing(
    status: int, headers: list[tuple[bytes, bytes]], pieces: list[bytes]
) -> None:
    """Nor reads a byte: no refusal, a connection that stays, no body, one that was read."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in pieces:
            await receive()
        await app(status)(scope, receive, send)

    async def messages(asked: ASGIApp) -> list[Message]:
        sent, left = [], iter(pieces)

        async def receive() -> Message:
            return {"type": "http.request", "body": next(left)}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "http_version": "1.1", "method": "POST", "headers": headers}
        await asked(scope, receive, send)
        return sent

    with ThreadPoolExecutor(1) as thread:  # a browser's test may have left a loop in this one
        with_us, without = thread.map(asyncio.run, [messages(Lingering(answer)), messages(answer)])
    assert with_us == without
