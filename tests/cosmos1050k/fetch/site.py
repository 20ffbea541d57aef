"""A real HTTP server on this machine that misbehaves as it is told, and writes down what it was asked."""

import io
import re
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    """One request: its path and headers, when it came, and how many bytes of a body were sent."""

    path: str
    range: str | None
    if_range: str | None
    at: float
    served: int = 0


@dataclass
class File:
    """What lies at one address.

    Args:
        script: what to do instead of answering well, one entry per request, the first first.
    """

    content: bytes
    etag: str | None = '"1"'
    modified: str | None = None
    kind: str = "application/octet-stream"
    encoding: str | None = None
    ranges: bool = True
    chunked: bool = False
    script: list[Callable[["Handler", "File"], None]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Answers as HTTP/1.1 servers of files do (RFC 9110, sections 13 and 14)."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        self.asked = Request(self.path, self.headers["Range"], self.headers["If-Range"], time.monotonic())
        self.server.site.requests.append(self.asked)
        file = self.server.site.files.get(self.path.partition("?")[0])
        if file is None:
            self.status(404)
        elif file.script:
            file.script.pop(0)(self, file)
        else:
            self.answer(file)

    def answer(self, file: File, most: int | None = None, length: int | None = None) -> None:
        """The file, or the part that is asked for; no more than `most` bytes of it, then the line is cut."""
        content, start = file.content, 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.asked.range or "")
        same = self.asked.if_range in (None, file.etag, file.modified)
        if wanted and file.ranges and same:
            start = int(wanted[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", file.kind)
        headers = {"ETag": file.etag, "Last-Modified": file.modified, "Content-Encoding": file.encoding}
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        if file.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length or len(content) - start))
        self.end_headers()
        self.body(content[start:], most, file.chunked)

    def body(self, content: bytes, most: int | None, chunked: bool) -> None:
        sent = content if most is None else content[:most]
        try:
            for place in range(0, len(sent), 4096):
                piece = sent[place : place + 4096]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                self.asked.served += len(piece)
            if chunked and most is None:
                self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
        except OSError:  # a client that was killed
            self.close_connection = True
        if most is not None:
            self.close_connection = True

    def status(self, code: int, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    site: "Site"


class Site:
    """The server's files by their paths, and all requests so far."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.files: dict[str, File] = {}
        self.requests: list[Request] = []
        self.done = threading.Event()

    def put(self, path: str, content: bytes, **more: object) -> File:
        self.files[path] = File(content, **more)  # type: ignore[arg-type]
        return self.files[path]

    def url(self, path: str) -> str:
        return self.address + path

    @property
    def served(self) -> list[int]:
        """How many bytes of a body each request was sent."""
        return [request.served for request in self.requests]

    # What a script is made of:

    def cut(self, most: int) -> Callable[[Handler, File], None]:
        """Breaks the connection after so many bytes."""
        return lambda handler, file: handler.answer(file, most)

    def stall(self, most: int) -> Callable[[Handler, File], None]:
        """Sends so many bytes and then nothing, without ending, until the test does."""

        def stalled(handler: Handler, file: File) -> None:
            handler.answer(file, most)
            self.done.wait(60)

        return stalled

    def status(self, code: int, **headers: str) -> Callable[[Handler, File], None]:
        return lambda handler, file: handler.status(code, **headers)

    def change(self, content: bytes, etag: str | None) -> Callable[[Handler, File], None]:
        """The owner replaces the file; then it is answered as asked."""

        def changed(handler: Handler, file: File) -> None:
            file.content, file.etag = content, etag
            handler.answer(file)

        return changed


@contextmanager
def running() -> Iterator[Site]:
    server = _Server(("127.0.0.1", 0), Handler)
    server.site = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.site
    finally:
        server.site.done.set()
        server.shutdown()
        thread.join()
        server.server_close()


def zipped(files: dict[str, bytes]) -> bytes:
    """Files as one archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()
