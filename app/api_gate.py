"""Keeps uploads few, small and moving: what is refused is refused before its body is read."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
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
#: Beside an upload's own bytes: the form around them.
FORM_BYTES = 1_000_000
_BODIES = ("POST", "PUT")
#: Seconds after which who was sent away may come again.
_AGAIN_S = 5


@dataclass(frozen=True)
class Shares:
    """How the places are shared among those who ask.

    Of bodies over `SMALL`, `large` are read at once, and `large_of_one` of one identity; the others wait,
    unread. Beyond `waiting` of one identity, and `small` other ones, it is told to come again.
    """

    large: int = 16
    large_of_one: int = 4
    waiting: int = 120
    small: int = 32


class _Share:
    """What one identity has under way; `waiting`: large ones, also those that are read."""

    def __init__(self, most: Shares) -> None:
        self._most, self.large = most, asyncio.Semaphore(most.large_of_one)
        self.waiting, self.small = 0, 0

    def used_up(self, large: bool) -> bool:
        return self.waiting >= self._most.waiting if large else self.small >= self._most.small

    def count(self, large: bool, by: int) -> None:
        if large:
            self.waiting += by
        else:
            self.small += by

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.small)


class Gate:
    """In front of the routes: of requests with a body it lets in a few at once, none that is too large.

    Args:
        most_bytes: of a body, or by the path below the API.
        at_once: how many are let in; who comes when there are as many is told to come again.
        shares: how these are shared, if it is known who asks.
    """

    def __init__(
        self,
        app: ASGIApp,
        most_bytes: int | Callable[[str], int],
        at_once: int = _AT_ONCE,
        idle_s: float = _IDLE_S,
        grace_s: float = _GRACE_S,
        shares: Shares | None = None,
    ) -> None:
        self._app, self._free, self._idle, self._grace = app, at_once, idle_s, grace_s
        self._most = (lambda _: most_bytes) if isinstance(most_bytes, int) else most_bytes
        self._shares = shares
        self._large = asyncio.Semaphore(shares.large if shares else 0)
        self._own: dict[str, _Share] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _BODIES:
            return await self._app(scope, receive, send)
        most, told = self._most(inner(scope)), _told(Headers(scope=scope))
        if told is not None and told > most:
            return await refusal(scope, 413, too_large(most))(scope, receive, send)
        if self._shares is None:
            return await self._placed(scope, self._moving(receive, most), send)
        who, large = _who(scope), told is None or told > SMALL
        if self._own.setdefault(who, _Share(self._shares)).used_up(large):
            many = "You have as many requests under way as you may: send more when some have been answered."
            return await _later(scope, 429, many)(scope, receive, send)
        async with self._shared(who, large):
            await self._placed(scope, self._moving(receive, most), send)

    @asynccontextmanager
    async def _shared(self, who: str, large: bool) -> AsyncIterator[None]:
        """A part of one's share, and of a large one its turn: who waits for that holds no place."""
        own = self._own[who]
        own.count(large, 1)
        try:
            async with AsyncExitStack() as turns:
                if large:
                    await turns.enter_async_context(own.large)
                    await turns.enter_async_context(self._large)
                yield
        finally:
            own.count(large, -1)
            if own.idle:
                del self._own[who]

    async def _placed(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._free:
            busy = "The server is busy with others' uploads: ask again in a few seconds."
            return await _later(scope, 503, busy)(scope, receive, send)
        self._free -= 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._free += 1

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


def _later(scope: Scope, status: int, text: str) -> JSONResponse:
    return refusal(scope, status, text, headers={"Retry-After": str(_AGAIN_S)})


def _told(headers: Headers) -> int | None:
    """The size that a body is said to have; None: it comes in chunks, until it ends."""
    length = headers.get("content-length", "")
    if length.isdecimal():
        return int(length)
    return None if "transfer-encoding" in headers else 0


def _who(scope: Scope) -> str:
    identity = scope.get("state", {}).get("identity")
    return identity.name if identity else ""
