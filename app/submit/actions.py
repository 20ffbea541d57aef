"""What the tab's components do: an action gives what changed.

The token comes with every call from the page, which alone holds it; no answer has it.
"""

import hashlib
import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

import gradio as gr

from app.api_identity import SUBMITTED, Rate, admin, owns, sees
from app.api_prompt import sentence
from app.api_refusals import AWAY
from app.demo.view import problem
from app.shown import said
from app.submit import form, layout, shown
from app.submit.linked import clicked, linked
from cosmos1050k import sources
from cosmos1050k.errors import InputError
from leaderboard.submissions.declared import ARCHITECTURES
from leaderboard.submissions.desk import Desk, Receipt
from leaderboard.submissions.entry import Entry, Trouble, Unknown
from leaderboard.submissions.refusals import Refused
from leaderboard.submissions.states import FINAL, STATES, TRANSITIONS, State
from leaderboard.submissions.tokens import Denied, Identity

Update = dict[Any, Any]
#: Submissions of the queue that are shown.
NEWEST = 100
#: Seconds that the queue may be old where a page looks again by itself.
_FRESH_S = 1.0
_ID = re.compile(r"[a-z0-9]{1,40}", re.ASCII)
_UNDER_WAY: tuple[State, ...] = tuple(state for state in STATES if state not in FINAL)

log = logging.getLogger(__name__)


