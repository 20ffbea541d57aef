"""What the demo's components do. What a person has lies in the session; an action gives what changed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import gradio as gr
from gradio.utils import get_upload_folder

from app.components import canvas
from app.demo import layout, scene, view
from app.demo.choices import BEST, EXAMPLES, WORST, Choices, picked
from app.demo.linked import Link, linked
from app.demo.scene import Update
from cosmos1050k.errors import InputError
from leaderboard.demo.engine import Engine
from leaderboard.demo.prompting import Offer, Prompt
from leaderboard.demo.samples import stored_prompt
from leaderboard.demo.session import Controls, Session
from leaderboard.demo.sessions import Sessions

#: The model chosen at first, if it is here: the platform's own, which answers at once.
FIRST = "sam_nano"
#: Seconds that a picture must stay before a model encodes it: who scrolls shall not wait for what is passed.
_STAYS = 0.3
#: Seconds that an action waits for the one before it.
_PATIENCE = 5.0


class Actions:
    """The handlers of the tab's events."""

    def __init__(self, parts: layout.Parts, sessions: Sessions, engine: Engine, choices: Choices) -> None:
        self._parts, self._sessions, self._engine, self._choices = parts, sessions, engine, choices
        self._encoding = anyio.CapacityLimiter(2)

    def _session(self, request: gr.Request) -> Session:
        """The session of the page.

        Raises:
            InputError: no page asks.
        """
        if not request.session_hash:
            raise InputError("this is for the pages of the app; programs ask /api/v1")
        return self._sessions.of(request.session_hash)

    def _done(self, request: gr.Request, work: Callable[[Session], Update]) -> Update:
        """What the work changes in the page's session, or the sentence that says why it can't be done."""
        status = self._parts.masks.status
        try:
            session = self._session(request)
            if not session.lock.acquire(timeout=_PATIENCE):
                raise InputError("what you asked before is still being done; try again in a moment")
            try:
                if session.closed:
                    raise InputError("this session has ended; reload the page")
                return {status: "", **work(session)}
            finally:
                session.lock.release()
        except InputError as error:
            return {status: view.problem(str(error))}

    def _whole(self, session: Session) -> Update:
        return scene.whole(self._parts, session)

    def _answers(self, session: Session) -> Update:
        return scene.answers(self._parts, session)

    def end(self, request: gr.Request) -> None:
        """The page was closed or left."""
        self._sessions.end(request.session_hash or "")

    # What is looked at

    def start(self, request: gr.Request) -> Update:
        """The tab was opened: offers the dataset's images, and shows what the link asks for, or the first."""
        session, asked = self._session(request), linked(request) or Link()
        if session.begun():
            return {self._parts.masks.status: gr.skip()}
        offers = self._engine.offers()
        names = [offer.name for offer in offers]
        model = next((name for name in (asked.model, FIRST, *names) if name in names), None)
        second = asked.second if asked.second in names else ""
        session.controls = Controls(_models(model, second))
        modalities = self._choices.modalities()
        shown: Update = {
            self._parts.models.model: gr.update(choices=names, value=model),
            self._parts.models.second: gr.update(choices=[layout.NO_MODEL, *names], value=second),
            **scene.able(self._parts, _chosen(offers, session.controls.models)),
        }
        if not modalities:
            text = "No source is built here whose pictures may be shown. Bring your own."
            return {**shown, self._parts.masks.status: view.problem(text)}
        shown[self._parts.picture.modality] = gr.update(choices=modalities, value=modalities[0])
        shown |= self.pick_modality(modalities[0], request)
        return {**shown, **self._linked(asked, request)} if asked.image else shown

    def _linked(self, asked: Link, request: gr.Request) -> Update:
        """The image that a link names, offered beside the others."""
        place = f"{asked.target}" if asked.target >= 0 else ""
        return {
            self._parts.picture.image: gr.update(
                choices=[(asked.image, f"{place}:{asked.image}")], value=f"{place}:{asked.image}"
            ),
            **self.pick_image(f"{place}:{asked.image}", "", request),
        }

    def pick_modality(self, modality: str, request: gr.Request) -> Update:
        """Another modality: its first object's first image."""
        objects = self._choices.objects(modality)
        if not objects:
            return {self._parts.masks.status: view.problem("there is no image of this modality any more")}
        shown = {self._parts.picture.object: gr.update(choices=objects, value=objects[0])}
        return {**shown, **self.pick_object(modality, objects[0], EXAMPLES, request)}

    def pick_object(self, modality: str, of_object: str, which: str, request: gr.Request) -> Update:
        """Another object, or other images of it."""
        picture, models = self._parts.picture, self._session(request).controls.models
        images = self._choices.images(modality, of_object, which, models[0] if models else None)
        shown: Update = {
            picture.which: gr.update(choices=[EXAMPLES, BEST, WORST], value=which),
            picture.image: gr.update(choices=images, value=images[0][1] if images else None),
        }
        if not images:
            text = f"The board has none of these ({which.lower()}) whose picture may be shown here."
            return {**shown, self._parts.masks.status: view.problem(text)}
        return {**shown, **self.pick_image(images[0][1], of_object, request)}

    def pick_image(self, image: str, of_object: str, request: gr.Request) -> Update:
        """Another image of the list."""
        image_id, place = picked(image)

        def work(session: Session) -> Update:
            sample = session.load(image_id, place)
            if place is None:
                session.aim(next((one.index for one in sample.objects if one.object == of_object), None))
            return self._whole(session)

        return self._done(request, work)

    def upload(self, files: Any, request: gr.Request) -> Update:
        """Files of the person's own."""

        def work(session: Session) -> Update:
            session.upload(_uploaded(files))
            return self._whole(session)

        return {**self._done(request, work), self._parts.picture.files: None}

    def change_origin(self, origin: str) -> Update:
        """What there is to pick: of the dataset, or files of one's own. What is open stays until one is."""
        own = origin == layout.OWN
        return {
            self._parts.picture.own: gr.update(visible=own),
            self._parts.picture.dataset: gr.update(visible=not own),
        }

    def turn(self, plane: str, index: int, window: str | None, request: gr.Request) -> Update:
        """Another plane, slice (counted from 1) or window."""

        def work(session: Session) -> Update:
            place = _number(index, 1) - 1 if plane == session.view.plane else session.middle(plane)
            session.look(replace(session.view, plane=plane, index=place, window=window or None))
            return self._whole(session)

        return self._done(request, work)

    def change_volume(self, number: int, request: gr.Request) -> Update:
        """Another volume of a 4D file, counted from 1."""

        def work(session: Session) -> Update:
            session.change_volume(_number(number, 1) - 1)
            return self._whole(session)

        return self._done(request, work)

    def wheel_first(self, value: Any, request: gr.Request) -> Update:
        """Some slices on or back, from the first picture."""
        return self._wheel("first", value, request)

    def wheel_second(self, value: Any, request: gr.Request) -> Update:
        """The same, from the second."""
        return self._wheel("second", value, request)

    def _wheel(self, which: str, value: Any, request: gr.Request) -> Update:
        def work(session: Session) -> Update:
            by = session.turned(which, canvas.read(value).turned)
            session.look(replace(session.view, index=session.view.index + by))
            return self._whole(session)

        return self._done(request, work)

    async def encode(self, request: gr.Request) -> Update:
        """Has the models see the picture, if it stays; without the session's lock, so that nothing waits."""
        session, status = self._session(request), self._parts.masks.status
        if session.study is None:
            return {status: gr.skip()}
        try:
            picture = session.picture
            await anyio.sleep(_STAYS)
            for name in session.controls.models:
                if session.shows(picture):
                    work = partial(self._engine.encode, name, picture)
                    await anyio.to_thread.run_sync(work, limiter=self._encoding)
        except InputError as error:
            return {status: view.problem(str(error))}
        return {status: gr.skip()}

    # Prompts

    def prompt_first(self, value: Any, request: gr.Request) -> Update:
        """Points or the box were changed by hand, on the first canvas."""
        return self._prompt(value, self._parts.masks.second, request)

    def prompt_second(self, value: Any, request: gr.Request) -> Update:
        """The same, on the second."""
        return self._prompt(value, self._parts.masks.first, request)

    def _prompt(self, value: Any, other: gr.HTML, request: gr.Request) -> Update:
        def work(session: Session) -> Update:
            given = canvas.read(value)
            if given.key != session.picture.key:  # of the slice before
                return {}
            session.ask(Prompt(given.points, given.box))
            by_hand = {self._parts.models.stored: layout.BY_HAND}
            return {**scene.joined(self._answers(session), scene.mirrored(session, other)), **by_hand}

        return self._done(request, work)

    def use_stored(self, strategy: str, request: gr.Request) -> Update:
        """A prompt of the benchmark, that of a strategy, for the object to find."""

        def work(session: Session) -> Update:
            by_hand = strategy == layout.BY_HAND or session.target is None
            prompt = Prompt() if by_hand or not session.target else stored_prompt(session.target, strategy)
            session.ask(prompt)
            both = (self._parts.masks.first, self._parts.masks.second)
            return scene.joined(self._answers(session), scene.mirrored(session, *both))

        return self._done(request, work)

    def control(
        self, model: str | None, second: str, feedback: bool, truth: bool, request: gr.Request
    ) -> Update:
        """Other models, or asked in another way: the same prompts."""

        def work(session: Session) -> Update:
            models = _models(model, second)
            offers = _chosen(self._engine.offers(), models)
            fed = feedback and any(offer.feedback for offer in offers)
            session.controls = Controls(models, fed, truth)
            if session.study is not None:
                session.ask(session.prompt)
            return {**scene.asked(self._parts, session), **scene.able(self._parts, offers)}

        return self._done(request, work)

    def aim(self, target: int | None, request: gr.Request) -> Update:
        """Another object to find: the masks are measured against it."""

        def work(session: Session) -> Update:
            session.aim(target)
            return self._answers(session)

        return self._done(request, work)

    def choose(self, candidate: int | None, request: gr.Request) -> Update:
        """Another of the masks."""

        def work(session: Session) -> Update:
            session.choose(candidate or 0)
            return self._answers(session)

        return self._done(request, work)

    def change_mode(self, mode: str, request: gr.Request) -> Update:
        """Prompts or everything."""
        by_grid = mode == layout.EVERYTHING

        def work(session: Session) -> Update:
            session.clear()
            return self._whole(session) if session.study else {}

        return {
            **self._done(request, work),
            self._parts.models.by_prompt: gr.update(visible=not by_grid),
            self._parts.models.by_grid: gr.update(visible=by_grid),
        }

    def everything(self, grid: int, rating: float, stability: float, request: gr.Request) -> Update:
        """Every mask that the first model finds from a grid of points; other sessions go on meanwhile."""
        start = time.monotonic()
        try:
            found = self._session(request).everything(_number(grid, 16), float(rating), float(stability))
        except InputError as error:
            return {self._parts.masks.status: view.problem(str(error))}
        took = time.monotonic() - start
        return self._done(request, lambda session: scene.everything(self._parts, session, found, took))

    # What is kept

    def keep(self, request: gr.Request) -> Update:
        """Keeps the first model's mask of this slice."""

        def work(session: Session) -> Update:
            session.keep()
            return self._answers(session)

        return self._done(request, work)

    def drop(self, request: gr.Request) -> Update:
        """Removes the kept mask of this slice."""

        def work(session: Session) -> Update:
            session.drop()
            return self._answers(session)

        return self._done(request, work)

    def download(self, request: gr.Request) -> Update:
        """Makes a file of the kept masks."""
        kept = self._parts.masks.kept
        return self._done(request, lambda session: {kept: view.kept(session, session.download())})


def _number(value: Any, default: int) -> int:
    """The whole number of a field, which may be empty."""
    return int(value) if isinstance(value, int | float) else default


def _uploaded(files: Any) -> list[Path]:
    """Where the files lie that a page says it has sent.

    Raises:
        InputError: one is no file that was sent: a client may name any.
    """
    folder = Path(get_upload_folder()).resolve()
    found = []
    for file in files if isinstance(files, list) else []:
        path = Path(str(file.get("path") if isinstance(file, dict) else "")).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise InputError("that is no file that was uploaded; upload it again")
        found.append(path)
    return found


def _models(first: str | None, second: str | None) -> tuple[str, ...]:
    """The models to ask, each once."""
    return tuple(name for name in dict.fromkeys((first, second)) if name)


def _chosen(offers: Sequence[Offer], models: Sequence[str]) -> list[Offer]:
    """Those of the models, in their order."""
    known = {offer.name: offer for offer in offers}
    return [known[name] for name in models if name in known]
