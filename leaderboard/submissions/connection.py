"""Requests to the platform's server: with a token that nobody else sees, and tried again."""

import ipaddress
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel, ValidationError

from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.fetch.download import Patience
from leaderboard.submissions.entry import LeaseLost

Said = TypeVar("Said", bound=BaseModel)
#: Called often while something is sent, taken or waited for; what it raises ends that.
Tick = Callable[[], None]

#: Where a token may stand in the environment.
TOKEN = "COSMOS_TOKEN"
PATIENCE = Patience(connect_s=30, stall_s=120, tries=6, backoff_s=1, longest_s=60)
#: So small that a slow line sends one in the time to connect, which is what `requests` allows it.
PIECE = 2**16
_JSON = {"Content-Type": "application/json"}


class Away(InputError):
    """A server that gives no answer for now; `wait`: for how many seconds it wants to be left alone."""

    def __init__(self, text: str, wait: float = 0) -> None:
        super().__init__(text)
        self.wait = wait


class Refusal(InputError):
    """What the server refuses: the status of HTTP, and a code of `refusals` or nothing."""

    def __init__(self, text: str, status: int, code: str = "") -> None:
        super().__init__(text)
        self.status, self.code = status, code


class _Again(Exception):
    """An attempt that may be made again; `silent`: nobody answered it."""

    def __init__(self, why: str, wait: float = 0, *, silent: bool = False) -> None:
        super().__init__(why)
        self.wait, self.silent = wait, silent


