"""One file over HTTP that may take many attempts: each goes on where the one before it, or a kill, ended."""

import http.client
import logging
import os
import re
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator
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

from cosmos1050k.disk import replace_text
from cosmos1050k.errors import InputError
from cosmos1050k.fetch import hosts, kinds
from cosmos1050k.members import KEEP_FREE

_log = logging.getLogger(__name__)
_CHUNK = 2**16
#: A page is read no further than this for what it says.
_PAGE = 2**18
#: Statuses after which the same request may succeed.
_LATER = {408, 425, 429, 500, 502, 503, 504}
#: Content codings that are undone, though none was asked for; another that is known is refused.
_UNDONE, _REFUSED = {"gzip", "x-gzip", "deflate"}, {"br", "zstd", "compress"}
_BY_HAND = "get it by hand"


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
    """Of which file a part is: its address, size in bytes, what `If-Range` takes (RFC 9110, 13.1.5), and
    whether the server gave parts when it was last asked for one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str
    size: int | None
    validator: str | None
    parts: bool = True


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

    After a call, `sure` says whether the server told where the file ends.
    """

    def __init__(self, name: str, part: Path, patience: Patience | None = None) -> None:
        self._name, self._part, self._patience = name, part, patience or Patience()
        self.sure = True
        self._note_path = part.with_name(part.name + ".json")

    def __call__(self, url: str, output_file: Any, pooch: object = None) -> None:
        """Fetches `url` and puts it, whole, in the place of `output_file`; the part stays (`discard`).

        Raises:
            InputError: it can't be fetched; what came of it is kept, and where the server can give parts, the
                next call goes on from there.
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
                    raise self._bad(f"{told}; fetch again then{self._kept(url)}") from None
                if failures >= patience.tries:
                    told = f"{_host(url)}: {problem}, {failures} times in a row"
                    raise self._bad(told + (self._kept(url) or "; fetch again later")) from None
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
            raise self._bad(f"{_host(url)} can't be trusted ({_why(error)}); {_BY_HAND}") from None
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _Again(_why(error)) from None
        except requests.RequestException as error:
            raise self._bad(f"{url} leads nowhere ({_why(error)}); {_BY_HAND}") from None
        except ValueError as error:  # of the Location that it gives
            raise self._bad(f"{url} leads on to what is no address ({_why(error)}); {_BY_HAND}") from None
        with answer:
            page = self._page(answer)
            if page is None:
                self._take(answer, url, have, note)
                return
            confirmed = None if onward else hosts.confirmed(page, answer.url)
        if confirmed is None:
            said = f" titled {hosts.title(page)!r}" if hosts.title(page) else ""
            raise self._bad(f"{_host(url)} answers with a web page{said}, not with the file; {_BY_HAND}")
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

    def _take(self, answer: requests.Response, url: str, have: int, note: _Note | None) -> None:
        """Writes the body of an answer behind the bytes that are there, of the file that is noted, or anew.

        Raises:
            _Again: the server may give it later, or gave only part of it.
            InputError: it won't.
        """
        status, host = answer.status_code, _host(answer.url)
        if status in _LATER:
            raise _Again(f"the answer is {status} {answer.reason}", _retry_after(answer))
        total, encoding = self._total(answer, have), _encoding(answer, self._name)
        other = total is None or bool(encoding) or (note is not None and _of_another(answer, total, note))
        if status in (206, 416) and other:
            self.discard()
            raise _Again("the answer is another part than was asked for")
        self.sure = total is not None or bool(encoding) or answer.raw.chunked
        if status == 416:
            return  # the part is the whole
        if status not in (200, 206):
            raise self._bad(_refusal(answer, url))
        if encoding in _REFUSED:
            raise self._bad(f"{host} sends it as {encoding}, which was not asked for; {_BY_HAND}")
        validator = None if encoding else _validator(answer)
        parts = True
        if status == 200 and have:
            _log.warning("%s: another file now, or %s can't give parts; from the beginning", self._name, host)
            have, parts = 0, note is None or note.validator != validator
        if encoding:
            total = None
        fresh = _Note(url=url, size=total, validator=validator, parts=parts)
        self._make_room(total, have)
        try:
            self._write(answer, fresh, have, bool(encoding))
        except OSError as error:
            problem = f"can't be written ({error.strerror}); make room or mend {self._part.parent}"
            raise self._bad(f"{problem}, and fetch again{self._kept(url)}") from None
        except (urllib3.exceptions.HTTPError, zlib.error) as error:
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
            body = answer.raw.stream(_CHUNK, decode_content=False)
            for chunk in _decoded(body) if decode else body:
                if not have and file.tell() == 0:
                    self._refuse_page(chunk)
                file.write(chunk)
                bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())

    def _refuse_page(self, start: bytes) -> None:
        if kinds.is_page(start) and not self._name.lower().endswith((".html", ".htm")):
            raise self._bad(f"the answer is a web page, not the file; {_BY_HAND}")

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

    def _kept(self, url: str) -> str:
        """A message's end: how many bytes the next fetch need not fetch again; empty if there are none."""
        note, have = self._note(url), self._have()
        if not (have and note and note.validator and note.parts):
            return ""
        return f"; {have} bytes are kept, and the next fetch goes on from there"

    def _note(self, url: str) -> _Note | None:
        """What the part is a part of, if it is one of this address's file."""
        try:
            note = _Note.model_validate_json(self._note_path.read_bytes())
        except (FileNotFoundError, ValidationError):  # a lost note costs the part, nothing else
            return None
        return note if note.url == url else None

    def _bad(self, problem: str) -> InputError:
        return InputError(f"{self._name}: {problem}")


