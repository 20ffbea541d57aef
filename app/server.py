"""The server: FastAPI with the routes `/api/v1/*`, and Gradio mounted on it for all other paths."""

import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import PREFIX, build_api
from app.lingering import Lingering
from app.options import Options, in_space
from app.page_uploads import PageUploads
from app.same_origin import SameOrigin
from cosmos1050k.errors import InputError
from leaderboard.demo.engine import Engine
from leaderboard.demo.folders import Private
from leaderboard.demo.samples import Samples
from leaderboard.demo.sessions import Sessions
from leaderboard.store.read import BoardReader
from leaderboard.submissions.desk import Desk
from leaderboard.submissions.local import LocalWorkers
from leaderboard.submissions.worker import WORK

if TYPE_CHECKING:
    from app.metrics import Metrics

#: What the libraries would tell other hosts, and that they are not to; read when they are imported.
SILENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
#: Nobody asks for what Gradio would count after each event of the last 10,000.
_UNCOUNTED = {"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": f"{10**9}"}
#: A browser is not to guess a file's type, nor to tell other hosts which page a link was on.
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}

log = logging.getLogger(__name__)


def build_server(options: Options) -> FastAPI:
    """The whole app. Pages of documentation would load scripts of other hosts, so it has none.

    Takes seconds: it imports Gradio. To end its streams of events, set its `state.ending`.
    """
    reader, engine, private = BoardReader(options.state), Engine(), Private()
    samples = Samples(options.data, options.private)
    desk = _desk(options)
    sessions = Sessions(engine, samples, private.folder)
    uploads = private.folder()
    os.environ.update(SILENT | _UNCOUNTED, GRADIO_TEMP_DIR=str(uploads))
    import gradio as gr

    from app.build import LOOK, build_app

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if desk:
            desk.start()
        yield
        if desk:
            desk.close()
        sessions.close()
        private.close()

    server = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    server.mount(PREFIX, build_api(reader, engine, options, private.folder, desk))
    server.add_middleware(PageUploads, folder=uploads, most_bytes=options.max_upload_bytes)
    server.add_middleware(SameOrigin)
    server.add_middleware(Headers)
    if options.metrics_port:
        server.state.metrics = _metrics(server, options, desk)
    server.add_middleware(Lingering)
    blocks = build_app(reader, engine, samples, sessions, desk, options.notice, options.state)
    # Gradio checks the paths that a client names once its own server was launched alone; here it never is.
    blocks.has_launched = True
    gr.mount_gradio_app(
        server,
        blocks,
        path="/",
        root_path=options.root_path or None,
        max_file_size=options.max_upload_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        run_history=False,
        show_error=False,
        **LOOK,
    )
    mounted = server.routes[-1]
    assert isinstance(mounted, Mount)
    assert isinstance(mounted.app, gr.routes.App)
    server.state.ending, server.state.desk = mounted.app.stop_event, desk
    return server


def _metrics(server: FastAPI, options: Options, desk: Desk | None) -> "Metrics":
    """What is counted for Prometheus, in front of all that answers."""
    from app.metrics import Counted, Metrics

    metrics = Metrics(options.state, desk.queue if desk else None, read_only=options.read_only)
    server.add_middleware(Counted, metrics=metrics)
    return metrics


def _desk(options: Options) -> Desk | None:
    """What takes submissions; none where nothing may be written, or another server does already."""
    if options.read_only:
        return None
    try:
        return Desk(options.state, options.data)
    except InputError as error:
        log.warning("no submissions are taken: %s", error)
        return None


def serve(options: Options, listening: socket.socket) -> None:
    """Runs the app on a bound socket, until Ctrl+C or SIGTERM.

    Raises:
        InputError: the port for metrics can't be listened on.
    """
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    app = build_server(options)
    if options.metrics_port:
        from leaderboard.submissions.metrics import expose

        expose(app.state.metrics.registry, options.metrics_port)
    # A view makes tens of thousands of objects and hardly a cycle: what is here by now is not searched again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    config = uvicorn.Config(
        app,
        root_path=options.root_path,
        log_level="warning",
        # A Space's proxy has no address to name; elsewhere only a proxy on this machine is believed.
        forwarded_allow_ips="*" if in_space() else None,
        # Longer than a proxy keeps it (nginx: 60 s), which else asks over a connection that is being closed.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )
    sys.stdout.write(f"COSMOS 1050K at http://{shown}:{port}{options.root_path}/ (Ctrl+C ends it)\n")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt), _workers(app.state.desk, options, f"http://{_reached(shown)}:{port}"):
        Server(config, app.state.ending).run(sockets=[listening])


@contextmanager
def _workers(desk: Desk | None, options: Options, address: str) -> Iterator[None]:
    """Runs the workers that the options ask for; they wait until the server answers at its own address, which
    no proxy puts a path before.
    """
    if desk is None or not options.workers:
        yield
        return
    local = LocalWorkers(address, desk.tokens, options.workers, WORK, options.data)
    local.start()
    try:
        yield
    finally:
        local.close()


def _reached(host: str) -> str:
    """Where a server on this machine is reached that listens there."""
    return {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)


class Server(uvicorn.Server):
    """One that ends also while pages are open, each of which holds a stream of events until `ending`."""

    def __init__(self, config: uvicorn.Config, ending: asyncio.Event) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending.set()
        # What still runs after the time that it is given is cut off, which is no fault to tell of.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


class Headers:
    """Adds `_HEADERS` to every answer; a stream of events passes through as it comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, sent)