class _Bearer(requests.auth.AuthBase):
    """The token, in the head of every request; as an object, so that no `.netrc` takes its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class FileBody:
    """An open file to send piece by piece, from its start whenever it is asked for.

    Args:
        name: what messages call it.
        sent: called after each piece with how many bytes of the file are sent.
        around: what is sent before and after it.
    """

    def __init__(
        self, file: BinaryIO, name: str, sent: Callable[[int], None], around: tuple[bytes, bytes] = (b"", b"")
    ) -> None:
        self._file, self._name, self._sent, self._around = file, name, sent, around
        self._size = os.fstat(file.fileno()).st_size

    def __len__(self) -> int:
        return self._size + sum(map(len, self._around))

    def __iter__(self) -> Iterator[bytes]:
        before, after = self._around
        yield before
        self._file.seek(0)
        done = 0
        while done < self._size:
            piece = self._file.read(min(PIECE, self._size - done))
            if not piece:
                raise BadFile(self._name, "it became shorter while it was sent", "send it again")
            yield piece
            done += len(piece)
            self._sent(done)
        yield after


class Server:
    """One server, and who asks it. Nothing that it says or raises holds the token."""

    def __init__(
        self, address: str, token: str, *, insecure: bool = False, patience: Patience = PATIENCE
    ) -> None:
        """Raises:
        InputError: no address of a server, no token, or one that would be sent for all to read.
        """
        self.address, self.host, loopback = _address(address)
        self.patience = patience
        #: When it answered last, whatever it said; 0: not yet.
        self.answered = 0.0
        if not token:
            raise InputError(f"no token; give one by --token-file, or in the environment as {TOKEN}")
        if not token.isascii() or not token.isprintable() or " " in token:
            raise InputError("the token holds a character that no token has; copy it again")
        if self.address.startswith("http:") and not loopback and not insecure:
            problem = "the token would be sent over http, for all to read"
            raise InputError(f"{self.address}: {problem}; give an https address, or --insecure")
        self._session = requests.Session()
        self._session.trust_env = not loopback  # no proxy has to see what stays on this machine
        self._session.auth = _Bearer(token)
        self._session.headers["Accept-Encoding"] = "identity"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | FileBody | None = None,
        *,
        headers: Mapping[str, str] = _JSON,
        stream: bool = False,
        patience: Patience | None = None,
        stays: bool = False,
        tick: Tick = lambda: None,
    ) -> requests.Response:
        """An answer that is no refusal.

        Args:
            stream: its body is left to be read, in pieces.
            patience: how often it is asked, and how long is waited.
            stays: while nobody answers at all, it is waited without an end; who puts off is counted.

        Raises:
            Away: it was asked as often as patience lasts.
            Refusal: it will not be given.
            LeaseLost: the server says so.
        """
        own = patience or self.patience
        tried, pause = 0, own.backoff_s
        while True:
            try:
                return self._once(method, path, body, headers, stream, own)
            except _Again as again:
                tried += not (stays and again.silent)
                wait = max(pause, again.wait)
                if tried >= own.tries or wait > own.longest_s:
                    raise Away(f"{self.host}: {again}; try again later", again.wait) from None
            pause = min(2 * pause, own.longest_s)
            pausing(wait, tick)

    def read(self, kind: type[Said], answer: requests.Response) -> Said:
        """What an answer says.

        Raises:
            InputError: something else.
        """
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError:
            remedy = "check --server, and that both are of one release"
            raise InputError(f"{self.host}: what it answers is no {kind.__name__}; {remedy}") from None

    def _once(
        self,
        method: str,
        path: str,
        body: bytes | FileBody | None,
        headers: Mapping[str, str],
        stream: bool,
        patience: Patience,
    ) -> requests.Response:
        try:
            answer = self._session.request(
                method,
                f"{self.address}/api/v1/{path}",
                data=body,
                headers=headers,
                timeout=(patience.connect_s, patience.stall_s),
                allow_redirects=False,
                stream=stream,
            )
            self.answered = time.time()
            if answer.status_code < 300:
                return answer
            with answer:
                text = answer.content
        except requests.exceptions.SSLError:
            problem = "no connection that is safe (TLS) comes about"
            raise InputError(f"{self.host}: {problem}; check the address and its certificate") from None
        except requests.RequestException as error:
            late = isinstance(error, requests.Timeout)
            why = "no answer in time" if late else "it can't be reached, or the connection broke"
            raise _Again(why, silent=True) from None
        raise self._refused(answer, text)

    def _refused(self, answer: requests.Response, text: bytes) -> Exception:
        status, (detail, code) = answer.status_code, _told(text)
        if status < 400:
            onward = line(answer.headers.get("Location", ""))
            return Refusal(f"{self.host}: it redirects to {onward}; give that as the server", status)
        if status == 410:
            return LeaseLost(f"{self.host}: {detail or 'the work is no longer this worker’s'}")
        why = detail or f"it answers {status} {line(answer.reason or '')}"
        # With a code it is the submitter whose share is used up, not the server that is busy.
        if status >= 500 or status in (408, 425) or (status == 429 and not code):
            given = answer.headers.get("Retry-After", "")
            return _Again(why, float(given) if given.isdecimal() else 0)
        return Refusal(f"{self.host}: {why}", status, code)


def token_of(given: str | None, file: Path | None) -> str:
    """The token from an option, a file or the environment; empty if it is nowhere.

    Raises:
        InputError: the file can't be read.
    """
    if given is not None:
        return given
    if file is None:
        return os.environ.get(TOKEN, "")
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no text"
        raise InputError(f"--token-file {file}: can't be read ({why}); check the name") from None


def pausing(seconds: float, tick: Tick) -> None:
    """Sleeps, and ticks meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.5))
        tick()


def _address(address: str) -> tuple[str, str, bool]:
    """A server's address as others are built on it, its host, and whether that is this machine itself."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment:
        raise InputError(f"--server {line(address)}: no address such as https://cosmos.example.org")
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", host, loopback


def _told(text: bytes) -> tuple[str, str]:
    """The sentence of an answer that refuses, and its code."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(told, dict):
        return "", ""
    detail, code = told.get("detail", ""), told.get("code", "")
    said = line(detail if isinstance(detail, str) else json.dumps(detail))
    return said.removesuffix("."), str(code or "")


def line(text: str) -> str:
    """What others wrote, as one line that a terminal shows as it is."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:400]