def _refusal(answer: requests.Response, url: str) -> str:
    """Why a server gives nothing, and what helps."""
    status, host, told = answer.status_code, _host(answer.url), f"{answer.status_code} {answer.reason}"
    if status in (401, 403, 407):
        return f"{host} refuses it ({told}); it may want an account: {_BY_HAND}"
    if status in (404, 410):
        return f"{host} has it no longer ({told}), at {url}; look for where it lies now, and {_BY_HAND}"
    return f"{host} answers {told}; {_BY_HAND}"


def _encoding(answer: requests.Response, name: str) -> str:
    """The coding of an answer's body; empty if it is the file as it is.

    A server that calls a file's own compression a coding of it is common, and so are words that are none.
    """
    given = answer.headers.get("Content-Encoding", "").strip().lower()
    own = name.lower().endswith((".gz", ".tgz"))
    return given if given in _REFUSED or (given in _UNDONE and not own) else ""


def _decoded(body: Iterable[bytes]) -> Iterator[bytes]:
    """Undoes gzip or zlib, to the end that they mark.

    Raises:
        _Again: it does not come.
        zlib.error: it is neither.
    """
    decoder = None
    for chunk in body:
        rest = chunk
        while rest:
            if decoder is None or decoder.eof:  # gzip may have several members
                decoder = zlib.decompressobj(wbits=47)
            yield decoder.decompress(rest)
            rest = decoder.unused_data
    if decoder is not None and not decoder.eof:
        raise _Again("the answer is cut off")


def _of_another(answer: requests.Response, total: int, note: _Note) -> bool:
    """Whether a part is of another file or version than is noted, though `If-Range` forbids that."""
    if total != (note.size or total):
        return True
    name = "Last-Modified" if (note.validator or "").endswith(" GMT") else "ETag"
    return answer.headers.get(name, note.validator) != note.validator


def _validator(answer: requests.Response) -> str | None:
    """What tells this version of a file from another: a strong ETag, or else the time of its last change.

    None where there is neither, or the server says that it gives no parts.
    """
    if answer.headers.get("Accept-Ranges", "").strip().lower() == "none":
        return None
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
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())[:120]


def _deeper(error: Exception) -> Exception | None:
    reason = getattr(error, "reason", None)
    if isinstance(reason, Exception):
        return reason
    return next((part for part in reversed(error.args) if isinstance(part, Exception)), None)
