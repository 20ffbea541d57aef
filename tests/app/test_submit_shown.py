"""What the tab "Submit" shows, without a browser: who sees and may do what, what a page is sent."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from app.api_refusals import AWAY
from app.demo.view import problem
from app.submit import layout, shown
from app.submit import tab as submit
from app.submit.linked import link
from leaderboard.submissions.order import Beat, Report
from tests.app.boards import HOSTILE
from tests.app.submit_tab import Tab, cells, opened
from tests.app.submitting import TERMS

#: What pages may hold of HTML.
TAGS = {
    *("a", "code", "div", "dd", "dl", "dt", "h2", "h3", "p", "pre", "progress", "small", "strong"),
    *("table", "tbody", "td", "th", "thead", "tr"),
}


@pytest.fixture
def tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tab]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "sent"))
    with opened(tmp_path) as made:
        yield made


# What is shown, and to whom


def test_everybody_sees_a_submission_but_not_whose_it_is(tab: Tab) -> None:
    ann, bob, boss = tab.token(), tab.token("bob"), tab.token("boss", "admin")
    entry = tab.submitted(ann)
    for token, sees, may in (
        (ann, True, ["Withdraw"]),
        (boss, True, ["Withdraw", "Hide"]),
        (bob, False, []),
        (tab.token("ann", "worker"), False, []),
        ("", False, []),
    ):
        told = tab.look(token, entry.id)
        assert "Place 1 in the queue" in told[tab.parts.page.head]
        assert tab.may(told) == may
        html = "".join(str(value) for part, value in told.items() if part is not tab.parts.who.said)
        assert ("ann@lab.org" in html, ">ann<" in html) == (sees, sees)
        assert not token or token not in repr(told)
        assert ("weights" in told[tab.parts.queue.disk]) == (token == boss)


def test_what_is_hidden_is_there_for_its_owner_and_admins_alone(tab: Tab) -> None:
    ann, boss = tab.token(), tab.token("boss", "admin")
    entry = tab.submitted(ann)
    told = tab.actions.hide(None, boss, entry.id, layout.EVERYBODY)
    assert tab.may(told) == ["Withdraw", "Show again"]
    for token, sees in ((ann, True), (boss, True), (tab.token("bob"), False), ("", False)):
        told = tab.look(token, entry.id)
        assert ("Hidden" in told[tab.parts.page.head]) == sees
        assert ("There is no submission" in told[tab.parts.page.head]) == (not sees)
        assert ("mine" in told[tab.parts.queue.table]) == sees
        assert ("mine" in tab.actions.tick(None, token, entry.id, "", "")[tab.parts.queue.table]) == sees
    assert "Hidden" not in tab.actions.unhide(None, boss, entry.id, "")[tab.parts.page.head]


@pytest.mark.parametrize("asked", ["nothing", "", "\ud800", "x" * 500, "' or 1=1 --", HOSTILE])
def test_a_submission_that_is_not_there(tab: Tab, asked: str) -> None:
    told = tab.look("", asked)
    assert told[tab.parts.page.whole]["visible"] == bool(asked)
    assert not told[tab.parts.page.timer]["active"]
    assert tab.may(told) == []
    checked(told[tab.parts.page.head])


def test_a_link_opens_a_submission(tab: Tab) -> None:
    entry = tab.submitted(tab.token())

    def asking(query: str) -> Any:
        params = SimpleNamespace(multi_items=lambda: [("tab", "submit"), ("submission", query)])
        return SimpleNamespace(query_params=params)

    told = tab.actions.start(None, asking(entry.id), "", "", layout.EVERYBODY)
    assert told[tab.parts.page.following] == entry.id
    assert "acdc" in told[tab.parts.form.train]["choices"]
    event: Any = SimpleNamespace(query=link(entry.id))
    assert tab.actions.follow(None, event, "", "", layout.EVERYBODY)[tab.parts.page.following] == entry.id
    other = tab.actions.start(None, asking("other"), "", entry.id, layout.EVERYBODY)
    assert other[tab.parts.page.following] == entry.id  # the tab was left and is opened again


# What goes on


def test_a_page_is_sent_only_what_is_new(tab: Tab) -> None:
    page, ann = tab.parts.page, tab.token()
    entry = tab.submitted(ann)
    seen = tab.look("", entry.id)[page.seen]
    assert list(tab.actions.tick(None, "", entry.id, "", seen)) == [page.pulse]
    lease = tab.run(Beat(doing="scoring toy", done=3, total=10))
    told = tab.actions.tick(None, "", entry.id, "", seen)
    assert "<strong>Running</strong>" in told[page.head]
    assert "scoring toy, 3 of 10." in told[page.pulse]
    assert '<progress max="10" value="3"' in told[page.pulse]
    assert re.search(r"last heard of \d s ago", told[page.pulse])
    assert ann not in repr(told)
    tab.desk.report(lease, Report(kind="model", code="fails", message="all failed", log="the log"))
    told = tab.actions.tick(None, "", entry.id, "", told[page.seen])
    assert "fails: the model fails on every image" in told[page.head]
    assert "the log</pre>" in told[page.rest]
    assert told[page.pulse] == ""
    assert not told[page.timer]["active"]


def test_a_run_that_is_tried_again_says_when(tab: Tab) -> None:
    entry = tab.submitted(tab.token())
    tab.run(Report(kind="ours", code="machine", message="no memory", log=""))
    told = tab.look("", entry.id)
    assert re.search(r"tried again in (29|30) s", told[tab.parts.page.pulse])
    assert "no memory" in told[tab.parts.page.head]


def test_the_queue_has_those_under_way_first_as_they_are_served(tab: Tab) -> None:
    ann, bob = tab.token(), tab.token("bob")
    made = [tab.submitted(bob if seed == 2 else ann, seed, name=f"m{seed}") for seed in range(5)]
    tab.desk.withdraw(made[1].id, "ann")
    tab.desk.withdraw(made[3].id, "ann")
    tab.run(Beat(doing="scoring", done=1, total=4))
    rows = cells(tab.look("", "")[tab.parts.queue.table])
    assert [(row[0].split()[0], row[1], row[2], row[4]) for row in rows] == [
        ("m0", "running", "", "1 of 4"),
        ("m2", "queued", "1", ""),
        ("m4", "queued", "2", ""),
        ("m3", "withdrawn", "", ""),
        ("m1", "withdrawn", "", ""),
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", rows[0][3])
    mine = cells(tab.look(ann, "", layout.MINE)[tab.parts.queue.table])
    assert [(row[0].split()[0], row[2]) for row in mine] == [("m0", ""), ("m4", "2"), ("m3", ""), ("m1", "")]
    assert "Say who you are" in tab.look("", "", layout.MINE)[tab.parts.queue.table]


def test_owners_withdraw_and_admins_do_the_rest(tab: Tab) -> None:
    ann, bob, boss = tab.token(), tab.token("bob"), tab.token("boss", "admin")
    entry, of = tab.submitted(ann), tab.actions
    done = tab.parts.page.done
    for token in (bob, "", "nobody's"):
        assert 'role="alert"' in of.withdraw(None, token, entry.id, "")[done]
    for act in (of.requeue, of.hide, of.unhide):
        assert "only an admin" in act(None, ann, entry.id, "")[done].lower()
    assert "alert" in of.requeue(None, boss, entry.id, "")[done]  # it is queued already
    assert of.withdraw(None, ann, "", "") == {done: gr.skip()}  # who was asked was not sure
    assert tab.desk.queue.get(entry.id).state == "queued"
    told = of.withdraw(None, ann, entry.id, "")
    assert "<strong>Withdrawn</strong>" in told[tab.parts.page.head]
    assert tab.may(told) == []
    assert [event.actor for event in tab.desk.queue.events(entry.id)] == ["ann", "app", "app", "ann"]


def test_what_failed_is_queued_again_by_an_admin(tab: Tab) -> None:
    boss, entry = tab.token("boss", "admin"), tab.submitted(tab.token())
    tab.desk.queue.claim("box", 60, TERMS.key, ["sam_nano"])
    tab.desk.queue.move(entry.id, "running", "failed", "box", reason="machine", message="no disk")
    told = tab.look(boss, entry.id)
    assert tab.may(told) == ["Withdraw", "Queue again", "Hide"]
    assert "machine: the server or a worker is at fault" in told[tab.parts.page.head]
    told = tab.actions.requeue(None, boss, entry.id, "")
    assert "Place 1 in the queue" in told[tab.parts.page.head]
    assert told[tab.parts.page.timer]["active"]


def test_paths_of_the_server_are_for_admins(tab: Tab) -> None:
    ann, boss, path = tab.token(), tab.token("boss", "admin"), "/srv/cosmos/data/slug"
    entry = tab.submitted(ann)
    said = {"message": f"{path}: damaged", "reason": "machine"}
    assert tab.desk.queue.move(entry.id, "queued", "running", "app")
    assert tab.desk.queue.move(entry.id, "running", "failed", "app", said["message"], **said)
    for token, whole in (("", False), (ann, False), (boss, True)):
        told = tab.look(token, entry.id)
        for part in (tab.parts.page.head, tab.parts.page.rest):
            assert "slug: damaged" in told[part]
            assert (path in told[part]) == whole


def test_a_queue_that_fails_is_said_without_its_path(tab: Tab, caplog: pytest.LogCaptureFixture) -> None:
    page, away = tab.parts.page, problem(AWAY)
    boss = tab.token("boss", "admin")
    entry = tab.submitted(boss)
    good = tab.desk.queue.path.rename(tab.desk.queue.path.with_name("good"))
    tab.desk.queue.path.write_bytes(b"this is no database" * 1000)
    assert tab.look(boss, entry.id) == {page.following: entry.id, tab.parts.queue.table: away}
    seen = "never"
    assert tab.actions.tick(None, boss, entry.id, "", seen) == {page.pulse: away}
    for act in (tab.actions.withdraw, tab.actions.requeue, tab.actions.hide, tab.actions.unhide):
        assert act(None, boss, entry.id, "") == {page.done: away}
    assert caplog.text.count("the queue can't be used") == 6
    good.replace(tab.desk.queue.path)
    told = tab.actions.tick(None, boss, entry.id, "", seen)
    assert (told[page.pulse], entry.id in told[page.rest]) == ("", True)


def test_what_is_published_leads_to_its_page_on_the_board(tab: Tab) -> None:
    entry = tab.submitted(tab.token())
    tab.desk.queue.claim("box", 60, TERMS.key, ["sam_nano"])
    tab.desk.queue.move(entry.id, "running", "scored", "box")
    tab.desk.queue.move(entry.id, "scored", "published", "app")
    head = tab.look("", entry.id)[tab.parts.page.head]
    assert 'href="?tab=leaderboard&amp;view=model&amp;model=mine"' in head


# Hostile texts


class Tags(HTMLParser):
    """What a browser makes elements of, and the texts between them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(html: str) -> str:
    """The text of HTML that holds nothing that runs."""
    read = Tags()
    read.feed(html)
    for tag, attributes in read.found:
        assert tag in TAGS
        assert not any(name.startswith("on") for name in attributes)
        if tag == "a":
            assert re.match(r"\?tab=|https?://", attributes["href"] or "")
            if not (attributes["href"] or "").startswith("?"):
                assert attributes["rel"] == "noopener nofollow"
    return read.text


