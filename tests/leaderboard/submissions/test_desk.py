"""The desk: who is taken, what is handed in, where scores lie, what a kill between two steps leaves."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cosmos1050k.errors import InputError
from cosmos1050k.units import MANIFEST
from leaderboard.evaluate import RunManifest
from leaderboard.finetuned import tensors_sha256
from leaderboard.store.runs import LeftOut
from leaderboard.submissions import keeper, terms
from leaderboard.submissions.declared import Declared, sum_on_base
from leaderboard.submissions.desk import Desk
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.keeper import Keeper
from leaderboard.submissions.order import Claim, Granted, Report
from leaderboard.submissions.publishing import Places
from leaderboard.submissions.refusals import Refused
from tests.app.submitting import TERMS, declaration, decoder, scored, site

CLAIM = Claim(worker="lab 1", devices=("cpu",), sources=TERMS.sources, bases=("sam_nano",))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with site(tmp_path / "state", tmp_path / "uploads") as made:
        yield made.desk


@pytest.fixture
def send(desk: Desk, tmp_path: Path) -> Callable[..., Entry]:
    def sent(name: str = "mine", seed: int = 0, identity: str = "ann", **more: Any) -> Entry:
        file = tmp_path / "sent"
        file.write_bytes(decoder(seed))
        declared = Declared.model_validate(declaration(name, **more))
        receipt = desk.submit(declared, identity, file)
        assert not file.exists()
        return receipt.entry

    return sent


def worked(desk: Desk) -> Granted:
    """Claims what is next, and puts its files where they are gathered."""
    granted = desk.claim(CLAIM)
    assert granted is not None
    table, _ = scored(granted.order)
    for source in granted.order.only:
        desk.staging(granted.lease, source).write_bytes(table)
    return granted


def handed_in(desk: Desk) -> Entry:
    granted = worked(desk)
    return desk.hand_in(granted.lease, scored(granted.order)[1])


def keeping(desk: Desk, monkeypatch: pytest.MonkeyPatch, left: list[LeftOut]) -> Keeper:
    """The desk's keeper, on whose board something is left out."""
    monkeypatch.setattr(keeper, "published", lambda places: left)
    state = desk.queue.path.parent
    return Keeper(desk.queue, desk._intake, desk._folders, Places(state, state, state, state))


def test_a_decoder_is_kept_under_its_sum_and_known_by_its_base(
    desk: Desk, send: Callable[..., Entry]
) -> None:
    entry = send()
    (file,) = (desk.queue.path.parent / "weights").iterdir()
    assert entry.state == "queued"
    assert entry.part == "mask_decoder"
    assert file.stem == entry.tensors_sha256 == tensors_sha256(file)
    assert entry.weights_sha256 == sum_on_base("sam_nano", file.stem) == entry.record.weights_sha256
    assert not list((desk.queue.path.parent / "incoming").iterdir())


def test_the_same_again_is_the_first_one(desk: Desk, send: Callable[..., Entry]) -> None:
    first = send()
    assert send(identity="bob", contact="bob@lab.org") == first
    other = send(name="other")
    assert (other.id, other.tensors_sha256) != (first.id, first.tensors_sha256)
    assert other.tensors_sha256 == first.tensors_sha256
    assert len(desk.queue.entries()) == 2
    desk.withdraw(first.id, "ann")
    assert send().id not in (first.id, other.id)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"name": "box"}, "name-taken"),
        ({"name": "sam_nano"}, "name-taken"),
        ({"name": "mine", "seed": 5}, "name-taken"),
        ({"name": "new", "weights": {"repo": "org/name"}}, "declaration"),
        ({"name": "new", "architecture": "vit_b"}, "shapes"),
    ],
)
def test_what_is_not_taken(desk: Desk, send: Callable[..., Entry], said: dict[str, Any], code: str) -> None:
    send()
    with pytest.raises(Refused) as error:
        send(**said)
    assert error.value.code == code
    assert len(desk.queue.entries()) == len(list((desk.queue.path.parent / "weights").iterdir())) == 1


