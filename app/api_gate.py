"""Keeps uploads few, small and moving: what is refused is refused before its body is read."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api_refusals import Coded, below, inner, refusal, too_large

#: Requests with a body that are read or answered at once.
_AT_ONCE = 8
#: Seconds that a client may send nothing.
_IDLE_S = 30.0
#: Bytes per second that an upload brings on average, once it took so many seconds: a slower one would hold a
#: place for days.
_LEAST_RATE, _GRACE_S = 10_000, 60.0
#: A body up to this size needs no place among the large ones: it stays in memory.
SMALL = 1_000_000
_BODIES = ("POST", "PUT")


@dataclass(frozen=True)
class Large:
    """Of bodies over `SMALL`, how many are read at once, and of one identity; the others wait, unread."""

    at_once: int = 16
    of_one: int = 4


class Gate:
    """In front of the routes: of requests with a body it lets in a few at once, none that is too large.

    Args:
        most_bytes: of a body, or by the path below the API.
        at_once: how many are let in; who comes when there are as many is told to come again.
        large: how many of these are read at once, if not all.
    """

    def __init__(
        self,
        app: ASGIApp,
        most_bytes: int | Callable[[str], int],
        at_once: int = _AT_ONCE,
        idle_s: float = _IDLE_S,
        grace_s: float = _GRACE_S,
        large: Large | None = None,
    ) -> None:
        self._app, self._free, self._idle, self._grace = app, at_once, idle_s, grace_s
        self._most = (lambda _: most_bytes) if isinstance(most_bytes, int) else most_bytes
        self._large = asyncio.Semaphore(large.at_once) if large else None
        self._own = defaultdict[str, asyncio.Semaphore](
            lambda: asyncio.Semaphore(large.of_one if large else 0)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _BODIES:
            return await self._app(scope, receive, send)
        most, told = self._most(inner(scope)), _told(Headers(scope=scope))
        refused = self._refusal(scope, most, told)
        if refused:
            return await refused(scope, receive, send)
        self._free -= 1
        try:
            async with AsyncExitStack() as places:
                if self._large and (told is None or told > SMALL):
                    await places.enter_async_context(self._own[_who(scope)])
                    await places.enter_async_context(self._large)
                await self._app(scope, self._moving(receive, most), send)
        finally:
            self._free += 1

    def _refusal(self, scope: Scope, most: int, told: int | None) -> JSONResponse | None:
        if told is not None and told > most:
            return refusal(scope, 413, too_large(most))
        if not self._free:
            busy = "The server is busy with others' uploads: ask again in a few seconds."
            return refusal(scope, 503, busy, headers={"Retry-After": "5"})
        return None

    def _moving(self, receive: Receive, most: int) -> Receive:
        """The same messages; an upload that stands still, creeps or grows too large ends."""
        whole, came, began = False, 0, time.monotonic()

        async def received() -> Message:
            nonlocal whole, came
            if whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), self._idle)
            except TimeoutError:
                text = f"Nothing came for {self._idle:.0f} seconds: send the file again."
                raise Coded(408, "slow", text) from None
            if message["type"] == "http.disconnect":
                raise Coded(400, "form", "The upload broke off: send the file again.")
            whole = not message.get("more_body", False)
            came += len(message.get("body", b""))
            if came > most:
                raise Coded(413, "too-large", too_large(most))
            took = time.monotonic() - began
            if not whole and took > self._grace and came < took * _LEAST_RATE:
                text = f"Less than {_LEAST_RATE:,} bytes came a second: send the file over a faster line."
                raise Coded(408, "slow", text)
            return message

        return received


class Gates:
    """A gate for each part of the API, by the path that it begins with; that of `""` is for what is left."""

    def __init__(self, app: ASGIApp, parts: Mapping[str, Callable[[ASGIApp], Gate]]) -> None:
        self._gates = {top: made(app) for top, made in parts.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = inner(scope) if scope["type"] == "http" else ""
        top = next((top for top in self._gates if top and below(path, top)), "")
        await self._gates[top](scope, receive, send)


def _told(headers: Headers) -> int | None:
    """The size that a body is said to have; None: it comes in chunks, until it ends."""
    length = headers.get("content-length", "")
    if length.isdecimal():
        return int(length)
    return None if "transfer-encoding" in headers else 0


def _who(scope: Scope) -> str:
    identity = scope.get("state", {}).get("identity")
    return identity.name if identity else ""
