"""Owners' checkpoints from a real server, and users' own: converted whole and right, or not at all."""

import fcntl
import hashlib
import socket
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from cosmos1050k.errors import InputError
from leaderboard import weights
from leaderboard.sam import network
from tests.cosmos1050k.fetch.site import Site
from tests.leaderboard.checkpoints import (
    HASTY,
    NAME,
    declare,
    listed,
    pickled,
    refused,
    same,
    state,
)  # fmt: skip
from tests.leaderboard.sam.images import seeded

MADE = [f"{NAME}.safetensors"]


@pytest.fixture(scope="module")
def content() -> bytes:
    return pickled(state())


def fetch(**more: object) -> str:
    return weights.fetch(NAME, patience=HASTY, **more)  # type: ignore[arg-type]


# The registry


@pytest.mark.parametrize("name", weights.OFFICIAL)
def test_a_record_is_complete(name: str) -> None:
    checkpoint = weights.OFFICIAL[name]
    assert checkpoint.name == name
    assert checkpoint.architecture in network.ARCHITECTURES
    assert checkpoint.url.endswith(f"/{checkpoint.file}")
    assert all((checkpoint.sum_from, checkpoint.licence, checkpoint.citation))


def test_no_two_records_are_of_one_file() -> None:
    for field in ("url", "file", "sha256"):
        assert len({getattr(one, field) for one in weights.OFFICIAL.values()}) == len(weights.OFFICIAL)


# Fetching


def test_fetched_checked_and_converted_once(
    project: Path, site: Site, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    site.put("/sam.pth", content)
    checkpoint = declare(monkeypatch, content, site.url("/sam.pth"))
    assert fetch() == "made"
    assert same(load_file(weights.path(NAME)), state())
    assert listed(project) == MADE
    origin = weights.origin(weights.path(NAME))
    assert origin == weights.Origin(name=NAME, architecture="tiny", sha256=checkpoint.sha256)
    before = weights.path(NAME).stat().st_mtime_ns
    assert fetch() == "there"
    assert weights.path(NAME).stat().st_mtime_ns == before
    assert len(site.requests) == 1


@pytest.mark.slow
def test_a_cut_download_is_gone_on_with_by_the_next_call(
    project: Path, site: Site, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    site.put("/sam.pth", content, script=[site.cut(100_000), *[site.status(503)] * HASTY.tries])
    checkpoint = declare(monkeypatch, content, site.url("/sam.pth"))
    with refused("503", "100000 bytes are kept", f"get {checkpoint.url} elsewhere", f"{NAME} --from FILE"):
        fetch()
    site.files["/sam.pth"].script.clear()
    assert fetch() == "made"
    assert site.requests[-1].range == "bytes=100000-"
    assert sum(site.served) == len(content)
    assert listed(project) == MADE


@pytest.mark.slow
def test_a_conversion_that_failed_costs_no_second_download(
    project: Path, site: Site, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    site.put("/sam.pth", content)
    declare(monkeypatch, content, site.url("/sam.pth"))
    with monkeypatch.context() as patched:
        patched.setattr(weights, "TIMEOUT_S", 0.01)
        with refused("not converted within"):
            fetch()
    assert f"{NAME}.safetensors" not in listed(project)
    assert fetch() == "made"
    assert len(site.requests) == 1
    assert listed(project) == MADE


@pytest.mark.slow
def test_another_file_is_thrown_away(
    project: Path, site: Site, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    checkpoint = declare(monkeypatch, content, site.url("/sam.pth"))
    site.put("/sam.pth", pickled(state(1)))
    with refused(checkpoint.file, site.url("/sam.pth"), f"not {checkpoint.sha256[:12]}"):
        fetch()
    assert listed(project) == []
    site.put("/sam.pth", content, etag='"2"')
    assert fetch() == "made"


def test_without_a_network_one_line_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"http://127.0.0.1:{server.getsockname()[1]}/sam.pth"
    checkpoint = declare(monkeypatch, content, closed)
    with refused(checkpoint.file, "refused", f"cosmos weights {NAME} --from FILE"):
        fetch()
    assert listed(project) == []


@pytest.mark.slow
def test_the_owner_s_file_may_be_kept_and_is_taken_again(
    project: Path, site: Site, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    site.put("/sam.pth", content)
    checkpoint = declare(monkeypatch, content, site.url("/sam.pth"))
    assert fetch(keep=True) == "made"
    assert listed(project) == sorted([checkpoint.file, *MADE])
    assert (weights.WEIGHTS / checkpoint.file).read_bytes() == content
    weights.path(NAME).unlink()
    assert fetch() == "made"
    assert len(site.requests) == 1
    (weights.WEIGHTS / checkpoint.file).write_bytes(content[:-1])
    weights.path(NAME).unlink()
    with refused(checkpoint.file, "another file than the owner's", "remove it"):
        fetch()


@pytest.mark.slow
def test_the_owner_s_file_may_come_by_hand(
    project: Path, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    declare(monkeypatch, content, site.url("/sam.pth"))
    by_hand, other = tmp_path / "downloads (1).pth", tmp_path / "other.pth"
    by_hand.write_bytes(content)
    other.write_bytes(pickled(state(1)))
    with refused(str(other), "another file than the owner's"):
        fetch(file=other)
    with refused("nowhere.pth", "No such file"):
        fetch(file=Path("nowhere.pth"))
    assert fetch(file=by_hand) == "made"
    assert same(load_file(weights.path(NAME)), state())
    assert by_hand.exists()
    assert site.requests == []


def test_what_is_not_the_owner_s_is_neither_used_nor_replaced(
    project: Path, site: Site, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    declare(monkeypatch, content, site.url("/sam.pth"))
    with refused(f"{NAME}.safetensors: missing", f"run `cosmos weights {NAME}`"):
        weights.path(NAME)
    weights.WEIGHTS.mkdir(parents=True)
    place = weights.WEIGHTS / f"{NAME}.safetensors"
    save_file(state(1), place)
    before = place.read_bytes()
    for call in (fetch, lambda: weights.path(NAME)):
        with refused(str(place), "of unknown origin", "remove it"):
            call()
    assert place.read_bytes() == before
    place.write_bytes(before[:-1])
    for call in (fetch, lambda: weights.path(NAME)):
        with refused(str(place), "damaged"):
            call()


def test_two_processes_never_make_the_same_weights(project: Path) -> None:
    weights.WEIGHTS.mkdir(parents=True)
    with (weights.WEIGHTS / f".{NAME}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with refused(NAME, "another process"):
            fetch()


def test_an_unknown_name_says_the_known(project: Path) -> None:
    with refused("'sam'", *weights.OFFICIAL):
        weights.fetch("sam")
    assert not weights.WEIGHTS.exists()


def test_a_sum_is_made_anew_when_the_file_changes(project: Path) -> None:
    file = project / "file"
    for content in (b"a", b"bc"):
        file.write_bytes(content)
        assert weights.sha256(file) == hashlib.sha256(content).hexdigest()
    with pytest.raises(InputError, match="can't be read"):
        weights.sha256(project)


@pytest.mark.slow
def test_the_real_architecture(project: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """375 MB of random weights, cut twice on their way."""
    expected = dict(seeded("vit_b").state_dict())
    content = pickled(expected)
    site.put("/sam.pth", content, script=[site.cut(100_000_000), site.cut(200_000_000)])
    declare(monkeypatch, content, site.url("/sam.pth"), architecture="vit_b")
    assert fetch() == "made"
    assert sum(site.served) == len(content)
    assert same(load_file(weights.path(NAME)), expected)
    assert listed(project) == MADE