def test_scores_are_put_in_place_whole_and_a_kill_changes_nothing(
    desk: Desk, send: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    send()
    entry, state = handed_in(desk), desk.queue.path.parent
    assert (entry.state, entry.staged) == ("scored", True)
    folder = state / "scores" / str(entry.weights_sha256) / f"1-cpu-float32-{entry.id}"
    assert not folder.exists()
    kept = keeping(desk, monkeypatch, [])
    # As if killed right after it put them there, twice.
    desk._folders.settle(entry)
    desk._folders.settle(entry)
    kept.keep()
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "sample.parquet", "toy.parquet"]
    assert desk.queue.get(entry.id).state == "published"
    assert not list((state / "staging").iterdir())
    # As if killed after it forgot what was gathered, before it noted that.
    desk._folders.settle(entry)
    assert len(list(folder.iterdir())) == 3


def test_a_stale_source_alone_is_scored_again(
    desk: Desk, send: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = send()
    handed_in(desk)
    keeping(desk, monkeypatch, []).keep()
    state = desk.queue.path.parent
    terms.write(TERMS.model_copy(update={"sources": {**TERMS.sources, "toy": "new"}}), state)
    left = [{"model": "mine", "source": "toy"}, {"model": "box", "source": None}]
    monkeypatch.setattr(desk._reader, "rows", lambda query: left)
    assert [one.id for one in desk.requeue_stale("admin")] == [entry.id]
    assert desk.requeue_stale("admin") == []
    assert desk.claim(CLAIM.model_copy(update={"sources": {"sample": "abc", "toy": "new"}})) is not None
    granted_only = desk._order(desk.queue.entries(states=["running"])[0], desk.terms()).only
    assert granted_only == ("toy",)


def test_sources_that_were_not_scored_again_keep_their_files(
    desk: Desk, send: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = send()
    handed_in(desk)
    keeping(desk, monkeypatch, []).keep()
    folder = desk.queue.path.parent / "scores" / str(entry.weights_sha256) / f"1-cpu-float32-{entry.id}"
    before = (folder / "sample.parquet").stat().st_mtime_ns
    desk.queue.move(entry.id, "published", "queued", "admin", sources='["toy"]')
    again = handed_in(desk)
    desk._folders.settle(again)
    run = RunManifest.model_validate_json((folder / MANIFEST).read_bytes())
    assert set(run.sources) == {"sample", "toy"}
    assert pq.read_table(folder / "sample.parquet").num_rows == 0
    assert before != (folder / "toy.parquet").stat().st_mtime_ns


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"protocol_version": 2}, "another protocol"),
        ({"rows": "all"}, "another protocol"),
        ({"strategies": ("S5",)}, "another set of strategies"),
        ({"sources": {}}, "another set of sources"),
        ({"name": "other"}, "another model"),
        ({"weights_sha256": "0" * 64}, "another model"),
        ({"dtype": "bfloat16"}, "another device or numerics"),
    ],
)
def test_a_run_of_something_else_is_not_taken(
    desk: Desk, send: Callable[..., Entry], change: dict[str, Any], problem: str
) -> None:
    entry, granted = send(), worked(desk)
    run = RunManifest.model_validate_json(scored(granted.order)[1])
    if change.keys() & {"name", "weights_sha256", "dtype"}:
        change = {"declaration": run.declaration.model_copy(update=change)}
    with pytest.raises(InputError, match=problem):
        desk.hand_in(granted.lease, run.model_copy(update=change).model_dump_json().encode())
    assert desk.queue.get(entry.id).state == "running"


@pytest.mark.parametrize("damage", ["missing", "cut", "no manifest"])
def test_a_run_with_a_damaged_file_is_not_taken(desk: Desk, send: Callable[..., Entry], damage: str) -> None:
    entry, granted = send(), worked(desk)
    manifest, file = scored(granted.order)[1], desk.staging(granted.lease, "toy")
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-9])
    else:
        manifest = b"{"
    with pytest.raises(InputError, match=r"toy\.parquet|the manifest"):
        desk.hand_in(granted.lease, manifest)
    assert desk.queue.get(entry.id).state == "running"


