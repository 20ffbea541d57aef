"""What a link to a submission says, and the links that lead there."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

import gradio as gr

from app import links

#: The tab's name in a link.
SUBMIT = "submit"


@dataclass(frozen=True)
class Link:
    """`submission`: its id; empty: none is shown."""

    submission: str = ""


def linked(request: gr.Request) -> Link:
    """What the page's link says."""
    told = links.told(request)
    return links.state(Link, told) if links.tab(told) == SUBMIT else Link()


def clicked(query: str) -> Link:
    """What a link within the tab says, whoever wrote it."""
    return links.state(Link, parse_qsl(query.removeprefix("?")))


def link(submission: str) -> str:
    """`?tab=submit&submission=k3f7q2m9xw`."""
    return links.query(Link(submission), SUBMIT)
