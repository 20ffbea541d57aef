"""A small server that speaks the API's calls and does wrong what it is told to: for clients' tests."""

import email
import json
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "cosmos_worker_c2VjcmV0.c2lnbmF0dXJl"
CUT, HALF, PUT_OFF, OTHER = "cut", "half", "put off", "other"


@dataclass
class Platform:
    """What it has, and what came.

    Args:
        orders: those that wait, as JSON.
        weights: submission → the file's bytes.
        faults: call → what goes wrong, request by request: a status (0: nothing does), or `CUT` (no answer),
            `HALF` (half of it), `PUT_OFF` (503 that says for how long), `OTHER` (a page of something else).
        later: submission → what it looks like, request by request; the last stays.
    """

    orders: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[str, bytes] = field(default_factory=dict)
    lease_s: float = 120
    ranges: bool = True
    faults: dict[str, list[int | str]] = field(default_factory=lambda: defaultdict(list))
    later: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: Every request: call, headers.
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    submitted: list[tuple[dict[str, Any], bytes | None]] = field(default_factory=list)
    leases: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    beats: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calls(self, name: str) -> list[dict[str, str]]:
        """The headers of all requests of one call."""
        return [headers for call, headers in self.asked if call == name]

    @contextmanager
    def running(self) -> Iterator["Platform"]:
        """Listens, the second time at the same port."""
        server = _Listening(("127.0.0.1", self.port), _Handler)
        server.platform, self.port = self, server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    platform: Platform


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listening

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        platform, path = self.server.platform, self.path.split("?")[0].removeprefix("/api/v1/")
        parts = path.split("/")
        call = self._call(parts)
        platform.asked.append((call, dict(self.headers.items())))
        fault = platform.faults[call].pop(0) if platform.faults[call] else None
        if fault == CUT:
            # A reset, as of a process that was killed.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            raise ConnectionResetError
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, {"detail": "the token is not known here; ask for another"})
        elif fault == PUT_OFF:
            self._send(503, {"detail": "busy"}, {"Retry-After": "0"})
        elif fault == OTHER:
            self._send(200, b"<html>hello</html>")
        elif isinstance(fault, int) and fault:
            self._send(fault, {"detail": f"told to say {fault}", "code": "told" if fault == 422 else ""})
        else:
            getattr(self, f"_{call}")(parts, body, fault)

    def _call(self, parts: list[str]) -> str:
        if parts[0] == "submissions":
            return "submit" if self.command == "POST" else "seen" if len(parts) > 1 else "known"
        return parts[1] if parts[1] == "claim" else parts[2]

    def _submit(self, parts: list[str], body: bytes, fault: object) -> None:
        kind = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        fields = {
            part.get_param("name", header="Content-Disposition"): part.get_payload(decode=True)
            for part in email.message_from_bytes(kind + body).get_payload()
        }
        file = fields.get("file")
        self.server.platform.submitted.append((json.loads(fields["submission"]), file))
        self._send(
            201, {"id": "s1", "state": "queued", "place": 2, "page": "/?submission=s1", "already": False}
        )

    def _known(self, parts: list[str], body: bytes, fault: object) -> None:
        self._send(200, [])

    def _seen(self, parts: list[str], body: bytes, fault: object) -> None:
        platform, name = self.server.platform, parts[1]
        if name in platform.later:
            looks = platform.later[name]
            self._send(200, looks.pop(0) if len(looks) > 1 else looks[0])
        elif name in platform.states:
            self._send(200, {"id": name, "state": platform.states[name], "unknown": "field"})
        else:
            self._send(404, {"detail": "no submission has this id"})

    def _claim(self, parts: list[str], body: bytes, fault: object) -> None:
        platform = self.server.platform
        platform.claims.append(json.loads(body))
        if not platform.orders:
            self._send(204)
            return
        order, lease = platform.orders.pop(0), f"lease-{len(platform.leases)}-secret"
        platform.leases[lease] = order["submission"]
        platform.states[order["submission"]] = "running"
        self._send(200, {"lease": lease, "lease_s": platform.lease_s, "order": order})

    def _weights(self, parts: list[str], body: bytes, fault: object) -> None:
        platform = self.server.platform
        data, asked, headers = platform.weights[platform.leases[parts[1]]], self.headers.get("Range"), {}
        status = 200
        if asked and platform.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            status, data = 206, data[start:]
        self._send(status, data, headers, cut=len(data) // 2 if fault == HALF else None)

    def _heartbeat(self, parts: list[str], body: bytes, fault: object) -> None:
        if self._leased(parts[1]):
            self.server.platform.beats.append(json.loads(body))
            self._send(200, {"expires": 0})

    def _scores(self, parts: list[str], body: bytes, fault: object) -> None:
        if own := self._leased(parts[1]):
            self.server.platform.scores[own, parts[3]] = body
            self._send(204)

    def _finish(self, parts: list[str], body: bytes, fault: object) -> None:
        if own := self._leased(parts[1]):
            self.server.platform.manifests[own] = body
            self._end(parts[1], "scored")

    def _report(self, parts: list[str], body: bytes, fault: object) -> None:
        if self._leased(parts[1]):
            report = json.loads(body)
            self.server.platform.reports.append(report)
            self._end(parts[1], "rejected" if report["kind"] == "model" else "queued")

    def _end(self, lease: str, state: str) -> None:
        self.server.platform.states[self.server.platform.leases.pop(lease)] = state
        self._send(200, {"state": state})

    def _leased(self, lease: str) -> str | None:
        own = self.server.platform.leases.get(lease)
        if own is None:
            self._send(410, {"detail": "the lease is over"})
        return own

    def _send(
        self, status: int, content: Any = b"", headers: dict[str, str] | None = None, cut: int | None = None
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status == 302:
            self.send_header("Location", "http://elsewhere.example/")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        self.close_connection = self.close_connection or cut is not None
