"""One file over HTTP that may take many attempts: each goes on where the one before it, or a kill, ended."""

import http.client
import logging
import os
import re
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from pydantic import BaseModel, ConfigDict, ValidationError
from tqdm import tqdm

from cosmos1050k.errors import InputError
from cosmos1050k.fetch import hosts, kinds
from cosmos1050k.index import replace_text
from cosmos1050k.members import KEEP_FREE

_log = logging.getLogger(__name__)
_CHUNK = 2**16
#: A page is read no further than this for what it says.
_PAGE = 2**18
#: Statuses after which the same request may succeed.
_LATER = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for, in seconds, and how often it is asked without a byte of progress.

    Args:
        stall_s: the longest silence within an answer.
        backoff_s: the first wait between two attempts; each further one without progress doubles it.
        longest_s: no wait is longer; a server that asks for a longer one is left alone.
    """

    connect_s: float = 30
    stall_s: float = 60
    tries: int = 6
    backoff_s: float = 1
    longest_s: float = 300


class _Note(BaseModel):
    """Of which file a part is: its address, size in bytes, and what `If-Range` takes (RFC 9110, 13.1.5)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str
    size: int | None
    validator: str | None


class _Again(Exception):
    """An attempt that ended early, and why; `wait` is how many seconds the server wants to be left."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Downloader:
    """Fetches one address into a file by way of a `.part` that outlives the process; a downloader for pooch.

    Args:
        name: what messages call the file; its ending says what it should be.
        part: where the file grows; what it is a part of is noted beside it.
    """

    def __init__(self, name: str, part: Path, patience: Patience | None = None) -> None:
        self._name, self._part, self._patience = name, part, patience or Patience()
        self._note_path = part.with_name(part.name + ".json")

    def __call__(self, url: str, output_file: Any, pooch: object = None) -> None:
        """Fetches `url` and puts it, whole, in the place of `output_file`; the part stays (`discard`).

        Raises:
            InputError: it can't be fetched; what came of it is kept, and the next call goes on from there.
        """
        self._fetch(hosts.plain(url))
        output = Path(output_file)
        try:
            output.unlink(missing_ok=True)
            try:
                os.link(self._part, output)
            except OSError:  # a file system without hard links: a kill from here on costs the download
                self._part.rename(output)
        except OSError as error:
            raise self._bad(f"can't be written ({error.strerror}); mend {output.parent}") from None

    def discard(self) -> None:
        """Forgets what was fetched so far."""
        self._part.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def _fetch(self, url: str) -> None:
        failures, best = 0, self._have()
        while True:
            try:
                self._attempt(url)
                return
            except _Again as problem:
                have, patience = self._have(), self._patience
                failures = 1 if have > best else failures + 1
                best = max(best, have)
                wait = problem.wait
                if wait is None:
                    wait = min(patience.backoff_s * 2 ** (failures - 1), patience.longest_s)
                if wait > patience.longest_s:
                    told = f"{_host(url)} wants to be left for {wait:.0f} s"
                    raise self._bad(f"{told}; fetch again then") from None
                if failures >= patience.tries:
                    more = f"; {have} bytes are kept, and the next fetch goes on from there" if have else ""
                    raise self._bad(f"{_host(url)}: {problem}, {failures} times in a row{more}") from None
                _log.warning("%s: %s, %d bytes so far; again in %.0f s", self._name, problem, have, wait)
                time.sleep(wait)

    def _attempt(self, url: str, onward: str | None = None) -> None:
        """One request, and the rest of the file from it.

        Args:
            onward: where a page at `url` that asks for a confirmation leads.
        """
        note = self._note(url)
        have = self._have() if note else 0
        if note and have == note.size:
            return  # a kill came between the last byte and the check
        headers = {"Accept-Encoding": "identity"}
        if note and note.validator and have:
            headers |= {"Range": f"bytes={have}-", "If-Range": note.validator}
        try:
            timeouts = (self._patience.connect_s, self._patience.stall_s)
            answer = requests.get(onward or url, headers=headers, stream=True, timeout=timeouts)
        except requests.exceptions.SSLError as error:
            raise self._bad(f"{_host(url)} can't be trusted ({_why(error)}); fetch it by hand") from None
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _Again(_why(error)) from None
        except requests.RequestException as error:
            raise self._bad(f"{url} leads nowhere ({_why(error)})") from None
        with answer:
            page = self._page(answer)
            if page is None:
                self._take(answer, url, have, note.size if note else None)
                return
            confirmed = None if onward else hosts.confirmed(page, answer.url)
        if confirmed is None:
            said = f" titled {hosts.title(page)!r}" if hosts.title(page) else ""
            raise self._bad(f"{_host(url)} answers with a web page{said}, not with the file")
        self._attempt(url, confirmed)

    def _page(self, answer: requests.Response) -> str | None:
        """The page that a server gives instead of the file, if it does."""
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if answer.status_code != 200 or kind not in ("text/html", "application/xhtml+xml"):
            return None
        if self._name.lower().endswith((".html", ".htm")):
            return None
        try:
            return answer.raw.read(_PAGE, decode_content=True).decode("utf-8", "replace")
        except urllib3.exceptions.HTTPError as error:
            raise _Again(_why(error)) from None

    def _take(self, answer: requests.Response, url: str, have: int, size: int | None) -> None:
        """Writes the body of an answer behind the bytes that are there, of a file of that size, or anew.

        Raises:
            _Again: the server may give it later, or gave only part of it.
            InputError: it won't.
        """
        status, host = answer.status_code, _host(answer.url)
        if status in _LATER:
            raise _Again(f"the answer is {status} {answer.reason}", _retry_after(answer))
        total = self._total(answer, have)
        if status in (206, 416) and (total is None or total != (size or total)):
            self.discard()
            raise _Again("the answer is another part than was asked for")
        if status == 416:
            return  # the part is the whole
        if status in (401, 403, 407):
            raise self._bad(f"{host} refuses it ({status} {answer.reason}); it may want an account")
        if status in (404, 410):
            raise self._bad(f"{host} has it no longer ({status} {answer.reason}), at {url}")
        if status not in (200, 206):
            raise self._bad(f"{host} answers {status} {answer.reason}")
        if status == 200 and have:
            _log.warning("%s: another file now, or %s can't give parts; from the beginning", self._name, host)
            have = 0
        encoding = answer.headers.get("Content-Encoding", "identity").lower()
        # A server that calls a file's own compression an encoding of it is common.
        decode = encoding != "identity" and not self._name.lower().endswith((".gz", ".tgz"))
        if decode:
            total = None
        self._make_room(total, have)
        note = _Note(url=url, size=total, validator=None if decode else _validator(answer))
        try:
            self._write(answer, note, have, decode)
        except OSError as error:
            problem = f"can't be written ({error.strerror}), {self._have()} bytes are kept"
            raise self._bad(f"{problem}; make room or mend {self._part.parent}, and fetch again") from None
        except urllib3.exceptions.HTTPError as error:
            raise _Again(_why(error)) from None
        if total is not None and self._have() != total:
            have = self._have()
            if have > total:
                self.discard()
            raise _Again(f"{have} of {total} bytes came")

    def _write(self, answer: requests.Response, note: _Note, have: int, decode: bool) -> None:
        self._part.parent.mkdir(parents=True, exist_ok=True)
        bar = tqdm(
            desc=self._name,
            total=note.size,
            initial=have,
            unit="B",
            unit_scale=True,
            disable=None,
            leave=False,
        )
        with self._part.open("ab" if have else "wb") as file, bar:
            if not have:  # after the old bytes are gone and before the first new one
                replace_text(self._note_path, note.model_dump_json())
            for chunk in answer.raw.stream(_CHUNK, decode_content=decode):
                if not have and file.tell() == 0:
                    self._refuse_page(chunk)
                file.write(chunk)
                bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())

    def _refuse_page(self, start: bytes) -> None:
        if kinds.is_page(start) and not self._name.lower().endswith((".html", ".htm")):
            raise self._bad("the answer is a web page, not the file")

    def _total(self, answer: requests.Response, have: int) -> int | None:
        """The size of the whole file, if the answer says it and is the part that was asked for."""
        if answer.status_code == 200:
            length = answer.headers.get("Content-Length", "")
            return int(length) if length.isdecimal() else None
        given = answer.headers.get("Content-Range", "")
        form = r"bytes \*/(\d+)" if answer.status_code == 416 else rf"bytes {have}-\d+/(\d+)"
        match = re.fullmatch(form, given)
        if match is None or (answer.status_code == 416 and int(match[1]) != have):
            return None
        return int(match[1])

    def _make_room(self, total: int | None, have: int) -> None:
        self._part.parent.mkdir(parents=True, exist_ok=True)
        free = max(shutil.disk_usage(self._part.parent).free - KEEP_FREE, 0)
        if total is not None and total - have > free:
            needed = f"needs {(total - have) / 2**30:.1f} GiB of disk, but {free / 2**30:.1f} GiB are free"
            raise self._bad(f"{needed}; make room")

    def _have(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _note(self, url: str) -> _Note | None:
        """What the part is a part of, if it is one of this address's file."""
        try:
            note = _Note.model_validate_json(self._note_path.read_bytes())
        except (FileNotFoundError, ValidationError):  # a lost note costs the part, nothing else
            return None
        return note if note.url == url else None

    def _bad(self, problem: str) -> InputError:
        return InputError(f"{self._name}: {problem}")


