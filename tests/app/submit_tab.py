"""The tab "Submit" without a browser, on a desk of its own."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from app.submit import layout
from app.submit.actions import Actions, Update
from leaderboard.submissions import terms
from leaderboard.submissions.desk import Desk
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.order import Beat, Claim, Report
from leaderboard.submissions.tokens import Role
from tests.app import submitting
from tests.app.submitting import TERMS

FORM = {
    "name": "mine",
    "architecture": "nano",
    "preprocessing": "sam",
    "candidates": 3,
    "made_for": ["S5", "S6"],
    "where": layout.FILE,
    "file": None,
    "repository": "",
    "hub_file": "",
    "train": ["acdc"],
    "all": ["drive"],
    "unknown": [],
    "others": "none",
    "licence": "CC0",
    "contact": "ann@lab.org",
    "link": "",
    "description": "",
}
decoder = cache(submitting.decoder)


@dataclass
class Tab:
    """The tab's actions as somebody calls them."""

    actions: Actions
    parts: layout.Parts
    desk: Desk
    sent: Path

    def token(self, name: str = "ann", role: Role = "submitter") -> str:
        return self.desk.tokens.create(name, role, 1)

    def upload(self, content: bytes, name: str = "model.safetensors") -> dict[str, str]:
        """What a page says of a file that it sent."""
        path = self.sent / name
        path.write_bytes(content)
        return {"path": str(path)}

    def submit(self, token: str, **changed: Any) -> Update:
        given = {**FORM, **changed}
        values = [given[field.name] for field in fields(layout.FormPart)]
        return self.actions.submit(None, token, layout.EVERYBODY, *values)

    def submitted(self, token: str, seed: int = 0, **changed: Any) -> Entry:
        """One that is taken."""
        told = self.submit(token, file=self.upload(decoder(seed)), **changed)
        return self.desk.queue.get(told[self.parts.page.following])

    def look(self, token: str, following: str, whose: str = layout.EVERYBODY) -> Update:
        return self.actions.look(None, token, following, whose)

    def may(self, told: Update) -> list[str]:
        """The buttons that are shown."""
        return [str(button.value) for button in self.parts.page.buttons if told[button]["visible"]]

    def run(self, *steps: Beat | Report) -> str:
        """The lease of a worker that took the first in the queue."""
        granted = self.desk.claim(
            Claim(worker="box", devices=("cpu",), sources=TERMS.sources, bases=("sam_nano",))
        )
        assert granted is not None
        for step in steps:
            if isinstance(step, Beat):
                self.desk.beat(granted.lease, step)
            else:
                self.desk.report(granted.lease, step)
        return granted.lease


@cache
def parts() -> layout.Parts:
    with gr.Blocks():
        return layout.build()


@contextmanager
def opened(folder: Path) -> Iterator[Tab]:
    """The tab of a server whose state and uploads lie in a folder."""
    sent, state = folder / "sent", folder / "state"
    sent.mkdir()
    terms.write(TERMS, state)
    desk = Desk(state, submitting.built(folder / "built"))
    try:
        yield Tab(Actions(parts(), desk), parts(), desk, sent)
    finally:
        desk.close()


def cells(html: str) -> list[list[str]]:
    """The rows of a table's body, without tags."""
    body = html.split("<tbody>")[1]
    rows = re.findall(r"<tr>(.*?)</tr>", body)
    return [
        [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row)] for row in rows
    ]
