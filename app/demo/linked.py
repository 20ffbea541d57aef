"""What a link to the demo says: the image of the dataset, the object to find, the models."""

from dataclasses import dataclass

import gradio as gr

from app import links

#: The tab's name in a link.
DEMO = "demo"


@dataclass(frozen=True)
class Link:
    """`target`: the object's place in the image's row, −1: the first. A model "": what the page chooses."""

    image: str = ""
    target: int = -1
    model: str = ""
    second: str = ""


def linked(request: gr.Request) -> Link | None:
    """What the page's link says, if it leads to the demo."""
    told = links.told(request)
    return links.state(Link, told) if links.tab(told) == DEMO else None
