"""A refusal reaches who sends first and reads then; what goes on sending is not listened to for ever."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.lingering import Lingering

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
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join()


#: As nginx asks; without it uvicorn itself reads on, for ever.
CLOSE = "Connection: close\r\n"


def head(length: int, more: str = CLOSE) -> bytes:
    return f"POST / HTTP/1.1\r\nHost: here\r\n{more}Content-Length: {length}\r\n\r\n".encode()


def sent_whole(address: tuple[str, int]) -> bytes:
    """What a client is told that reads nothing until it has sent everything."""
    with socket.create_connection(address) as client:
        client.sendall(head(BODY))
        client.sendall(bytes(BODY))
        client.settimeout(30)
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


def test_the_answer_does_not_wait_for_the_rest() -> None:
    with (
        served(Lingering(app(401), idle_s=30)) as address,
        socket.create_connection(address) as client,
    ):
        client.sendall(head(99) + b"and no more")
        client.settimeout(10)
        answer = b""
        while b"said at once" not in answer:
            answer += client.recv(65536)


def test_what_goes_on_is_read_for_a_while_only() -> None:
    """The one sends without end, the other holds the connection and sends nothing."""
    begun = time.monotonic()
    with served(Lingering(app(413), longest_s=1, idle_s=0.5)) as address:
        for piece in (bytes(2**20), b""):
            with socket.create_connection(address) as client:
                client.sendall(head(2**40, ""))
                client.settimeout(30)
                with suppress(ConnectionError):
                    while piece and time.monotonic() < begun + 30:
                        client.sendall(piece)
                    while client.recv(65536):
                        pass
    assert time.monotonic() - begun < 30


def test_an_answer_that_is_no_refusal_reads_nothing_on() -> None:
    """Nor does it change what is sent."""
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-length", b"9")]}
    asyncio.run(Lingering(app(200))(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
