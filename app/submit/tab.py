"""Puts the tab together: which component calls which action, and what it may change."""

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.blocks import Block

from app import links
from app.api_identity import NO_DESK
from app.events import QUIET
from app.shown import said
from app.submit import layout
from app.submit.actions import Actions
from leaderboard.submissions.desk import Desk

#: Stops a timer; opening the tab starts it again.
_REST = "() => ({__type__: 'update', active: false})"
#: Submissions that are copied and checked at once.
_AT_ONCE = 4
#: Of an action that can't be undone: it goes to no submission unless the person is sure.
_SURE = """(token, following, whose) => {
    const sure = confirm('Withdraw this submission? Its weights and scores are removed.');
    return [token, sure ? following : '', whose];
}"""


def tab(submitting: gr.Tab, others: Sequence[gr.Tab], desk: Desk | None) -> None:
    """Adds the tab's content. It asks for nothing before the tab `submitting` is opened, nor once it is left.

    Args:
        others: the tabs that one may leave it for.
        desk: None: the server takes nothing.
    """
    if desk is None:
        gr.HTML(said(NO_DESK), apply_default_css=False, elem_classes="board-html")
        return
    parts = layout.build()
    _listen(submitting, parts, Actions(parts, desk))
    for other in others:
        other.select(None, None, parts.page.timer, js=_REST)


def _listen(submitting: gr.Tab, parts: layout.Parts, actions: Actions) -> None:
    form, page, queue, who = parts.form, parts.page, parts.queue, parts.who
    around = [*_components(page), *_components(queue), who.said]
    asked = [who.token, page.following, queue.whose]

    def follows(event: Any) -> None:
        event.then(None, js=links.FOLLOW)

    offered = [form.train, form.all, form.unknown]
    follows(submitting.select(actions.start, asked, [*around, *offered], **QUIET))
    for link in (parts.said, queue.table):
        follows(link.select(actions.follow, asked, around, **QUIET))
    for trigger in (who.token.blur, who.token.submit, queue.whose.input, queue.refresh.click):
        trigger(actions.look, asked, around, **QUIET)
    moving = [page.whole, page.head, page.pulse, page.rest, page.seen, page.timer, *page.buttons, queue.table]
    page.timer.tick(actions.tick, [*asked, page.seen], moving, **{**QUIET, "trigger_mode": "once"})

    defaults = [form.preprocessing, form.candidates, form.made_for]
    # Not its input, which is also told of when somebody passes by with the Tab key.
    form.architecture.select(actions.fit, form.architecture, defaults, **QUIET)
    form.where.input(actions.place, form.where, [parts.at_file, parts.at_hub], **QUIET)
    follows(
        parts.send.click(
            actions.submit,
            [who.token, queue.whose, *_components(form)],
            [parts.said, *around],
            show_progress="minimal",
            show_progress_on=parts.said,
            concurrency_limit=_AT_ONCE,
            preprocess=False,
            api_visibility="private",
        )
    )
    page.withdraw.click(actions.withdraw, asked, around, js=_SURE, **QUIET)
    page.requeue.click(actions.requeue, asked, around, **QUIET)
    page.hide.click(actions.hide, asked, around, **QUIET)
    page.unhide.click(actions.unhide, asked, around, **QUIET)


def _components(part: object) -> list[Block]:
    return list(vars(part).values())
