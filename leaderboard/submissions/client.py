"""What a submitter asks of the platform's server, and what a worker does."""

import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import requests
from pydantic import BaseModel, Field, ValidationError
from tqdm import tqdm

from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.fetch.download import Patience
from leaderboard import weights
from leaderboard.submissions.connection import PIECE, FileBody, Refusal, Server, Tick, pausing
from leaderboard.submissions.declared import Declared
from leaderboard.submissions.order import Beat, Claim, Granted, Order, Report
from leaderboard.submissions.states import FINAL, MEANINGS, State

#: Of a heartbeat: who sends it has a child to watch.
_BRIEF = Patience(connect_s=3, stall_s=5, tries=1)


class Receipt(BaseModel):
    """What a submitter gets; `already`: the same was submitted before, and this is it."""

    id: str
    state: State
    place: int | None = None
    page: str
    already: bool


class Seen(BaseModel):
    """A submission as its page shows it, as far as it is followed here."""

    id: str
    state: State
    place: int | None = None
    reason: str = ""
    message: str = ""
    log: str = ""
    doing: str = ""
    done: int = 0
    total: int = 0

    def __str__(self) -> str:
        """Its state in words, such as `queued, place 2: it waits for a worker`."""
        place = f", place {self.place}" if self.place is not None else ""
        # What an earlier run ended with says nothing of this one.
        message = self.message if self.state in FINAL else ""
        return f"{self.state}{place}: {message or MEANINGS[self.state]}"


class Submitting(Server):
    """What a submitter asks."""

    def known(self) -> None:
        """Asks for nothing, so that a token that is not taken is said before a large file is sent.

        Raises:
            InputError: it is not taken, or the server is away.
        """
        self.ask("GET", "submissions?mine=true&limit=1")

    def submit(self, declared: Declared, file: Path | None) -> Receipt:
        """Sends a declaration and, unless its weights lie on the Hub, their file, with a bar.

        Raises:
            InputError: it can't be read or sent, or is refused.
        """
        mark = uuid.uuid4().hex
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        field = f'--{mark}\r\nContent-Disposition: form-data; name="submission"\r\n\r\n'
        head, end = f"{field}{declared.model_dump_json()}\r\n".encode(), f"--{mark}--\r\n".encode()
        if file is None:
            return self.read(Receipt, self.ask("POST", "submissions", head + end, headers=headers))
        named = 'Content-Disposition: form-data; name="file"; filename="weights.safetensors"'
        head += f"--{mark}\r\n{named}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
        try:
            opened = file.open("rb")
        except OSError as error:
            raise BadFile(str(file), f"can't be read ({error.strerror})", "check the name") from None
        size = os.fstat(opened.fileno()).st_size
        bar: tqdm[Any] = tqdm(desc="send", total=size, unit="B", unit_scale=True, disable=None, leave=False)
        with opened, bar:
            # Sent again after a broken connection, it is back at its start.
            body = FileBody(opened, str(file), lambda done: _shown(bar, done), (head, b"\r\n" + end))
            return self.read(Receipt, self.ask("POST", "submissions", body, headers=headers))

    def page(self, receipt: Receipt) -> str:
        """The address of a submission's page."""
        return f"{self.address}/{receipt.page.lstrip('/')}"

    def follow(self, submission: str, poll_s: float = 2) -> Iterator[Seen]:
        """A submission whenever something about it has changed, up to its end.

        Raises:
            InputError: there is none, or the server is away for long.
        """
        last = None
        while last is None or last.state not in FINAL:
            if last is not None:
                time.sleep(poll_s)
            seen = self.read(Seen, self.ask("GET", f"submissions/{submission}"))
            if seen != last:
                yield seen
            last = seen


class Unreadable(InputError):
    """Work that was given, but can't be read here; `lease`: under which, if that can be told."""

    def __init__(self, text: str, lease: str | None) -> None:
        super().__init__(text)
        self.lease = lease


