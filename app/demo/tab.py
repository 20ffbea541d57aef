"""Puts the demo together: which component calls which action, and what it may change."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.blocks import Block

from app import links
from app.demo import layout
from app.demo.actions import Actions
from app.demo.choices import Choices
from leaderboard.demo.engine import Engine
from leaderboard.demo.samples import Samples
from leaderboard.demo.sessions import Sessions
from leaderboard.store.read import BoardReader

#: Values come as the page has them: Gradio would hold them against choices that it forgets with the page.
_QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "concurrency_limit": None,
    "api_visibility": "private",
    "preprocess": False,
}


def tab(
    app: gr.Blocks, trying: gr.Tab, reader: BoardReader, engine: Engine, samples: Samples, sessions: Sessions
) -> None:
    """Adds the tab's content. Nothing is loaded before the tab `trying` is opened, or a link asks for it."""
    parts = layout.build()
    actions = Actions(parts, sessions, engine, Choices(samples, reader))
    _listen(app, trying, parts, actions)
    app.unload(actions.end)


def _listen(app: gr.Blocks, trying: gr.Tab, parts: layout.Parts, actions: Actions) -> None:
    picture, models, masks = parts.picture, parts.models, parts.masks
    everything = [*_components(picture), *_components(models), *_components(masks)]
    two = [models.model, models.second]
    view = [picture.plane, picture.index, picture.window]
    pick = [picture.modality, picture.object, picture.which]

    # What a click changes is few, and goes past the queue: both count where a click shall answer at once.
    answered = [*_components(masks), models.stored]

    looking: list[tuple[Any, Callable[..., Any], Sequence[Block]]] = [
        (trying.select, actions.start, []),
        (picture.modality.input, actions.pick_modality, [picture.modality]),
        (picture.object.input, actions.pick_object, pick),
        (picture.which.input, actions.pick_object, pick),
        (picture.image.input, actions.pick_image, [picture.image, picture.object]),
        (picture.files.upload, actions.upload, [picture.files]),
        (picture.origin.input, actions.change_origin, [picture.origin]),
        (picture.frame.input, actions.change_volume, [picture.frame]),
        (picture.plane.input, actions.turn, view),
        (picture.index.input, actions.turn, view),
        (picture.window.input, actions.turn, view),
        (masks.first.slice, actions.wheel_first, [masks.first]),
        (masks.second.slice, actions.wheel_second, [masks.second]),
        (models.model.input, actions.control, [*two, models.feedback, models.truth]),
        (models.second.input, actions.control, [*two, models.feedback, models.truth]),
    ]
    prompting: list[tuple[Any, Callable[..., Any], Sequence[Block]]] = [
        (masks.first.input, actions.prompt_first, [masks.first]),
        (masks.second.input, actions.prompt_second, [masks.second]),
        (models.stored.input, actions.use_stored, [models.stored]),
        (picture.target.input, actions.aim, [picture.target]),
        (masks.candidate.input, actions.choose, [masks.candidate]),
        (masks.keep.click, actions.keep, []),
        (masks.drop.click, actions.drop, []),
        (masks.download.click, actions.download, []),
    ]
    whole: list[tuple[Any, Callable[..., Any], Sequence[Block]]] = [
        (models.feedback.input, actions.control, [*two, models.feedback, models.truth]),
        (models.truth.input, actions.control, [*two, models.feedback, models.truth]),
        (models.mode.input, actions.change_mode, [models.mode]),
    ]
    for trigger, action, inputs in looking:
        shown = trigger(action, list(inputs), everything, **_QUIET)
        shown.then(None, js=links.FOLLOW).then(actions.encode, None, [masks.status], **_QUIET)
    for trigger, action, inputs in prompting:
        trigger(action, list(inputs), answered, queue=False, **_QUIET)
    for trigger, action, inputs in whole:
        trigger(action, list(inputs), everything, **_QUIET)
    models.run.click(
        actions.everything,
        [models.grid, models.rating, models.stability],
        answered,
        **{**_QUIET, "show_progress": "minimal", "concurrency_limit": 1},
    )


def _components(part: object) -> list[Block]:
    return list(vars(part).values())
