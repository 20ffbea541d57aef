"""Keeps what pages upload small and few: anybody may send a file, and most of them are never used."""

import stat
import time
from pathlib import Path

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api_gate import FORM_BYTES, Gate

#: The address to which Gradio's components send files.
_ADDRESS = "/gradio_api/upload"
#: All that lies there may have so many times the bytes that one upload may.
_TIMES = 4
#: Gradio looks so often for files that were sent and never used, and deletes them at this age, in seconds.
SWEEP = (60, 600)
#: Seconds after which an upload is removed: once Gradio had the time to.
_OLD_S = float(sum(SWEEP))
_FULL = "The server holds as many uploads as it may: try again in ten minutes, when they are removed."


class PageUploads:
    """In front of Gradio.

    Args:
        folder: where Gradio puts uploads, and removes them.
        most_bytes: of one upload.
    """

    def __init__(self, app: ASGIApp, folder: Path, most_bytes: int) -> None:
        self._app, self._folder, self._most = app, folder, _TIMES * most_bytes
        self._gate = Gate(app, most_bytes + FORM_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].endswith(_ADDRESS):
            return await self._app(scope, receive, send)
        if self._held() >= self._most:
            return await JSONResponse({"detail": _FULL}, 503, {"Retry-After": "600"})(scope, receive, send)
        await self._gate(scope, receive, send)

    def _held(self) -> int:
        """Bytes that lie there. What broke off is removed: Gradio forgets it."""
        held, old = 0, time.time() - _OLD_S
        for path in self._folder.rglob("*"):
            try:
                found = path.stat()
                if stat.S_ISREG(found.st_mode) and found.st_mtime < old:
                    path.unlink()
                else:
                    held += found.st_size
            except FileNotFoundError:  # removed meanwhile
                continue
        return held
