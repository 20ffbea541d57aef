"""Reads on for a while what a refused request still sends: else the refusal may not reach who sends it."""

import asyncio
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Seconds that are read on, and those without a byte after which no more is read.
_LONGEST_S, _IDLE_S = 30.0, 5.0
_REFUSED = 400


class Lingering:
    """In front of routes that refuse a request before its body is read.

    A connection that is closed over unread bytes is reset, and its other end may lose what it has not read
    yet: a client that sends first and reads then has no answer, and a proxy makes a 502 of it. So the whole
    answer is sent, and the rest of the body is read and dropped until it ends, the client goes or it takes
    too long. The connection ends with it.
    """

    def __init__(self, app: ASGIApp, longest_s: float = _LONGEST_S, idle_s: float = _IDLE_S) -> None:
        self._app, self._longest, self._idle = app, longest_s, idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            return await self._app(scope, receive, send)
        read, refused = False, False

        async def received() -> Message:
            nonlocal read
            message = await receive()
            read = not message.get("more_body", False)  # nor has a disconnection more
            return message

        async def sent(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = message["status"] >= _REFUSED and not read
                if refused:
                    MutableHeaders(scope=message)["connection"] = "close"
            elif refused and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await rest()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        async def rest() -> None:
            ends = time.monotonic() + self._longest
            while not read and time.monotonic() < ends:
                try:
                    await asyncio.wait_for(received(), self._idle)
                except TimeoutError:
                    return

        await self._app(scope, received, sent)


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
