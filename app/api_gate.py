"""Keeps uploads few, small and moving: what is refused is refused before its body is read."""

import asyncio
import logging

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Requests with a body that are read or answered at once.
_AT_ONCE = 8
#: Seconds that a client may send nothing.
_IDLE_S = 30.0

log = logging.getLogger(__name__)


class Gate:
    """In front of the routes: of requests with a body it lets in a few at once, none that is too large."""

    def __init__(
        self, app: ASGIApp, most_bytes: int, at_once: int = _AT_ONCE, idle_s: float = _IDLE_S
    ) -> None:
        self._app, self._most, self._free, self._idle = app, most_bytes, at_once, idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        refusal = self._refusal(Headers(scope=scope).get("content-length", "0"))
        if refusal:
            return await refusal(scope, receive, send)
        self._free -= 1
        try:
            await self._app(scope, self._moving(receive), send)
        finally:
            self._free += 1

    def _refusal(self, length: str) -> JSONResponse | None:
        if length.isdecimal() and int(length) > self._most:
            return JSONResponse({"detail": too_large(self._most)}, 413)
        if not self._free:
            busy = "The server is busy with other pictures: ask again in a few seconds."
            return JSONResponse({"detail": busy}, 503, {"Retry-After": "5"})
        return None

    def _moving(self, receive: Receive) -> Receive:
        """The same messages; an upload that stands still ends."""
        whole = False

        async def received() -> Message:
            nonlocal whole
            if whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), self._idle)
            except TimeoutError:
                text = f"Nothing came for {self._idle:.0f} seconds: send the file again."
                raise HTTPException(408, text) from None
            whole = not message.get("more_body", False)
            return message

        return received


def too_large(most_bytes: int) -> str:
    """Why an upload is refused."""
    return f"The upload is too large: at most {most_bytes:,} bytes are taken."