def test_texts_of_submitters_and_workers_are_texts(tab: Tab) -> None:
    ann = tab.token()
    more: dict[str, Any] = dict.fromkeys(("licence", "contact", "description"), HOSTILE[:100])
    entry = tab.submitted(ann, link="http://lab.org/?a=1&b=${1+1}{{value}}", **more)
    lease = tab.desk.queue.claim(HOSTILE, 60, TERMS.key, ["sam_nano"])
    assert lease
    tab.desk.beat(lease.id, Beat(doing=HOSTILE, done=1, total=2))
    told = tab.look(ann, entry.id)
    page = tab.parts.page
    assert checked(told[page.rest]).count(HOSTILE[:100]) >= 3
    assert checked(told[page.pulse]).count(HOSTILE) == 2
    tab.desk.queue.move(
        entry.id, "running", "failed", HOSTILE, HOSTILE, reason=HOSTILE, message=HOSTILE, log=HOSTILE
    )
    told = tab.look(ann, entry.id)
    assert checked(told[page.head]).count(HOSTILE) == 2
    assert checked(told[page.rest]).count(HOSTILE) >= 4  # who, note, log, worker
    checked(told[tab.parts.queue.table])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (12.9, "12 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (7200, "2 h"),
        (90_000, "1 d"),
    ],
)
def test_spans_of_time(seconds: float, text: str) -> None:
    assert shown.span(seconds) == text


def test_a_server_that_takes_nothing_says_so() -> None:
    with gr.Blocks() as blocks, gr.Tabs():
        with gr.Tab("Other") as other:
            pass
        with gr.Tab("Submit") as submitting:
            submit.tab(submitting, [other], None)
    (said,) = [one for one in blocks.blocks.values() if isinstance(one, gr.components.Component)]
    assert "takes no submissions" in str(said.value)
    assert not blocks.fns