class WorkServer(Server):
    """What a worker asks. A lease is a secret, too: no message holds one."""

    def claim(self, claim: Claim) -> Granted | None:
        """Asks once for work; None: there is none now.

        Raises:
            InputError: the server is away (`Away`), refuses (`Refusal`), or gives what is `Unreadable`.
        """
        once = replace(self.patience, tries=1)
        answer = self.ask("POST", "work/claim", claim.model_dump_json().encode(), patience=once)
        if answer.status_code == 204:
            return None
        try:
            return self.read(Granted, answer)
        except InputError as error:
            raise Unreadable(str(error), _lease(answer.content)) from None

    def beat(self, lease: str, beat: Beat) -> None:
        """A heartbeat, tried once.

        Raises:
            Away: nobody heard it.
            LeaseLost: the work is no longer this worker's.
        """
        self.ask("POST", f"work/{lease}/heartbeat", beat.model_dump_json().encode(), patience=_BRIEF)

    def weights(self, lease: str, order: Order, target: Path, tick: Tick) -> None:
        """Gets the file of a submission's weights; what came before a broken connection, or a kill, is kept.

        Raises:
            InputError: it does not come, or is another one.
            LeaseLost: the work is no longer this worker's.
        """
        if target.exists() and weights.sha256(target) == order.weights_sha256:
            return
        part = target.with_name(f"{target.name}.part")
        stuck = 0
        while (have := _size(part)) < order.weights_bytes and stuck < self.patience.tries:
            pausing(self.patience.backoff_s * stuck, tick)
            self._take(lease, part, have, order.weights_bytes, tick)
            stuck = 0 if _size(part) > have else stuck + 1
        if _size(part) != order.weights_bytes or weights.sha256(part) != order.weights_sha256:
            part.unlink(missing_ok=True)
            raise InputError(
                f"{self.host}: the weights that it sends are not those of its order; it must ask again"
            )
        part.replace(target)

    def _take(self, lease: str, part: Path, have: int, size: int, tick: Tick) -> None:
        """One attempt at the rest of a file."""
        headers = {"Range": f"bytes={have}-"} if have else {}
        path = f"work/{lease}/weights"
        with self.ask("GET", path, headers=headers, stream=True, stays=True, tick=tick) as answer:
            goes_on = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            try:
                with part.open("ab" if have and goes_on else "wb") as file:
                    for piece in answer.iter_content(PIECE):
                        file.write(piece)
                        tick()
                        if file.tell() > size:
                            return
            except requests.RequestException:
                return  # the connection broke: the next attempt goes on
            except OSError as error:
                raise InputError(f"{part}: can't be written ({error.strerror}); make room") from None

    def put(self, lease: str, source: str, scores: BinaryIO, tick: Tick) -> None:
        """Hands in the scores on one source, an open Parquet file.

        Raises:
            InputError: they are refused (`Refusal`), or put off too often (`Away`).
            LeaseLost: the work is no longer this worker's.
        """
        body = FileBody(scores, source, lambda _: tick())
        headers = {"Content-Type": "application/octet-stream"}
        self.ask("PUT", f"work/{lease}/scores/{source}", body, headers=headers, stays=True, tick=tick)

    def finish(self, lease: str, manifest: bytes, tick: Tick) -> State:
        """Hands in the manifest, and with it the work; returns the submission's state. Raises: as `put`."""
        return self._ended(f"work/{lease}/finish", manifest, tick)

    def report(self, lease: str, report: Report, tick: Tick) -> State:
        """Says why there are no scores; returns the submission's state. Raises: as `put`."""
        return self._ended(f"work/{lease}/report", report.model_dump_json().encode(), tick)

    def _ended(self, path: str, body: bytes, tick: Tick) -> State:
        return self.read(_Ended, self.ask("POST", path, body, stays=True, tick=tick)).state

    def state(self, submission: str) -> State | None:
        """The state of a submission, asked for once; None if the server knows none.

        Raises:
            InputError: as `claim`.
        """
        try:
            return self.read(_Ended, self.ask("GET", f"submissions/{submission}", patience=_BRIEF)).state
        except Refusal as refusal:
            if refusal.status == 404:
                return None
            raise


class _Ended(BaseModel):
    state: State


class _Leased(BaseModel):
    lease: str = Field(pattern="^[A-Za-z0-9_-]{1,100}$")


def _lease(content: bytes) -> str | None:
    try:
        return _Leased.model_validate_json(content).lease
    except ValidationError:
        return None


def _shown(bar: "tqdm[Any]", done: int) -> None:
    bar.n = done
    bar.update(0)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
