"""What the demo greys, without a browser."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest

from app.demo import layout
from app.demo.actions import Actions
from app.demo.choices import Choices
from app.demo.scene import Update
from leaderboard.demo.engine import Engine
from leaderboard.demo.samples import Samples
from leaderboard.demo.session import Session
from leaderboard.demo.sessions import Sessions
from leaderboard.store.read import BoardReader

PAGE = cast(gr.Request, SimpleNamespace(session_hash="page"))


class Demo:
    """The tab's components and actions, with one page."""

    def __init__(self, folder: Path) -> None:
        engine, samples = Engine(), Samples(folder)
        self.sessions = Sessions(engine, samples, lambda: folder)
        with gr.Blocks():
            self.parts = layout.build()
        choices = Choices(samples, BoardReader(folder))
        self.actions = Actions(self.parts, self.sessions, engine, choices)

    @property
    def session(self) -> Session:
        return self.sessions.of("page")

    def chosen(self, model: str, second: str = "") -> Update:
        """The models are chosen, and their masks are to be fed back."""
        return self.actions.control(model, second, True, False, PAGE)


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)


def of(update: Any) -> tuple[Any, ...]:
    return tuple(update.get(name) for name in ("interactive", "value", "info"))


@pytest.mark.parametrize(("model", "why"), [("box", "needs a box"), ("grabcut", "needs a prompt")])
def test_a_model_without_everything_and_feedback(demo: Demo, model: str, why: str) -> None:
    models, told = demo.parts.models, demo.chosen(model)
    assert of(told[models.mode]) == (False, layout.PROMPTS, f"Prompts alone: {model} {why}.")
    assert (told[models.by_prompt]["visible"], told[models.by_grid]["visible"]) == (True, False)
    assert of(told[models.feedback]) == (False, False, f"{model} takes no mask of an earlier round.")
    assert not demo.session.controls.feedback


def test_a_model_that_can_be_asked_all(demo: Demo) -> None:
    models = demo.parts.models
    demo.chosen("box")
    told = demo.chosen("sam_nano")
    assert of(told[models.mode]) == of(told[models.feedback]) == (True, None, "")
    assert models.by_grid not in told
    assert demo.session.controls.feedback


def test_everything_hangs_on_the_first_model_and_feedback_on_both(demo: Demo) -> None:
    models, told = demo.parts.models, demo.chosen("sam_nano", "box")
    assert of(told[models.mode]) == (True, None, "")
    assert of(told[models.feedback]) == (True, None, "box takes no mask of an earlier round.")
    assert demo.session.controls.feedback
    told = demo.chosen("box", "sam_nano")
    assert of(told[models.mode])[0] is False
    assert of(told[models.feedback])[0] is True
    told = demo.chosen("box", "grabcut")
    assert of(told[models.feedback]) == (False, False, "box and grabcut take no mask of an earlier round.")


def test_the_first_model_s_limits_are_told_when_the_tab_is_opened(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.demo.actions.FIRST", "box")
    assert of(demo.actions.start(PAGE)[demo.parts.models.mode])[0] is False