class Actions:
    """The handlers of the tab's events. `profile`: of who is signed in at Hugging Face, in a Space."""

    def __init__(self, parts: layout.Parts, desk: Desk) -> None:
        self._parts, self._desk = parts, desk
        self._rate = Rate(SUBMITTED)
        #: When everybody's submissions were read last, and what they were.
        self._read: tuple[float, tuple[list[Entry], dict[str, int]]] = (-math.inf, ([], {}))

    # What is shown

    def start(
        self,
        profile: gr.OAuthProfile | None,
        request: gr.Request,
        token: str,
        following: str,
        whose: str,
    ) -> Update:
        """The tab was opened: what its link asks for, and the queue."""
        of = self._parts.form
        slugs = gr.update(choices=list(sources.slugs()))
        offered = {of.train: slugs, of.all: slugs, of.unknown: slugs}
        followed = following or linked(request).submission
        return {**offered, **self._shown(profile, token, followed, whose)}

    def look(self, profile: gr.OAuthProfile | None, token: str, following: str, whose: str) -> Update:
        """Somebody said who they are, or wants all anew."""
        return self._shown(profile, token, following, whose)

    def follow(
        self, profile: gr.OAuthProfile | None, event: gr.EventData, token: str, following: str, whose: str
    ) -> Update:
        """A link to a submission was clicked."""
        asked = clicked(str(getattr(event, "query", ""))).submission
        return {self._parts.page.done: "", **self._shown(profile, token, asked, whose)}

    def tick(
        self, profile: gr.OAuthProfile | None, token: str, following: str, whose: str, seen: str
    ) -> Update:
        """The same a moment later: what the page has already is not sent again."""
        try:
            return self._changed(profile, token, following, whose, seen)
        except Trouble as error:  # the next tick may find it gone
            log.warning("%s", error)
            return {self._parts.page.pulse: problem(AWAY)}

    def _changed(
        self, profile: gr.OAuthProfile | None, token: str, following: str, whose: str, seen: str
    ) -> Update:
        try:
            identity = self._identity(token, profile)
        except Denied:  # which was said when it was given
            identity = None
        entry, owner = self._found(identity, str(following))
        found: Update = {self._parts.page.pulse: self._pulse(entry)}
        page = self._page(identity, str(following), entry, owner)
        table: Update = {self._parts.queue.table: self._table(identity, whose, _FRESH_S)}
        had, told = str(seen).split(), [_digest(page), _digest(table)]
        for stamp, part in zip(told, (page, table), strict=True):
            if stamp not in had:
                found |= part
        return found if told == had else {**found, self._parts.page.seen: " ".join(told)}

    def _shown(self, profile: gr.OAuthProfile | None, token: str, following: str, whose: str) -> Update:
        """All but the form."""
        try:
            return self._all(profile, token, str(following), whose)
        except Trouble as error:
            log.warning("%s", error)
            return {self._parts.page.following: str(following), self._parts.queue.table: problem(AWAY)}

    def _all(self, profile: gr.OAuthProfile | None, token: str, following: str, whose: str) -> Update:
        parts, denied = self._parts, ""
        try:
            identity = self._identity(token, profile)
        except Denied as error:
            identity, denied = None, problem(sentence(error))
        entry, owner = self._found(identity, following)
        page = self._page(identity, following, entry, owner)
        table: Update = {parts.queue.table: self._table(identity, whose)}
        return {
            **page,
            **table,
            parts.page.following: following,
            parts.page.pulse: self._pulse(entry),
            parts.page.seen: f"{_digest(page)} {_digest(table)}",
            parts.who.said: denied or shown.signed_in(identity),
            parts.queue.disk: shown.disk(self._desk.disk()) if admin(identity) else "",
        }

    def _page(self, identity: Identity | None, submission: str, entry: Entry | None, owner: bool) -> Update:
        """A submission, but for what changes all the time; its buttons, for who may press them."""
        page = self._parts.page
        whole = {page.whole: gr.update(visible=bool(submission))}
        if entry is None:
            nothing = {button: gr.update(visible=False) for button in page.buttons}
            text = problem(f"There is no submission {submission[:40]!r}.") if submission else ""
            return {**whole, **nothing, page.head: text, page.rest: "", page.timer: gr.update(active=False)}
        place = self._desk.queue.place(entry.id) if entry.state == "queued" else None
        boss = admin(identity)
        may = [
            owner and "withdrawn" in TRANSITIONS[entry.state],
            boss and "queued" in TRANSITIONS[entry.state] and entry.state in FINAL,
            boss and not entry.hidden,
            boss and entry.hidden,
        ]
        return {
            **whole,
            page.head: shown.head(entry, place, paths=boss),
            page.rest: shown.rest(entry, self._desk.queue.events(entry.id), owner, paths=boss),
            page.timer: gr.update(active=entry.state not in FINAL),
            **{button: gr.update(visible=able) for button, able in zip(page.buttons, may, strict=True)},
        }

    def _pulse(self, entry: Entry | None) -> str:
        return shown.pulse(entry, self._desk.queue.clock()) if entry else ""

    def _found(self, identity: Identity | None, submission: str) -> tuple[Entry | None, bool]:
        """A submission that may be seen, and whether it is of who asks, or an admin asks."""
        if not _ID.fullmatch(submission):
            return None, False
        try:
            entry = self._desk.queue.get(submission)
        except Unknown:
            return None, False
        return (entry, owns(identity, entry)) if sees(identity, entry) else (None, False)

    def _table(self, identity: Identity | None, whose: str, old_s: float = 0.0) -> str:
        """The queue as who asks may see it; everybody's may be so many seconds old."""
        if whose != layout.MINE:
            found, places = self._everybodys(old_s)
        elif identity is None:
            return said("Say who you are to see yours: give your token, or sign in.")
        else:
            found, places = self._newest(identity.name)
        return shown.queue([one for one in found if sees(identity, one)], places)

    def _everybodys(self, old_s: float) -> tuple[list[Entry], dict[str, int]]:
        """Read once for all who look at the same time."""
        read, found = self._read
        if time.monotonic() - read > old_s:
            found = self._newest(None)
            self._read = (time.monotonic(), found)
        return found

    def _newest(self, name: str | None) -> tuple[list[Entry], dict[str, int]]:
        """Those under way, as they are served, then those that ended, the newest first; and their places."""
        queue = self._desk.queue
        going = queue.entries(identity=name, states=_UNDER_WAY, limit=NEWEST)
        ended = queue.entries(identity=name, states=FINAL, limit=NEWEST - len(going))
        return [*reversed(going), *ended], queue.places()

    # Who asks

    def _identity(self, token: str, profile: gr.OAuthProfile | None) -> Identity | None:
        """Who asks; None: somebody who looks.

        Raises:
            Denied: the token lets nobody in.
            Trouble: tokens can't be checked now.
        """
        if profile is not None:
            return Identity(f"hf:{profile.username}", "submitter", "")
        text = str(token or "").strip()
        try:
            return self._desk.tokens.check(text) if text else None
        except Denied:
            raise
        except InputError as error:
            raise Trouble(str(error)) from None

    # The form

    def fit(self, architecture: Any) -> Update:
        """Another architecture: what its own model has is chosen."""
        if architecture not in ARCHITECTURES:
            return {self._parts.form.made_for: gr.skip()}
        of, own = self._parts.form, form.defaults(architecture)
        return {
            of.preprocessing: own.preprocessing,
            of.candidates: own.candidates,
            of.made_for: list(own.made_for),
        }

    def place(self, where: str) -> Update:
        """The weights are sent, or on the Hub."""
        at_file = where == layout.FILE
        return {
            self._parts.at_file: gr.update(visible=at_file),
            self._parts.at_hub: gr.update(visible=not at_file),
        }

    def submit(self, profile: gr.OAuthProfile | None, token: str, whose: str, *values: Any) -> Update:
        """Takes what the form holds; what is wrong is said beside it, and the form stays as it is."""
        names = [field.name for field in fields(layout.FormPart)]
        given = dict(zip(names, values, strict=True))
        try:
            got = self._submitted(self._identity(token, profile), given)
        except (Denied, Refused) as error:
            return {self._parts.said: problem(sentence(error))}
        except (InputError, OSError) as error:
            log.warning("%s", error)
            return {self._parts.said: problem(AWAY)}
        return {
            self._parts.said: shown.receipt(got),
            self._parts.page.done: "",
            **self._shown(profile, token, got.entry.id, whose),
        }

    def _submitted(self, identity: Identity | None, given: dict[str, Any]) -> Receipt:
        if identity is None:
            raise Denied("to submit, give your token or sign in first")
        if identity.role == "worker":
            raise Denied("this token is a worker's: a submitter's or admin's is needed here")
        if wait := self._rate.wait_s(identity.name):
            raise Denied(f"that is too often: try again in {wait} seconds")
        told = form.declared(given)
        if told.weights is not None:
            return self._desk.submit(told, identity.name, None)
        with form.sent(given["file"]) as upload:
            return self._desk.submit(told, identity.name, upload)

    # What owners and admins do

    def withdraw(self, profile: gr.OAuthProfile | None, token: str, following: str, whose: str) -> Update:
        """Takes a submission back; its owner and admins may."""
        return self._done(profile, token, following, whose, self._desk.withdraw)

    def requeue(self, profile: gr.OAuthProfile | None, token: str, following: str, whose: str) -> Update:
        """Has a submission scored anew; admins may."""
        return self._done(profile, token, following, whose, self._desk.requeue, by_admin=True)

    def hide(self, profile: gr.OAuthProfile | None, token: str, following: str, whose: str) -> Update:
        """Takes a submission off the board; admins may."""
        act = partial(self._desk.hide, hidden=True)
        return self._done(profile, token, following, whose, act, by_admin=True)

    def unhide(self, profile: gr.OAuthProfile | None, token: str, following: str, whose: str) -> Update:
        """Puts it back; admins may."""
        act = partial(self._desk.hide, hidden=False)
        return self._done(profile, token, following, whose, act, by_admin=True)

    def _done(
        self,
        profile: gr.OAuthProfile | None,
        token: str,
        following: str,
        whose: str,
        act: Callable[[str, str], Entry],
        by_admin: bool = False,
    ) -> Update:
        done = self._parts.page.done
        if not following:  # who was asked is not sure
            return {done: gr.skip()}
        try:
            identity = self._identity(token, profile)
            entry, owner = self._found(identity, str(following))
            if identity is None or entry is None or not (admin(identity) if by_admin else owner):
                raise Denied(f"only {'an admin' if by_admin else 'its owner or an admin'} may do that")
            act(entry.id, identity.name)
        except (Trouble, OSError) as error:
            log.warning("%s", error)
            return {done: problem(AWAY)}
        except InputError as error:
            return {done: problem(sentence(error))}
        return {done: "", **self._shown(profile, token, following, whose)}


def _digest(told: Update) -> str:
    """Equal if the page would show the same."""
    return hashlib.sha256(repr(list(told.values())).encode()).hexdigest()[:16]