def _validator(answer: requests.Response) -> str | None:
    """What tells this version of a file from another: a strong ETag, or else the time of its last change."""
    etag = answer.headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    return answer.headers.get("Last-Modified")


def _retry_after(answer: requests.Response) -> float | None:
    """For how many seconds the server wants to be left alone, if it says so."""
    given = answer.headers.get("Retry-After", "")
    if given.isdecimal():
        return float(given)
    try:
        return max((parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds(), 0)
    except (ValueError, TypeError):
        return None


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _why(error: Exception) -> str:
    """What went wrong, in a few words, out of the libraries' nested errors."""
    if isinstance(error, requests.TooManyRedirects):
        return "it is redirected in a circle"
    inner: object = error
    while isinstance(inner, Exception) and (deeper := _deeper(inner)) is not None:
        inner = deeper
    timeouts = (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
    refused = isinstance(inner, urllib3.exceptions.NewConnectionError)  # a timeout too, by its class
    if isinstance(inner, timeouts) and not refused:
        return "no answer in time"
    if isinstance(inner, http.client.IncompleteRead):
        return "the connection broke"
    text = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    text = re.sub(r"\[Errno -?\d+\] ", "", text.rpartition(": ")[2])
    return " ".join(text.split())[:120]


def _deeper(error: Exception) -> Exception | None:
    reason = getattr(error, "reason", None)
    if isinstance(reason, Exception):
        return reason
    return next((part for part in reversed(error.args) if isinstance(part, Exception)), None)
