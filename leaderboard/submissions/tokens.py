"""Tokens: who someone is and what they may do, signed by this server, which keeps a hash of each."""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from cosmos1050k.errors import BadFile, InputError

Role = Literal["submitter", "worker", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
TOKENS, SECRET = "tokens.sqlite", "secret.key"

_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_FORM = re.compile(rf"(cosmos_(?:{'|'.join(ROLES)})_[\w-]{{1,400}})\.([\w-]{{43}})", re.ASCII)
_SECRET_BYTES = 32
_MOST_DAYS = 3650
_DAY_S = 24 * 3600.0
#: Seconds that one writer waits for the others.
_PATIENCE_S = 60
_SCHEMA = """create table if not exists tokens (
    id text primary key, sha256 text not null unique, name text not null, role text not null,
    created real not null, expires real not null, revoked real)"""
_ASK = "ask whoever runs this server for a new one"


class Denied(InputError):
    """A token that does not let anybody in."""


@dataclass(frozen=True)
class Identity:
    """Who asks. `id` is the token's."""

    name: str
    role: Role
    id: str


@dataclass(frozen=True)
class Token:
    """What is kept of a token. Times are seconds since 1970; `revoked`: when, or None."""

    id: str
    name: str
    role: Role
    created: float
    expires: float
    revoked: float | None


class Tokens:
    """All tokens of a server. Safe to share between threads and processes."""

    def __init__(self, state: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._key, self._clock = state / TOKENS, state / SECRET, clock

    def create(self, name: str, role: Role, days: int) -> str:
        """A new token, which is told this once: only its hash is kept.

        Raises:
            InputError: the name or the days are unfit, or the folder can't be written.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name[:64]!r} can't be a token's name; take 1 to 64 letters, digits or any of . _ @ -"
            )
        if not 1 <= days <= _MOST_DAYS:
            raise InputError(f"a token can't be good for {days} days; give 1 to {_MOST_DAYS}")
        with self._changing() as connection:
            now, new = self._clock(), secrets.token_hex(8)
            said = {"id": new, "name": name, "role": role, "expires": now + days * _DAY_S}
            signed = f"cosmos_{role}_{_text(json.dumps(said, separators=(',', ':')).encode())}"
            token = f"{signed}.{_signature(self._secret() or self._make_secret(), signed)}"
            connection.execute(
                "insert into tokens values (?, ?, ?, ?, ?, ?, null)",
                [new, _hashed(token), name, role, now, said["expires"]],
            )
        return token

    def check(self, token: str) -> Identity:
        """Whose token it is. What this server did not sign never gets as far as the database.

        Raises:
            Denied: it is none of this server's, ran out, or was revoked.
        """
        form, secret = _FORM.fullmatch(token), self._secret()
        # Texts are compared, not bytes: several texts would be the same bytes.
        if not form or not secret or not hmac.compare_digest(_signature(secret, form[1]), form[2]):
            raise Denied(f"this server did not make this token; {_ASK}")
        said = json.loads(_bytes(form[1].split("_", 2)[2]))
        if said["expires"] <= self._clock():
            raise Denied(f"this token ran out; {_ASK}")
        rows = self._read(
            "select revoked from tokens where id = ? and sha256 = ?", said["id"], _hashed(token)
        )
        if not rows:
            raise Denied(f"this server no longer knows this token; {_ASK}")
        if rows[0]["revoked"] is not None:
            raise Denied(f"this token was revoked; {_ASK}")
        return Identity(said["name"], said["role"], said["id"])

    def list(self) -> Sequence[Token]:
        """All tokens, the newest first.

        Raises:
            InputError: the file can't be read.
        """
        query = f"select {', '.join(Token.__dataclass_fields__)} from tokens order by created desc, id"
        return [Token(**row) for row in self._read(query)]

    def revoke(self, token: str) -> None:
        """Ends a token, by its id.

        Raises:
            InputError: there is none, or the file can't be written.
        """
        with self._changing() as connection:
            done = connection.execute(
                "update tokens set revoked = coalesce(revoked, ?) where id = ?", [self._clock(), token]
            )
            if not done.rowcount:
                raise InputError(
                    f"there is no token {token[:40]!r}; `cosmos token list` lists those there are"
                )

    def _secret(self) -> bytes | None:
        """What the tokens are signed with; None: no token was made yet."""
        try:
            found = self._key.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BadFile(str(self._key), f"can't be read ({error.strerror})", "mend it") from None
        if len(found) != _SECRET_BYTES:
            remedy = "`cosmos restore` a backup, or remove it and make new tokens"
            raise BadFile(str(self._key), "damaged", remedy)
        return found

    def _make_secret(self) -> bytes:
        """The caller is alone in `_changing`; the file is whole when it appears."""
        new, made = self._key.with_name(f".{SECRET}.new"), secrets.token_bytes(_SECRET_BYTES)
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._key)
        return made

    def _read(self, query: str, *values: str) -> Sequence[sqlite3.Row]:
        if not self._path.exists():
            return []
        try:
            with self._opened() as connection:
                return connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._unfit(error) from None

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, in a file that no other user can read."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            with self._opened() as connection, connection:
                connection.execute("begin immediate")
                connection.execute(_SCHEMA)
                yield connection
        except (OSError, sqlite3.Error) as error:
            raise self._unfit(error) from None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=_PATIENCE_S, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection

    def _unfit(self, error: Exception) -> InputError:
        return BadFile(str(self._path), f"no tokens can be kept there ({error})", "mend it")


def _signature(secret: bytes, signed: str) -> str:
    return _text(hmac.digest(secret, signed.encode(), "sha256"))


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
