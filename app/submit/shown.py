"""The texts of the tab, made of what the queue holds. All that submitters and workers wrote is escaped."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from app import board, links
from app.api_refusals import without_paths
from app.place import Place
from app.shown import said
from app.submit.linked import SUBMIT, Link, link
from app.table import Column, Table, Value
from leaderboard.submissions.declared import Declared
from leaderboard.submissions.desk import Receipt
from leaderboard.submissions.entry import Entry, Event
from leaderboard.submissions.refusals import CODES
from leaderboard.submissions.states import MEANINGS
from leaderboard.submissions.tokens import Identity

#: Reasons beside those of a refusal: what the platform is at fault for.
_FAULTS = {
    "machine": "the server or a worker is at fault",
    "lost": "workers vanished with it",
    "not-on-board": "its scores did not fit the board",
}
_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600


def signed_in(identity: Identity | None) -> str:
    """HTML of who somebody is."""
    if identity is None:
        return ""
    return f'<p class="demo-note">You are <strong>{escape(identity.name)}</strong>, {_A[identity.role]}.</p>'


def receipt(got: Receipt) -> str:
    """HTML of what a submitter gets."""
    entry = got.entry
    what = "The same was submitted before: this is it," if got.already else "Received as"
    place = f", place {got.place} in the queue" if got.place else ""
    follow = f'<a href="{escape(link(entry.id))}">Its page follows it to the end</a>'
    return (
        f'<p class="submit-said" role="status">{what} <strong>{escape(entry.id)}</strong>'
        f"{place}. {follow}; you may close this one.</p>"
    )


def head(entry: Entry, place: int | None, paths: bool) -> str:
    """HTML: which submission it is, its state in words, and why it ended, with the server's paths if so."""
    ill = " submit-ill" if entry.state in ("rejected", "failed") else ""
    where = f" Place {place} in the queue." if place else ""
    if entry.state == "published" and not entry.hidden:
        href = escape(board.model_link(Place(), entry.name))
        where = f' <a href="{href}">Its page on the board</a>.'
    hidden = " Hidden: only its owner and admins see it." if entry.hidden else ""
    return (
        f'<div class="submit-page">{links.html(Link(entry.id), SUBMIT, "Link to this submission")}'
        f"<h2>{escape(entry.name)}</h2>"
        f'<p class="submit-state{ill}" role="status"><strong>{entry.state.capitalize()}</strong>: '
        f"{MEANINGS[entry.state]}.{where}{hidden}</p>{_why(entry, paths)}</div>"
    )


def pulse(entry: Entry, now: float) -> str:
    """HTML: what is going on with it at this moment."""
    if entry.state == "queued" and entry.not_before > now:
        return _line(f"It is tried again in {span(entry.not_before - now)}.")
    if entry.state != "running":
        return ""
    text = f"{entry.worker} is at work"
    if entry.heartbeat is not None:
        text += f", last heard of {span(now - entry.heartbeat)} ago"
    text += f": {entry.doing}, {progress(entry)}." if entry.total else "."
    bar = (
        f'<progress max="{entry.total}" value="{entry.done}" aria-label="Progress"></progress>'
        if entry.total
        else ""
    )
    return _line(text, bar)


def rest(entry: Entry, events: Sequence[Event], owner: bool, paths: bool) -> str:
    """HTML: what is said of the model, what happened, and the end of its log; the server's paths if so."""
    log = (
        f'<h3>The end of its log</h3><pre class="board-command submit-log" role="region" aria-label="Log" '
        f'tabindex="0">{escape(entry.log)}</pre>'
        if entry.log
        else ""
    )
    return (
        f'<div class="submit-page">{board.described(_facts(entry, owner))}{_links(entry.declared)}'
        f"<h3>What happened</h3>{_events(events, owner, paths)}{log}</div>"
    )


