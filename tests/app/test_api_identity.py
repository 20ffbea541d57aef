"""Who may ask what by the API: tokens and roles are checked before a body is read, and rates are kept."""

import logging
from pathlib import Path

import pytest

from app.api_identity import FAILURES, SUBMITTED, Rate
from leaderboard.submissions.tokens import SECRET
from tests.app.submitting import Site, asked, bearer, folders, served


def test_without_a_desk_nothing_is_taken_nor_shown(sample_state: Path, tmp_path: Path) -> None:
    api = served(sample_state, folders(tmp_path), None)
    for method, path in (
        ("POST", "submissions"),
        ("GET", "submissions"),
        ("GET", "submissions/none"),
        ("POST", "work/claim"),
        ("PUT", "work/lease/scores/sample"),
    ):
        status, _, answer, read = asked(api, method, path)
        assert (status, read) == (503, 0)
        assert answer["detail"].startswith("This server takes no submissions")
    assert asked(api, "GET", "models")[0] == 200
    assert asked(api, "GET", "submissionsnot")[2].keys() == {"detail"}


def test_who_may_not_is_refused_before_the_body_is_read(ours: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    good = ours.token("ann")["Authorization"].removeprefix("Bearer ")
    bad = good[:-1] + ("A" if good[-1] != "A" else "B")
    ended = ours.desk.tokens.create("old", "submitter", 1)
    ours.desk.tokens.revoke(ours.desk.tokens.check(ended).id)
    for headers in ({}, bearer(bad), bearer(ended), bearer(""), {"Authorization": f"Basic {good}"}):
        status, told, answer, read = asked(ours.api, "POST", "submissions", headers)
        assert (status, answer["code"], told["www-authenticate"], read) == (401, "token", "Bearer", 0)
        assert not any(text in str(answer) for text in (good, bad, ended))
    for role, path, status in (
        ("worker", "submissions", 403),
        ("submitter", "work/claim", 403),
        ("admin", "work/claim", 403),
        ("submitter", "work/lease/finish", 403),
    ):
        found = asked(ours.api, "POST", path, ours.token("bob", role))
        assert (found[0], found[2]["code"], found[3]) == (status, "role", 0)
    assert asked(ours.api, "PUT", "work/lease/scores/sample")[::3] == (401, 0)
    # A token that is no good is not taken as nobody's.
    assert asked(ours.api, "GET", "submissions", bearer(bad))[0] == 401
    assert asked(ours.api, "GET", "submissions")[0] == 200
    assert asked(ours.api, "GET", "submissions", {"Authorization": f"bearer {good}"})[0] == 200
    assert not any(text in caplog.text for text in (good, bad, ended))


def test_a_path_that_a_proxy_puts_in_front_opens_no_way_around(ours: Site) -> None:
    for method, path in (("POST", "submissions"), ("POST", "work/claim"), ("PUT", "work/a/scores/toy")):
        assert asked(ours.api, method, path, root="/cosmos")[::3] == (401, 0)
        assert asked(ours.api, method, path, root="/api/v1")[::3] == (401, 0)
    assert asked(ours.api, "GET", "submissions", root="/cosmos")[0] == 200


def test_tokens_that_cant_be_checked_are_our_fault(ours: Site) -> None:
    ann = ours.token()
    (ours.desk._state / SECRET).write_bytes(b"short")
    status, _, answer, read = asked(ours.api, "POST", "submissions", ann)
    assert (status, answer["code"], read) == (503, "", 0)
    assert SECRET not in answer["detail"]


def test_failed_attempts_are_few_and_a_good_token_is_let_in(ours: Site) -> None:
    statuses = [asked(ours.api, "POST", "work/claim", bearer("guess"))[0] for _ in range(FAILURES + 2)]
    assert statuses == [401] * FAILURES + [429] * 2
    status, told, answer, read = asked(ours.api, "POST", "submissions")
    assert (status, answer["code"], read) == (429, "", 0)
    assert 1 <= int(told["retry-after"]) <= 60
    assert asked(ours.api, "POST", "submissions", ours.token())[0] != 429


def test_one_identity_does_not_submit_without_end(ours: Site) -> None:
    ann = ours.token("ann")
    assert {asked(ours.api, "POST", "submissions", ann)[0] for _ in range(SUBMITTED)} == {422}
    assert asked(ours.api, "POST", "submissions", ours.token("ann"))[::3] == (429, 0)
    assert asked(ours.api, "GET", "submissions", ann)[0] == 200
    assert asked(ours.api, "POST", "submissions", ours.token("bob"))[0] == 422


def test_a_rate_begins_anew_and_remembers_few_names() -> None:
    now = 0.0
    rate = Rate(2, lambda: now)
    assert [rate.wait_s("a"), rate.wait_s("a")] == [0, 0]
    now = 45.5
    assert [rate.wait_s("a"), rate.wait_s("b")] == [15, 0]
    now = 60.0
    assert [rate.wait_s("a"), rate.wait_s("a"), rate.wait_s("a")] == [0, 0, 60]
    for number in range(25_000):
        assert rate.wait_s(f"name {number}") == 0
    assert len(rate._seen) <= 10_000