def test_what_does_not_get_onto_the_board_says_why(
    desk: Desk, send: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = send()
    handed_in(desk)
    keeping(desk, monkeypatch, [LeftOut("mine", None, "stale: of protocol 1", "")]).keep()
    found = desk.queue.get(entry.id)
    assert (found.state, found.reason) == ("failed", "not-on-board")
    assert "stale" in found.message


def test_withdrawing_removes_weights_that_nobody_else_needs(
    desk: Desk, send: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, state = send(), send(name="other"), desk.queue.path.parent
    handed_in(desk)
    keeping(desk, monkeypatch, []).keep()
    desk.withdraw(first.id, "ann")
    assert desk.queue.board_wanted()
    keeping(desk, monkeypatch, []).keep()
    assert not list((state / "scores").glob("*/*"))
    assert not desk.queue.board_wanted()
    assert len(list((state / "weights").iterdir())) == 1
    desk.withdraw(second.id, "ann")
    assert not list((state / "weights").iterdir())
    with pytest.raises(InputError, match="withdrawn"):
        desk.withdraw(second.id, "ann")


def test_what_is_hidden_is_kept_where_no_board_looks(
    desk: Desk, send: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, state = send(), desk.queue.path.parent
    handed_in(desk)
    keeping(desk, monkeypatch, []).keep()
    desk.hide(entry.id, "boss", True)
    keeping(desk, monkeypatch, []).keep()
    assert not list((state / "scores").glob("*/*"))
    assert len(list((state / "hidden").glob("*/*/*"))) == 3
    desk.hide(entry.id, "boss", False)
    keeping(desk, monkeypatch, []).keep()
    assert len(list((state / "scores").glob("*/*/*"))) == 3
    assert [event.note for event in desk.queue.events(entry.id)][-2:] == ["hidden", "shown again"]


def test_weights_that_were_declared_twice_have_scores_for_each(
    desk: Desk, send: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [send(), send(name="other")]
    for _ in entries:
        handed_in(desk)
        keeping(desk, monkeypatch, []).keep()
    found = sorted((desk.queue.path.parent / "scores").glob("*/[!.]*"))
    assert {path.name for path in found} == {f"1-cpu-float32-{entry.id}" for entry in entries}


def test_a_worker_without_the_boards_sources_gets_nothing(desk: Desk, send: Callable[..., Entry]) -> None:
    send()
    for sources in ({}, {"sample": "abc"}, {"sample": "abc", "toy": "old"}):
        with pytest.raises(InputError, match="cosmos build"):
            desk.claim(CLAIM.model_copy(update={"sources": sources}))
    assert desk.claim(CLAIM) is not None


def test_the_models_fault_ends_it_ours_tries_again(desk: Desk, send: Callable[..., Entry]) -> None:
    broken, unlucky = send("broken"), send("unlucky", seed=1)
    for name, kind in (("broken", "model"), ("unlucky", "ours")):
        granted = desk.claim(CLAIM)
        assert granted is not None
        assert granted.order.record.name == name
        report = Report(kind=kind, code="fails", message="it failed on every image", log="the end")  # type: ignore[arg-type]
        desk.report(granted.lease, report)
    assert (desk.queue.get(broken.id).state, desk.queue.get(broken.id).reason) == ("rejected", "fails")
    assert (desk.queue.get(unlucky.id).state, desk.queue.get(unlucky.id).retries) == ("queued", 1)
    assert desk.claim(CLAIM) is None  # not before its pause is over


def test_without_the_boards_sources_nothing_is_taken(desk: Desk, send: Callable[..., Entry]) -> None:
    terms.write(TERMS.model_copy(update={"sources": {"sample": "new"}}), desk.queue.path.parent)
    with pytest.raises(InputError, match="run `make repro`"):
        send()
    assert not desk.queue.entries()


def test_a_new_protocol_takes_the_place_of_the_old_scores(
    desk: Desk, send: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, state = send(), desk.queue.path.parent
    handed_in(desk)
    keeping(desk, monkeypatch, []).keep()
    terms.write(TERMS.model_copy(update={"protocol_version": 2}), state)
    desk.queue.move(entry.id, "published", "queued", "admin")
    handed_in(desk)
    keeping(desk, monkeypatch, []).keep()
    assert [path.name for path in (state / "scores").glob("*/[!.]*")] == [f"2-cpu-float32-{entry.id}"]
    assert desk.queue.get(entry.id).state == "published"


@pytest.mark.parametrize("state", ["withdrawn", "hidden", "published"])
def test_what_a_kill_left_is_put_right_at_the_next_start(
    desk: Desk, send: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """The queue says what is so; folders follow."""
    entry, folder = send(), desk.queue.path.parent
    handed_in(desk)
    keeping(desk, monkeypatch, []).keep()
    if state == "withdrawn":
        desk.queue.move(entry.id, "published", "withdrawn", "ann")
    elif state == "hidden":
        desk.queue.note(entry.id, "boss", "hidden", hidden=1)
    (folder / "staging" / entry.id).mkdir(parents=True)
    started = keeping(desk, monkeypatch, [])
    monkeypatch.setattr(started, "_threads", [])
    started.start()
    assert {path.parts[-3] for path in folder.glob("*/*/1-cpu-float32-*")} == {
        "withdrawn": set(), "hidden": {"hidden"}, "published": {"scores"},
    }[state]  # fmt: skip
    assert not list((folder / "staging").iterdir())
    assert bool(desk.queue.board_wanted()) is (state != "published")


def test_one_that_is_scored_anew_and_fails_keeps_its_scores_and_its_name(
    desk: Desk, send: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = send()
    handed_in(desk)
    keeping(desk, monkeypatch, []).keep()
    desk.requeue(entry.id, "boss")
    granted = worked(desk)
    desk.report(granted.lease, Report(kind="model", code="limit", message="too long"))
    assert desk.queue.get(entry.id).state == "failed"
    with pytest.raises(Refused) as error:
        send(seed=7, identity="bob")
    assert error.value.code == "name-taken"
    assert desk.requeue(entry.id, "boss").state == "queued"
    worked(desk)
    with pytest.raises(InputError, match="from where it can't be queued"):
        desk.requeue(entry.id, "boss")


def test_scores_that_are_gone_are_made_again_and_keep_nobody_waiting(
    desk: Desk, send: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, other = send("lost"), send("other", seed=1)
    handed_in(desk)
    handed_in(desk)
    shutil.rmtree(desk.queue.path.parent / "staging" / lost.id)
    keeping(desk, monkeypatch, []).keep()
    assert (desk.queue.get(lost.id).state, desk.queue.get(lost.id).retries) == ("queued", 1)
    assert desk.queue.get(other.id).state == "published"


def test_a_board_that_was_made_while_the_terms_changed_is_made_again(
    desk: Desk, send: Callable[..., Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    send()
    handed_in(desk)
    kept = keeping(desk, monkeypatch, [])

    def changing(places: Places) -> list[LeftOut]:
        terms.write(TERMS.model_copy(update={"models": ("box", "grabcut")}), places.state)
        return []

    monkeypatch.setattr(keeper, "published", changing)
    kept.keep()
    assert desk.queue.board_wanted()
    kept.keep()
    assert not desk.queue.board_wanted()


def test_a_worker_gets_what_it_can_do(desk: Desk, send: Callable[..., Entry]) -> None:
    send()
    assert desk.claim(CLAIM.model_copy(update={"bases": ("sam_vit_b",)})) is None
    with pytest.raises(InputError, match="another release"):
        desk.claim(CLAIM.model_copy(update={"speaks": 0}))
    assert desk.claim(CLAIM) is not None


def test_a_folder_has_one_desk_at_a_time(desk: Desk) -> None:
    with pytest.raises(InputError, match="another server"):
        Desk(desk.queue.path.parent)
