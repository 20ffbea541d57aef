"""Reads on for a while what a refused request still sends: else a proxy may not see the refusal."""

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Seconds that are read on, and those without a byte after which no more is read.
_LONGEST_S, _IDLE_S = 30.0, 5.0
_REFUSED = 400


class Lingering:
    """In front of routes that refuse a request before its body is read.

    Where the connection is to end with the answer, as a proxy asks, uvicorn closes it over unread bytes. It
    is reset then, and who sends first and reads then loses the answer: nginx makes a 502 of it. So all of the
    answer but its end is sent, the rest of the body is read and dropped until it ends, the client goes or it
    takes too long, and then the connection ends. The app has done with the request by then.
    """

    def __init__(self, app: ASGIApp, longest_s: float = _LONGEST_S, idle_s: float = _IDLE_S) -> None:
        self._app, self._longest, self._idle = app, longest_s, idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _closes(scope):
            return await self._app(scope, receive, send)
        read, refused, held = False, False, False

        async def received() -> Message:
            nonlocal read
            message = await receive()
            read = not message.get("more_body", False)  # nor has a disconnection more
            return message

        async def sent(message: Message) -> None:
            nonlocal refused, held
            if message["type"] == "http.response.start":
                # Without a length who reads the answer would wait for its end.
                refused = message["status"] >= _REFUSED and "content-length" in Headers(
                    raw=message.get("headers", [])
                )
            elif refused and not read and not message.get("more_body", False):
                message, held = {**message, "more_body": True}, True
            await send(message)

        await self._app(scope, received, sent)
        if held:
            ends = time.monotonic() + self._longest
            try:
                while not read and (left := ends - time.monotonic()) > 0:
                    await asyncio.wait_for(received(), min(self._idle, left))
            except TimeoutError:
                pass  # it is closed as it would have been without us
            await send({"type": "http.response.body", "body": b""})


def _closes(scope: Scope) -> bool:
    """Whether a request has a body and its connection ends with the answer."""
    headers = Headers(scope=scope)
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    connection = ",".join(headers.getlist("connection")).lower()
    return has_body and (scope["http_version"] == "1.0" or "close" in connection)
