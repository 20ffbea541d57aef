"""Tokens against signatures made by hand, tampering, the clock, and what lies on the disk."""

import base64
import hashlib
import hmac
import json
import multiprocessing
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos1050k.errors import InputError
from leaderboard.submissions.tokens import SECRET, TOKENS, Denied, Identity, Token, Tokens

DAY = 24 * 3600.0
TEXT = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokens, str]:
    """Tokens whose database can't be read: what gets as far as that fails otherwise than by `Denied`."""
    state = tmp_path_factory.mktemp("state")
    token = Tokens(state).create("ann", "worker", 1)
    (state / TOKENS).write_bytes(b"no database" * 1000)
    return Tokens(state), token


def signed(secret: bytes, text: str) -> str:
    """The token of a text, by the standard library alone."""
    made = base64.urlsafe_b64encode(hmac.new(secret, text.encode(), hashlib.sha256).digest())
    return f"{text}.{made.decode().rstrip('=')}"


def test_a_token_says_who_it_is_until_it_runs_out_or_is_revoked(tmp_path: Path) -> None:
    clock = Clock()
    tokens = Tokens(tmp_path, clock)
    ann, bob = tokens.create("ann@lab.org", "submitter", 2), tokens.create("bob", "admin", 1)
    found = tokens.check(ann)
    assert (found.name, found.role) == ("ann@lab.org", "submitter")
    assert Tokens(tmp_path, clock).check(bob) == Identity("bob", "admin", tokens.check(bob).id)
    clock.now += DAY
    with pytest.raises(Denied, match="ran out"):
        tokens.check(bob)
    tokens.revoke(found.id)
    revoked = clock.now
    clock.now += 5
    tokens.revoke(found.id)  # once more changes nothing
    with pytest.raises(Denied, match="was revoked"):
        Tokens(tmp_path, clock).check(ann)
    ended = next(token for token in tokens.list() if token.id == found.id)
    assert ended == Token(found.id, "ann@lab.org", "submitter", 1_000_000.0, 1_000_000.0 + 2 * DAY, revoked)
    assert {token.name: token.revoked for token in tokens.list()} == {"ann@lab.org": revoked, "bob": None}
    with pytest.raises(InputError, match="no token 'none'"):
        tokens.revoke("none")


def test_its_form_is_a_signed_record(tmp_path: Path) -> None:
    clock = Clock()
    token = Tokens(tmp_path, clock).create("ann", "submitter", 1)
    text, _, _ = token.partition(".")
    payload = text.removeprefix("cosmos_submitter_")
    said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    identity = Tokens(tmp_path, clock).check(token)
    assert said == {"id": identity.id, "name": "ann", "role": "submitter", "expires": clock.now + DAY}
    assert token == signed((tmp_path / SECRET).read_bytes(), text)


@given(data=st.data())
def test_one_changed_character_is_denied_before_the_database(
    made: tuple[Tokens, str], data: st.DataObject
) -> None:
    tokens, token = made
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(TEXT + ".=+/ é\n").filter(lambda one: one != token[place]))
    with pytest.raises(Denied, match="did not make"):
        tokens.check(token[:place] + other + token[place + 1 :])


@given(text=st.text(max_size=200) | st.from_regex(r"cosmos_admin_[a-z_-]{1,99}\.[a-z_-]{43}", fullmatch=True))
def test_what_is_no_token_is_denied_before_the_database(made: tuple[Tokens, str], text: str) -> None:
    tokens, token = made
    for given_text in (text, token + text[:1] if text else token[:-1], token.replace("worker", "admin")):
        with pytest.raises(Denied, match="did not make"):
            tokens.check(given_text)


def test_the_one_whole_token_does_reach_the_database(made: tuple[Tokens, str]) -> None:
    tokens, token = made
    with pytest.raises(InputError, match="no tokens can be kept") as caught:
        tokens.check(token)
    assert not isinstance(caught.value, Denied)
    assert "\n" not in str(caught.value)


def test_a_signature_alone_lets_nobody_in(tmp_path: Path) -> None:
    """What is signed right and was never made here, as after its row was lost."""
    tokens = Tokens(tmp_path)
    token = tokens.create("ann", "worker", 1)
    (tmp_path / TOKENS).rename(tmp_path / "away")
    with pytest.raises(Denied, match="no longer knows"):
        tokens.check(token)
    tokens.create("bob", "worker", 1)
    with pytest.raises(Denied, match="no longer knows"):
        tokens.check(token)


def test_a_server_without_tokens_denies_and_writes_nothing(tmp_path: Path) -> None:
    elsewhere = Tokens(tmp_path / "other").create("ann", "worker", 1)
    tokens = Tokens(tmp_path / "state")
    with pytest.raises(Denied):
        tokens.check(elsewhere)
    assert not tokens.list()
    assert not (tmp_path / "state").exists()


def test_no_file_holds_a_token_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    state = tmp_path / "state"
    tokens = Tokens(state)
    all_tokens = [tokens.create(f"name{number}", "submitter", 30) for number in range(20)]
    assert len({*all_tokens}) == 20
    files = [path for path in state.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {SECRET, TOKENS}
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        content = path.read_bytes()
        for token in all_tokens:
            payload, _, signature = token.removeprefix("cosmos_submitter_").partition(".")
            raw = base64.urlsafe_b64decode(signature + "=")
            assert not any(part in content for part in (payload.encode(), signature.encode(), raw))
            assert signature not in repr(tokens.list())


def test_names_and_days_that_are_unfit_are_refused(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    for name in ("", "a b", "a\n", "a" * 65, "../up", "ä", "<b>"):
        with pytest.raises(InputError, match="can't be a token's name") as caught:
            tokens.create(name, "worker", 1)
        assert "\n" not in str(caught.value)
    for days in (0, -1, 3651, 10**12):
        with pytest.raises(InputError, match="good for"):
            tokens.create("ann", "worker", days)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_secret_is_said(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    token = tokens.create("ann", "worker", 1)
    (tmp_path / SECRET).write_bytes(b"short")
    for use in (lambda: tokens.check(token), lambda: tokens.create("bob", "worker", 1)):
        with pytest.raises(InputError, match=r"secret\.key: damaged; "):
            use()
    assert [token.name for token in tokens.list()] == ["ann"]


def created(state: Path) -> str:
    return Tokens(state).create("ann", "worker", 1)


def test_processes_that_begin_at_once_share_one_secret(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        made = pool.map(created, [tmp_path] * 16, chunksize=1)
    assert {Tokens(tmp_path).check(token).name for token in made} == {"ann"}
    assert len({Tokens(tmp_path).check(token).id for token in made}) == 16