def queue(entries: Sequence[Entry], places: Mapping[str, int]) -> str:
    """HTML of a table of submissions, in the order given."""
    if not entries:
        return said("None.")
    columns = [
        Column("Model"),
        Column("State"),
        Column("Place", numeric=True),
        Column("Last heartbeat"),
        Column("Progress"),
    ]
    rows = [
        [
            Value(entry.name, detail=entry.id, heads=True, link=link(entry.id)),
            Value(f"{entry.state}{', hidden' if entry.hidden else ''}", note=MEANINGS[entry.state]),
            Value(str(places.get(entry.id, ""))),
            Value("" if entry.heartbeat is None else moment(entry.heartbeat), look="short"),
            Value(progress(entry) if entry.state == "running" else ""),
        ]
        for entry in entries
    ]
    return Table("Submissions", "", columns, [("", rows)]).box()


def disk(sizes: Mapping[str, int]) -> str:
    """HTML of a line on what lies on the server's disk."""
    parts = ", ".join(f"{name} {_megabytes(size)}" for name, size in sizes.items())
    return f'<p class="demo-note">On the disk: {parts}.</p>'


def progress(entry: Entry) -> str:
    """`3 of 10`; empty if that is not known."""
    return f"{entry.done:,} of {entry.total:,}" if entry.total else ""


def span(seconds: float) -> str:
    """`12 s`, `3 min`, `5 h`, `2 d`."""
    whole = max(0, int(seconds))
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def moment(at: float) -> str:
    """`2026-01-31 12:00:05 UTC`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


_A = {"submitter": "a submitter", "admin": "an admin", "worker": "a worker"}


def _why(entry: Entry, paths: bool) -> str:
    if not (entry.reason or entry.message):
        return ""
    meaning = CODES.get(entry.reason) or _FAULTS.get(entry.reason, "")
    reason = f"{entry.reason}: {meaning}" if meaning else entry.reason
    message = entry.message if paths else without_paths(entry.message)
    return board.described(
        [(name, text) for name, text in (("Reason", reason), ("In full", message)) if text]
    )


def _facts(entry: Entry, owner: bool) -> list[tuple[str, str]]:
    told = entry.declared
    facts = [
        ("Submission", entry.id),
        ("Submitted", moment(entry.created)),
        ("Architecture", told.architecture),
        ("Preprocessing", told.preprocessing),
        ("Masks per prompt", str(told.candidates)),
        ("Made for", ", ".join(told.made_for)),
        ("Trained on", str(told.trained_on)),
        ("Licence", told.licence),
    ]
    if told.description:
        facts.append(("Description", told.description))
    if owner:
        facts += [("Submitted by", entry.identity), ("Contact", told.contact)]
    if entry.worker:
        facts.append(("Worker", entry.worker))
    if entry.weights_sha256:
        part = "its mask decoder" if entry.part == "mask_decoder" else "the whole model"
        facts += [
            ("The file holds", f"{part}, {_megabytes(entry.bytes)}"),
            ("Weights, sha256", entry.weights_sha256),
        ]
    return facts


def _links(told: Declared) -> str:
    found = []
    if told.weights:
        where = f"{told.weights.repo}/tree/{told.weights.revision}"
        found.append(
            _out(f"https://huggingface.co/{where}", f"Weights: {told.weights.repo} on the Hugging Face Hub")
        )
    if told.link:
        found.append(_out(told.link, f"More: {told.link}"))
    return "".join(f"<p>{one}</p>" for one in found)


def _out(href: str, text: str) -> str:
    """A link to where a submitter says: never anything but http and https."""
    if not href.startswith(("https://", "http://")):
        return escape(text)
    return f'<a href="{escape(href)}" rel="noopener nofollow">{escape(text)}</a>'


def _events(events: Sequence[Event], owner: bool, paths: bool) -> str:
    columns = [Column("Time"), Column("State"), *([Column("Who")] if owner else []), Column("Note")]
    rows = [
        [
            Value(moment(event.at), look="short"),
            Value(event.target if event.source != event.target else "–"),
            *([Value(event.actor)] if owner else []),
            Value(event.note if paths else without_paths(event.note)),
        ]
        for event in events
    ]
    return Table("What happened", "", columns, [("", rows)]).box()


def _line(text: str, more: str = "") -> str:
    return f'<div class="submit-page"><p class="demo-note">{escape(text)}</p>{more}</div>'


def _megabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
