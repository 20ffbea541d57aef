"""Lets other web sites' pages ask for nothing: a browser sends its cookies with what they ask, too."""

import os
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REFUSED = "This was asked by a page of another site: open the app itself."
_CORS = "access-control-"
#: What changes nothing.
_LOOKS = ("GET", "HEAD")


class SameOrigin:
    """In front of pages and API. A request of a page of another site is refused if it could change something,
    and is not told what it may read.

    Gradio lets any site's pages ask, with cookies; in a Space these say who signed in.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _foreign(Headers(scope=scope)):
            return await self._app(scope, receive, send)
        if scope["method"] not in _LOOKS:
            return await JSONResponse({"detail": _REFUSED}, 403)(scope, receive, send)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in [name for name in headers if name.startswith(_CORS)]:
                    del headers[name]
            await send(message)

        await self._app(scope, receive, sent)


def _foreign(headers: Headers) -> bool:
    """Whether a page of another site asks; programs that are no browsers do not say."""
    origin = headers.get("origin")
    if origin is None:
        return False
    own = {headers.get("host"), headers.get("x-forwarded-host"), os.environ.get("SPACE_HOST")}
    return urlsplit(origin).netloc not in own
