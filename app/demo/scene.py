"""What the components show of a session: the whole after a new picture, or the answers alone."""

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from app.components import canvas
from app.demo import layout, view
from leaderboard.demo.prompting import Offer
from leaderboard.demo.session import Session
from leaderboard.metrics import dices
from leaderboard.strategies import STRATEGIES

Update = dict[Any, Any]
#: The value of no window: Gradio takes no None as a choice.
_NO_WINDOW = ""


def whole(parts: layout.Parts, session: Session) -> Update:
    """The picture, what there is to choose of it, and the answers."""
    study = session.study
    if study is None:
        return {parts.masks.facts: view.facts(session)}
    picture, models = parts.picture, parts.models
    depth = session.depth
    objects = [(one.label, one.index) for one in session.sample.objects] if session.sample else []
    found = {
        parts.masks.first: _shown(session),
        picture.volume: gr.update(visible=depth > 1 or bool(study.windows) or study.frames > 1),
        picture.frame: gr.update(
            maximum=max(study.frames, 2), value=study.number + 1, visible=study.frames > 1
        ),
        picture.plane: gr.update(
            choices=list(study.planes), value=session.view.plane, visible=len(study.planes) > 1
        ),
        picture.index: gr.update(maximum=max(depth, 2), value=session.view.index + 1, visible=depth > 1),
        picture.window: gr.update(
            choices=[(view.MIN_MAX, _NO_WINDOW), *((name, name) for name in session.windows())],
            value=session.view.window or _NO_WINDOW,
            visible=bool(study.windows),
        ),
        picture.target: gr.update(
            choices=objects, value=session.target.index if session.target else None, visible=bool(objects)
        ),
        models.truth: gr.update(visible=bool(objects)),
        models.stored: gr.update(
            choices=[layout.BY_HAND, *_strategies()], value=layout.BY_HAND, visible=bool(objects)
        ),
    }
    return joined(found, asked(parts, session))


def asked(parts: layout.Parts, session: Session) -> Update:
    """Who is asked, and the answers; the first picture stays as it is, with what was just set on it."""
    if session.study is None:
        return {parts.masks.facts: view.facts(session)}
    two = len(session.controls.models) > 1
    found = {
        parts.masks.facts: view.facts(session),
        parts.masks.second: _shown(session) if two else gr.skip(),
        parts.masks.beside: gr.update(visible=two),
    }
    return joined(found, answers(parts, session))


def able(parts: layout.Parts, offers: Sequence[Offer]) -> Update:
    """Greys what the chosen models can't do, and says why: everything is asked of the first alone, and a mask
    is fed back to those that take one.
    """
    models, deaf = parts.models, [offer.name for offer in offers if not offer.feedback]
    fed, first = len(deaf) < len(offers), next(iter(offers), None)
    refusing = f"{' and '.join(deaf)} {'take' if len(deaf) > 1 else 'takes'} no mask of an earlier round."
    feedback = gr.update(interactive=fed, info=refusing if deaf else "")
    if not fed:
        feedback["value"] = False
    if first is None or first.everything:
        return {models.feedback: feedback, models.mode: gr.update(interactive=True, info="")}
    return {
        models.feedback: feedback,
        models.mode: gr.update(
            interactive=False, value=layout.PROMPTS, info=f"Prompts alone: {first.name} {first.limits}."
        ),
        models.by_prompt: gr.update(visible=True),
        models.by_grid: gr.update(visible=False),
    }


def _shown(session: Session) -> Update:
    """The picture with the session's prompts, for a canvas."""
    picture, volume = session.picture, session.depth > 1
    return canvas.shown(picture.pixels, session.aspect, view.given(session), picture.key, volume=volume)


def joined(one: Update, other: Update) -> Update:
    """Two updates as one; where both speak of a component, the second adds to the first."""
    return {**one, **{part: {**one[part], **new} if part in one else new for part, new in other.items()}}


def answers(parts: layout.Parts, session: Session) -> Update:
    """The masks over the picture, the choice among them, their numbers."""
    masks, models = parts.masks, session.controls.models
    found = [session.answers.get(model) for model in models] or [None]
    choices, key = view.candidates(session.answers), session.picture.key
    chosen = next((answer.chosen for answer in found if answer is not None), 0)
    return {
        masks.first: canvas.overlaid(view.layers(session, found[0]), key),
        masks.second: canvas.overlaid(view.layers(session, found[1]), key) if len(found) > 1 else gr.skip(),
        masks.candidate: gr.update(choices=choices, value=chosen, visible=len(choices) > 1),
        masks.results: view.results(session),
        masks.kept: view.kept(session),
    }


def mirrored(session: Session, *canvases: gr.HTML) -> Update:
    """The session's prompts on canvases that don't have them yet."""
    return {one: canvas.prompted(session.prompt.points, session.prompt.box) for one in canvases}


def everything(
    parts: layout.Parts, session: Session, masks: Sequence[NDArray[np.bool_]], seconds: float
) -> Update:
    """All masks in their colours, and how near the nearest comes to the object to find."""
    text = f"{len(masks)} mask{'' if len(masks) == 1 else 's'} in {seconds:.1f} s."
    if not masks:
        text += " None passed the filters: lower the least predicted IoU, or the least stability."
    elif session.target is not None:
        truth = session.target.truth()
        best = max(float(dices(mask, [truth])[0]) for mask in masks)
        text += f" Best DICE with {session.target.label}: {100 * best:.2f} %."
    return {
        parts.masks.first: canvas.overlaid(view.many(masks), session.picture.key),
        parts.masks.candidate: gr.update(visible=False),
        parts.masks.results: view.note(text),
    }


def _strategies() -> list[tuple[str, str]]:
    """The strategies that give a prompt: what is shown and the name."""
    return [
        (f"{name} · {strategy.title}", name)
        for name, strategy in STRATEGIES.items()
        if not strategy.everything
    ]
