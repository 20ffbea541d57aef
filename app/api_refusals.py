"""What a refusal looks like: a sentence, and under `CODED` also a code for programs."""

import logging
import re
from collections.abc import Mapping

from fastapi import Request
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import Scope

from leaderboard.submissions import refusals
from leaderboard.submissions.entry import Trouble

AWAY = "This server can't do that now: try again later, or tell who runs it."
PREFIX = "/api/v1"
SUBMISSIONS, WORK = "/submissions", "/work"
CODED = (SUBMISSIONS, WORK)
#: What a refusal's code means; a submission's own reasons are among them.
CODES: Mapping[str, str] = {
    **refusals.CODES,
    "form": "what was sent is not what the address takes",
    "slow": "an upload that stood still or crept",
    "token": "no token, or none that is good",
    "role": "a token for other things",
    "unknown": "no such submission or address",
    "state": "not possible in the submission's state",
    "lease-lost": "the work is no longer this worker's",
    "versions": "the worker can't do this board's work",
}
#: Of what was refused without a code.
_BY_STATUS = {400: "form", 404: "unknown", 405: "form", 413: "too-large", 422: "form"}
#: An absolute path of two parts or more, its last part apart; an address of the web is none.
_PATH = re.compile(r"""(?:(?<=file:)|(?<![\w.~/])(?!(?<=:)//))(?:/+([^/\s:;,'"()]+)){2,}/*""")

log = logging.getLogger(__name__)


class Coded(HTTPException):
    """A refusal with a code of its own."""

    def __init__(self, status: int, code: str, text: str, headers: dict[str, str] | None = None) -> None:
        assert not code or code in CODES, code
        super().__init__(status, text, headers)
        self.code = code


def inner(scope: Scope) -> str:
    """The path of a request below `PREFIX`, as the routes see it."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def below(path: str, *tops: str) -> bool:
    """Whether an inner path is one of those, or under one."""
    return any(path == top or path.startswith(f"{top}/") for top in tops)


def refusal(
    scope: Scope, status: int, text: str, code: str = "", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The answer that says so."""
    said = {"detail": text}
    if below(inner(scope), *CODED):
        said["code"] = code or _BY_STATUS.get(status, "")
    return JSONResponse(said, status, headers)


def too_large(most_bytes: int) -> str:
    """Why an upload is refused."""
    return f"The upload is too large: at most {most_bytes:,} bytes are taken."


def without_paths(text: str) -> str:
    """A text for strangers: of the paths of a machine it has the last part alone."""
    return _PATH.sub(r"\1", text)


async def away(request: Request, error: Exception) -> JSONResponse:
    """Who runs the server is told what is wrong with it; who asks, that something is."""
    assert isinstance(error, Trouble)
    log.warning("%s", error)
    return refusal(request.scope, 503, AWAY)


async def unfit(request: Request, error: Exception) -> JSONResponse:
    """What of a question is wrong, the first fault of it."""
    assert isinstance(error, RequestValidationError)
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"][1:])
    return refusal(request.scope, 422, f"{where}: {fault['msg']}." if where else f"{fault['msg']}.")


async def refused(request: Request, error: Exception) -> JSONResponse:
    """The answer to what was raised; what Starlette says in a word becomes a sentence."""
    assert isinstance(error, StarletteHTTPException)
    text = str(error.detail)
    if text == "Not Found":
        text = f"There is no such address; {PREFIX}/openapi.json lists what there is."
    elif text == "Method Not Allowed":
        text = f"{request.method} is not done here; {PREFIX}/openapi.json lists what is."
    elif not text.endswith("."):
        text = f"{text}."
    code = error.code if isinstance(error, Coded) else ""
    return refusal(request.scope, error.status_code, text, code, error.headers)
