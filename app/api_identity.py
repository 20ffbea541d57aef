"""Who asks: bearer tokens are checked in front of the routes, before a body is read.

A token is never logged, nor told in an answer.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api_prompt import sentence
from app.api_refusals import CODED, WORK, Coded, below, inner, refusal
from cosmos1050k.errors import InputError
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.tokens import Denied, Identity, Role, Tokens

NO_DESK = "This server takes no submissions: it shows the board and lets you try the models."
#: In a minute, of one address: a person mistypes a few times, a program that guesses is slowed down. Who has
#: a good token at the same address is let in all the same: a whole laboratory may have one.
FAILURES = 20
#: Of one identity: more than the hundred that may be sent in one go, fewer than a loop that ran wild.
SUBMITTED = 120
#: Of one token: hundreds of workers may share one, and each beats every half minute and hands in some files.
WORKED = 6000
_MINUTE_S = 60.0
#: Names that are remembered at once: who makes up addresses does not fill the memory.
_MOST_NAMES = 10_000

#: For the OpenAPI, and for programs made of it; `Door` is what checks.
BEARER = Depends(HTTPBearer(auto_error=False, description="Of `cosmos token create`"))

log = logging.getLogger(__name__)


class Rate:
    """Counts what each name does in a minute."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._seen: dict[str, tuple[float, int]] = {}

    def wait_s(self, name: str) -> int:
        """Counts one more; returns for how many seconds no more are taken, 0 if this one is."""
        now = self._clock()
        since, count = self._seen.get(name, (now, 0))
        if now - since >= _MINUTE_S:
            since, count = now, 0
        if count >= self._most:
            return math.ceil(since + _MINUTE_S - now)
        if name not in self._seen and len(self._seen) >= _MOST_NAMES:
            self._seen = {name: seen for name, seen in self._seen.items() if now - seen[0] < _MINUTE_S}
            if len(self._seen) >= _MOST_NAMES:
                self._seen.clear()
        self._seen[name] = (since, count + 1)
        return 0


class Door:
    """In front of submissions and work: lets in who may do that, and notes who it is.

    Args:
        tokens: None: the server takes no submissions.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens | None) -> None:
        self._app, self._tokens = app, tokens
        self._failures, self._submitted, self._worked = Rate(FAILURES), Rate(SUBMITTED), Rate(WORKED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not below(inner(scope), *CODED):
            return await self._app(scope, receive, send)
        refused = await self._refusal(scope)
        if refused:
            return await refused(scope, receive, send)
        await self._app(scope, receive, send)

    async def _refusal(self, scope: Scope) -> JSONResponse | None:
        if self._tokens is None:
            return refusal(scope, 503, NO_DESK)
        working, wanted = below(inner(scope), WORK), _wanted(scope)
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        if not scheme and not wanted:
            return None
        if scheme.lower() != "bearer":
            return self._denied(
                scope, "Send a token, as `Authorization: Bearer …`: who runs this server makes them."
            )
        try:
            identity = await run_in_threadpool(self._tokens.check, token.strip())
        except Denied as error:
            return self._denied(scope, sentence(error))
        except InputError as error:
            log.warning("%s", error)
            return refusal(scope, 503, "This server can't check tokens now: tell who runs it.")
        if wanted and identity.role not in wanted:
            return refusal(scope, 403, _other_role(identity, wanted), "role")
        if working and (wait := self._worked.wait_s(identity.id)):
            return _slower(scope, wait)
        if wanted and not working and (wait := self._submitted.wait_s(identity.name)):
            return _slower(scope, wait)
        scope.setdefault("state", {})["identity"] = identity
        return None

    def _denied(self, scope: Scope, text: str) -> JSONResponse:
        if wait := self._failures.wait_s((scope.get("client") or ("",))[0]):
            return _slower(scope, wait)
        return refusal(scope, 401, text, "token", {"WWW-Authenticate": "Bearer"})


def who(request: Request) -> Identity | None:
    """Who asks, as `Door` found; None: somebody who looks."""
    return getattr(request.state, "identity", None)


def admin(identity: Identity | None) -> bool:
    """Whether an admin asks."""
    return identity is not None and identity.role == "admin"


def owns(identity: Identity | None, entry: Entry) -> bool:
    """Whether a submission is of who asks, or an admin asks."""
    if identity is None:
        return False
    return admin(identity) or (identity.role == "submitter" and identity.name == entry.identity)


def sees(identity: Identity | None, entry: Entry) -> bool:
    """Whether who asks may see a submission: a hidden one is for its owner and admins."""
    return not entry.hidden or owns(identity, entry)


def one_of(request: Request, roles: Sequence[Role]) -> Identity:
    """Who asks, if it has one of these roles.

    Raises:
        HTTPException: it has not.
    """
    identity = who(request)
    if identity is None:
        raise Coded(401, "token", "A token is needed here.", {"WWW-Authenticate": "Bearer"})
    if identity.role not in roles:
        raise Coded(403, "role", _other_role(identity, roles))
    return identity


def _other_role(identity: Identity, roles: Sequence[Role]) -> str:
    return f"This token has the role {identity.role}: {' or '.join(roles)} is needed here."


def _wanted(scope: Scope) -> tuple[Role, ...]:
    """Who may ask that; empty: anybody."""
    if below(inner(scope), WORK):
        return ("worker",)
    return () if scope["method"] in ("GET", "HEAD", "OPTIONS") else ("submitter", "admin")


def _slower(scope: Scope, wait_s: int) -> JSONResponse:
    text = f"That is too often: ask again in {wait_s} seconds."
    return refusal(scope, 429, text, headers={"Retry-After": str(wait_s)})
