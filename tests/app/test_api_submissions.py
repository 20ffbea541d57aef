"""Submitting by the API: what a receipt says, who sees and does what, what is refused and leaves nothing."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.api_refusals import AWAY, without_paths
from leaderboard.store.publish import publish
from leaderboard.submissions import terms
from leaderboard.submissions.order import Claim
from leaderboard.submissions.queue import Queue
from tests.app.boards import Made
from tests.app.submitting import TERMS, Site, asked, declaration, decoder, form, refused, site


def submitted(site: Site, headers: dict[str, str], name: str = "mine", seed: int = 0, **more: Any) -> Any:
    with site.asking(headers) as client:
        return client.post("submissions", **form(declaration(name, **more), decoder(seed)))


def test_a_receipt_leads_to_a_page_that_everybody_sees_less_of(ours: Site) -> None:
    ann, bob, boss = ours.token("ann"), ours.token("bob"), ours.token("boss", "admin")
    answer = submitted(ours, ann, link="https://lab.org/mine")
    assert answer.status_code == 201, answer.text
    receipt = answer.json()
    entry = ours.desk.queue.get(receipt["id"])
    assert receipt == {
        "id": entry.id,
        "state": "queued",
        "place": 1,
        "page": f"?tab=submit&submission={entry.id}",
        "already": False,
    }
    assert (entry.identity, entry.declared.contact, entry.part) == ("ann", "ann@lab.org", "mask_decoder")
    assert ours.desk._intake.folder.path(str(entry.tensors_sha256)).read_bytes() == decoder()
    assert list(ours.uploads.iterdir()) == []
    with ours.asking() as client:
        for headers, sees in ((ann, True), (boss, True), (bob, False), ({}, False)):
            page = client.get(f"submissions/{entry.id}", headers=headers).json()
            assert (page["id"], page["state"], page["place"]) == (entry.id, "queued", 1)
            assert page["identity"] == ("ann" if sees else None)
            assert page["declaration"]["contact"] == ("ann@lab.org" if sees else None)
            assert page["declaration"]["link"] == "https://lab.org/mine"
            assert [event["target"] for event in page["transitions"]] == ["received", "validating", "queued"]
            assert {event["actor"] for event in page["transitions"]} == ({"ann", "app"} if sees else {None})
            if not sees:
                assert "ann" not in json.dumps(page)
        assert "at most 40" in refused(client.get(f"submissions/{'a' * 41}"), 422, "form")
        assert refused(client.get("submissions/none"), 404, "unknown")
        assert refused(client.get("submissions/none/such"), 404, "unknown")
        assert refused(client.delete("submissions", headers=ann), 405, "form")


def test_the_same_again_is_the_first(ours: Site) -> None:
    first = submitted(ours, ours.token("ann")).json()
    again = submitted(ours, ours.token("bob"), contact="bob@lab.org")
    assert (again.status_code, again.json()) == (201, first | {"already": True})
    assert submitted(ours, ours.token("bob"), "other", seed=1).json()["place"] == 2
    assert "another name" in refused(submitted(ours, ours.token("bob"), seed=2), 409, "name-taken")


def test_the_list_is_filtered_and_leaves_out_what_is_hidden(ours: Site) -> None:
    ann, bob, boss = ours.token("ann"), ours.token("bob"), ours.token("boss", "admin")
    ids = [submitted(ours, who, f"m{n}", seed=n).json()["id"] for n, who in enumerate((ann, bob, ann))]
    assert ours.desk.withdraw(ids[0], "ann").state == "withdrawn"
    with ours.asking() as client:

        def listed(headers: dict[str, str] | None = None, **asked: Any) -> list[str]:
            answer = client.get("submissions", params=asked, headers=headers or {})
            return [one["id"] for one in answer.json()["submissions"]]

        assert listed() == ids[::-1]
        assert listed(limit=1) == ids[2:]
        assert listed(state="queued") == [ids[2], ids[1]]
        assert listed(state=["withdrawn", "published"]) == [ids[0]]
        assert listed(ann, mine="true") == [ids[2], ids[0]]
        assert refused(client.get("submissions", params={"mine": "true"}), 401, "token")
        assert refused(client.get("submissions", params={"state": "lost"}), 422, "form")
        assert client.post(f"submissions/{ids[1]}/hide", headers=boss).json()["hidden"] is True
        assert (ids[1] in listed(), ids[1] in listed(ann), ids[1] in listed(bob), ids[1] in listed(boss)) == (
            False,
            False,
            True,
            True,
        )
        assert refused(client.get(f"submissions/{ids[1]}"), 404, "unknown")
        assert client.get(f"submissions/{ids[1]}", headers=bob).status_code == 200
        assert client.post(f"submissions/{ids[1]}/unhide", headers=boss).json()["hidden"] is False
        assert ids[1] in listed()


def test_owners_withdraw_and_admins_do_the_rest(ours: Site, sample: Made) -> None:
    ann, bob, boss = ours.token("ann"), ours.token("bob"), ours.token("boss", "admin")
    worker = ours.token("ann", "worker")
    one = submitted(ours, ann).json()["id"]
    with ours.asking() as client:
        for act in ("requeue", "hide", "unhide"):
            assert "admin is needed" in refused(
                client.post(f"submissions/{one}/{act}", headers=ann), 403, "role"
            )
        assert refused(client.post("submissions/requeue-stale", headers=ann), 403, "role")
        assert "somebody else's" in refused(
            client.post(f"submissions/{one}/withdraw", headers=bob), 403, "role"
        )
        assert refused(client.post(f"submissions/{one}/withdraw", headers=worker), 403, "role")
        assert refused(client.post(f"submissions/{one}/withdraw"), 401, "token")
        assert ours.desk.queue.get(one).state == "queued"
        assert "is queued" in refused(client.post(f"submissions/{one}/requeue", headers=boss), 409, "state")
        assert client.post(f"submissions/{one}/withdraw", headers=ann).json()["state"] == "withdrawn"
        assert refused(client.post(f"submissions/{one}/withdraw", headers=boss), 409, "state")
        assert refused(client.post("submissions/none/withdraw", headers=ann), 404, "unknown")
        last = ours.desk.queue.events(one)[-1]
        assert (last.target, last.actor) == ("withdrawn", "ann")
        publish(sample.path, ours.desk._state)
        stale = client.post("submissions/requeue-stale", headers=boss)
        assert (stale.status_code, stale.json()) == (200, {"submissions": []})


def test_what_is_wrong_is_said_with_a_code_and_nothing_stays(ours: Site) -> None:
    whole = decoder()
    link = {"weights": {"repo": "org/name"}}
    with ours.asking(ours.token()) as client:
        for status, code, word, sent in (
            (422, "pickle", "cosmos convert", form(declaration(), pickle.dumps({"a": 1}))),
            (422, "truncated", "", form(declaration(), whole[:-1])),
            (422, "empty", "", form(declaration(), b"")),
            (422, "shapes", "", form(declaration(architecture="vit_b"), whole)),
            (422, "declaration", "send a file", form(declaration(), None)),
            (422, "declaration", "one of them", form(declaration(**link), whole)),
            (422, "declaration", "licence", form(declaration(licence=""), whole)),
            (422, "declaration", "colour", form(declaration(colour="red"), whole)),
            (422, "declaration", "JSON", {"data": {"submission": "[" * 30_000}}),
            (409, "name-taken", "'box'", form(declaration("box"), whole)),
            (422, "form", "`submission`", {"files": {"file": ("a", whole)}}),
            (422, "form", "`submission`", {"json": declaration()}),
            (422, "form", "`submission`", {"files": {"submission": ("a", b"{}")}}),
            (400, "form", "Too many files", {"files": [("file", ("a", b"a")), ("file", ("b", b"b"))]}),
            (
                400,
                "form",
                "Too many fields",
                {"data": {"submission": "{}", "file": "text"}, "files": {"x": b""}},
            ),
            (400, "form", "Part exceeded", {"data": {"submission": "a" * 100_001}, "files": {"file": b""}}),
            (400, "form", "", {"content": b"--x", "headers": {"content-type": "multipart/form-data"}}),
        ):
            assert word in refused(client.post("submissions", **sent), status, code), (code, word)
    assert list(ours.uploads.iterdir()) == []
    assert ours.desk.queue.entries() == []
    assert list(ours.desk._state.rglob("*.safetensors")) == []


def test_a_files_name_is_never_used(ours: Site) -> None:
    with ours.asking(ours.token()) as client:
        for seed, name in enumerate(("../../../escaped", "/tmp/escaped", "a\0b", "x" * 500, "pickle.pkl")):
            sent = form(declaration(f"m{seed}"), decoder(seed), name)
            assert client.post("submissions", **sent).status_code == 201
    assert not list(ours.uploads.parent.parent.rglob("*escaped*"))
    stored = [path.stem for path in (ours.desk._state / "weights").iterdir()]
    assert sorted(stored) == sorted(str(entry.tensors_sha256) for entry in ours.desk.queue.entries())


@pytest.mark.parametrize(
    ("limit", "code", "word"),
    [("open_at_once", "too-many-open", "withdraw one"), ("weekly_quota", "quota", "of 1 a week")],
)
def test_quotas_answer_429(limit: str, code: str, word: str, tmp_path: Path) -> None:
    with site(tmp_path / "state", tmp_path / "uploads", **{limit: 1}) as ours:
        ann = ours.token()
        assert submitted(ours, ann, "m1", 1).status_code == 201
        assert word in refused(submitted(ours, ann, "m2", 2), 429, code)


def test_submitters_at_once_all_get_a_receipt(tmp_path: Path) -> None:
    """More than are read or checked at once, of one identity."""
    with site(tmp_path / "state", tmp_path / "uploads", open_at_once=99, weekly_quota=99) as ours:
        ann, files = ours.token(), [decoder(seed) for seed in range(24)]
        with ours.asking(ann) as client, ThreadPoolExecutor(24) as threads:
            sent = [form(declaration(f"m{number}"), file) for number, file in enumerate(files)]
            answers = list(threads.map(lambda one: client.post("submissions", **one), sent))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 24
        assert {entry.id for entry in ours.desk.queue.entries(states=["queued"])} == {
            answer.json()["id"] for answer in answers
        }
        assert list(ours.uploads.iterdir()) == []


def test_without_terms_nothing_is_read(ours: Site) -> None:
    (ours.desk._state / terms.TERMS).unlink()
    status, _, answer, read = asked(ours.api, "POST", "submissions", ours.token())
    assert (status, read) == (503, 0)
    assert "terms.json" not in answer["detail"]


#: What must reach neither strangers nor submitters.
PATH = "/srv/cosmos/data/slug"


def test_messages_name_no_folder_but_to_admins(ours: Site) -> None:
    one, boss = ours.submit(), ours.token("boss", "admin")
    said = {"message": f"{PATH}: of another version; run `make repro`", "reason": "machine"}
    assert ours.desk.queue.move(one, "queued", "running", "app")
    assert ours.desk.queue.move(one, "running", "failed", "app", said["message"], **said)
    with ours.asking() as client:
        for headers, path in (({}, "slug"), (ours.token("ann"), "slug"), (boss, PATH)):
            page = client.get(f"submissions/{one}", headers=headers).json()
            (listed,) = client.get("submissions", headers=headers).json()["submissions"]
            for text in (page["message"], listed["message"], page["transitions"][-1]["note"]):
                assert text == f"{path}: of another version; run `make repro`"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a/b.json: missing", "b.json: missing"),
        ("can't read '/a/b c'", "can't read 'b c'"),
        ("(/a/b/) and file:///a//b/c, /d/e", "(b) and file:c, e"),
        ("a/b of org/name, 3/4 and/or ./c/d", "a/b of org/name, 3/4 and/or ./c/d"),
        ("see https://host.org/a/b", "see https://host.org/a/b"),
        ("/", "/"),
    ],
)
def test_of_paths_the_last_part_is_kept(text: str, shown: str) -> None:
    assert without_paths(text) == shown


def test_a_list_asks_for_all_places_at_once(ours: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [ours.submit(f"m{seed}", seed) for seed in range(3)]
    monkeypatch.setattr(Queue, "place", None)
    with ours.asking() as client:
        found = client.get("submissions").json()["submissions"]
    assert {one["id"]: one["place"] for one in found} == dict(zip(ids, (1, 2, 3), strict=True))


def test_a_queue_that_fails_is_told_of_without_its_path(
    ours: Site, sample: Made, caplog: pytest.LogCaptureFixture
) -> None:
    publish(sample.path, ours.desk._state)
    one, worker, boss = ours.submit(), ours.token("w", "worker"), ours.token("boss", "admin")
    claim = Claim(worker="w", devices=("cpu",), sources=TERMS.sources, bases=("sam_nano",)).model_dump(
        mode="json"
    )
    report = {"kind": "ours", "code": "machine", "message": "", "log": ""}
    ours.desk.queue.path.write_bytes(b"this is no database" * 1000)
    for suffix in ("-wal", "-shm"):
        ours.desk.queue.path.with_name(f"{ours.desk.queue.path.name}{suffix}").unlink(missing_ok=True)
    with ours.asking(worker) as at_work, ours.asking(boss) as client:
        found = [
            client.get("submissions"),
            client.get(f"submissions/{one}"),
            client.post("submissions", **form(declaration("other"), decoder(1))),
            client.post("submissions/requeue-stale"),
            *(client.post(f"submissions/{one}/{act}") for act in ("withdraw", "requeue", "hide", "unhide")),
            at_work.post("work/claim", json=claim),
            at_work.get("work/lease/weights"),
            at_work.post("work/lease/heartbeat", json={"doing": "", "done": 0, "total": 0}),
            at_work.put("work/lease/scores/toy", content=b"a"),
            at_work.post("work/lease/finish", content=b"{}"),
            at_work.post("work/lease/report", json=report),
        ]
    assert [(answer.status_code, answer.json()["detail"]) for answer in found] == [(503, AWAY)] * len(found)
    assert caplog.text.count("the queue can't be used") == len(found)
