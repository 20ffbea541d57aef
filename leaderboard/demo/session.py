"""One person's demo: what is looked at, what was prompted, which masks are kept. It ends with its session."""

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.errors import InputError
from cosmos1050k.readers import Volume
from leaderboard.demo.engine import Engine, size_of
from leaderboard.demo.kept import Kept
from leaderboard.demo.prompting import Found, Picture, Prompt
from leaderboard.demo.samples import Sample, SampleObject, Samples, measured
from leaderboard.demo.study import Study
from leaderboard.demo.uploads import open_upload
from leaderboard.demo.windows import Window

#: Rounds of which the logits are remembered, for undo and for feeding a mask back.
_ROUNDS = 16


@dataclass(frozen=True)
class View:
    """What is shown of a study: a plane, a slice, and the window, by its name; None: the slice's min–max."""

    plane: str
    index: int
    window: str | None = None


@dataclass(frozen=True)
class Controls:
    """Which models are asked, and how.

    `feedback`: each gets its mask of the round before, the prompt without the last click (protocol, section
    6: interactive). `truth`: the ground truth is shown.
    """

    models: tuple[str, ...] = ()
    feedback: bool = False
    truth: bool = False


@dataclass(frozen=True)
class Answer:
    """A model's masks for the prompts of now, or why there are none.

    `measured`: per mask its DICE (0…1) and Hausdorff distance (pixels) where there is a ground truth.
    `chosen`: the place of the mask that is shown.
    """

    model: str
    found: Found | None = None
    measured: tuple[dict[str, Any], ...] = ()
    chosen: int = 0
    problem: str = ""

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        return None if self.found is None else self.found.masks[self.chosen]


class Session:
    """Safe to share between threads; one thing is done at a time.

    Args:
        folder: gives a new private folder.
    """

    def __init__(self, engine: Engine, samples: Samples, folder: Callable[[], Path]) -> None:
        self._engine, self._samples, self._new_folder = engine, samples, folder
        self._folder: Path | None = None
        self.lock = threading.RLock()
        self.study: Study | None = None
        self.sample: Sample | None = None
        self.target: SampleObject | None = None
        self.view = View("picture", 0)
        self.controls = Controls()
        self._kept: dict[int, Kept] = {}
        self.prompt = Prompt()
        self.answers: dict[str, Answer] = {}
        self._picture: Picture | None = None
        self._turned: dict[str, int] = {}
        self._begun = self.closed = False
        self._rounds: dict[tuple[str, Prompt], NDArray[np.float32]] = {}

    # What is looked at

    def begun(self) -> bool:
        """Whether it was asked before; from then on it is."""
        before, self._begun = self._begun, True
        return before

    def upload(self, files: Sequence[Path]) -> Study:
        """Opens what a person brought. The files are moved into the session's own folder.

        Raises:
            InputError: what is wrong with them, in a sentence; what was looked at before stays.
        """
        folder = self._new_folder()
        try:
            once = dict.fromkeys(files)
            moved = [_moved(file, folder / f"{number:05d}") for number, file in enumerate(once)]
            opened = folder / "opened"
            opened.mkdir()
            study = open_upload(moved, opened)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._begin(study, None, folder)
        return study

    def load(self, image_id: str, target: int | None = None) -> Sample:
        """Opens an image of the dataset; `target` is the place of the object to find, by default the first.

        Raises:
            InputError: it is not built here, or may not be shown.
        """
        sample = self._samples.load(image_id)
        self._begin(_as_study(sample), sample, None)
        self.aim(target)
        return sample

    def aim(self, target: int | None) -> None:
        """Chooses the sample's object that masks are measured against, by its place in the row."""
        objects = self.sample.objects if self.sample else ()
        self.target = next((one for one in objects if one.index == target), objects[0] if objects else None)
        for model, answer in self.answers.items():
            self.answers[model] = self._with_measures(answer)

    def look(self, view: View) -> None:
        """Shows another slice, plane or window. What was prompted on the last one is cleared.

        Raises:
            InputError: there is no such slice.
        """
        study = self._opened()
        if view.plane not in study.planes:
            view = replace(view, plane=study.planes[0])
        index = min(max(view.index, 0), study.depth(view.plane) - 1)
        window = self.windows().get(view.window or "")
        self._picture = Picture(study.picture(view.plane, index, window))
        self.view = View(view.plane, index, window.name if window else None)
        self.clear()

    def change_volume(self, number: int) -> None:
        """Shows another volume of a 4D file.

        Raises:
            InputError: there is none of that number.
        """
        self.study = self._opened().frame(number)
        self.look(self.view)

    def windows(self) -> dict[str, Window]:
        """The study's windows by name."""
        return {window.name: window for window in self._opened().windows}

    @property
    def picture(self) -> Picture:
        """What is shown, and what the models see.

        Raises:
            InputError: nothing is open.
        """
        self._opened()
        assert self._picture is not None
        return self._picture

    def shows(self, picture: Picture) -> bool:
        """Whether it is still what is shown."""
        return self._picture is picture

    def turned(self, which: str, count: int) -> int:
        """By how many slices a picture was turned, of which the page tells how many since it was opened."""
        by = count - self._turned.get(which, 0)
        self._turned[which] = count
        return by

    @property
    def depth(self) -> int:
        """How many slices the plane that is shown has."""
        return self._opened().depth(self.view.plane)

    def middle(self, plane: str) -> int:
        """The slice in the middle of a plane; 0 where there is no such plane."""
        study = self._opened()
        return study.depth(plane) // 2 if plane in study.planes else 0

    @property
    def aspect(self) -> float:
        """How much farther apart rows are than columns, in millimetres; 1 where nothing says so."""
        spacing = self.sample.spacing if self.sample else self._opened().spacing(self.view.plane)
        return float(spacing[0] / spacing[1]) if spacing and min(spacing) > 0 else 1.0

    # Prompts

    def clear(self) -> None:
        """Forgets the prompts and their masks, not what is kept."""
        self.prompt, self.answers = Prompt(), {}
        self._rounds.clear()

    def ask(self, prompt: Prompt) -> None:
        """Asks the models; the prompt becomes the session's. Why one has no answer stands in its answer.

        Raises:
            InputError: nothing is open, or the prompt is none.
        """
        height, width = self.picture.pixels.shape[:2]
        self.prompt = prompt = prompt.checked(height, width)
        empty = not prompt.points and prompt.box is None
        self.answers = {} if empty else {model: self._ask(model, prompt) for model in self.controls.models}

    def _ask(self, model: str, prompt: Prompt) -> Answer:
        feedback = self.controls.feedback and prompt.points
        previous = self._rounds.get((model, _before(prompt))) if feedback else None
        try:
            found = self._engine.ask(model, self.picture, prompt, previous)
        except InputError as error:
            return Answer(model, problem=str(error))
        self._remember(model, prompt, found, found.best)
        return self._with_measures(Answer(model, found, chosen=found.best))

    def choose(self, candidate: int) -> None:
        """Shows another of each model's masks, where it has so many; that one is fed back."""
        for model, answer in self.answers.items():
            if answer.found is not None and 0 <= candidate < len(answer.found.masks):
                self.answers[model] = replace(answer, chosen=candidate)
                self._remember(model, self.prompt, answer.found, candidate)

    def _remember(self, model: str, prompt: Prompt, found: Found, candidate: int) -> None:
        if found.low is not None:
            self._rounds[model, prompt] = found.low[candidate].copy()
            while len(self._rounds) > _ROUNDS:
                self._rounds.pop(next(iter(self._rounds)))

    def _with_measures(self, answer: Answer) -> Answer:
        if answer.found is None or self.target is None:
            return answer
        return replace(answer, measured=tuple(measured(answer.found, self.target.truth())))

    def everything(
        self, points_per_side: int, predicted_iou: float, stability: float
    ) -> list[NDArray[np.bool_]]:
        """All masks that the first model finds without a prompt, the largest first. It takes long, and is the
        one thing that is not to be called with the lock held.

        Raises:
            InputError: as `Engine.everything`; or another picture is shown by now.
        """
        with self.lock:
            picture = self.picture
            if not self.controls.models:
                raise InputError("choose a model first")
            model = self.controls.models[0]
            self.clear()
        masks = self._engine.everything(model, picture, points_per_side, predicted_iou, stability)
        if not self.shows(picture):
            raise InputError("another picture is shown by now: find everything again")
        return masks

    # What is kept

    @property
    def kept(self) -> Kept:
        """The kept masks of the volume shown; each volume of a 4D file has its own.

        Raises:
            InputError: nothing is open.
        """
        study = self._opened()
        return self._kept.setdefault(study.number, Kept(study))

    def keep(self) -> None:
        """Keeps the mask that the first model has for the slice shown, in place of an earlier one.

        Raises:
            InputError: there is none.
        """
        kept, answer = self.kept, next(iter(self.answers.values()), None)
        if answer is None or answer.mask is None:
            raise InputError("there is no mask to keep: give a point or a box first")
        kept.keep(self.view.plane, self.view.index, answer.mask)

    def drop(self) -> None:
        """Removes the slice's kept mask, if it has one."""
        self.kept.remove(self.view.plane, self.view.index)

    def download(self) -> tuple[str, bytes]:
        """The kept masks as a file: its name, its content.

        Raises:
            InputError: none is kept.
        """
        if not len(self.kept):
            raise InputError("no mask is kept: make one and press Keep")
        return self.kept.file()

    @property
    def nbytes(self) -> int:
        """What the study, the models' answers and the rounds' logits take of the memory."""
        study = self.study
        answers, rounds = list(self.answers.values()), list(self._rounds.values())
        return size_of((answers, rounds)) + (study.nbytes if study else 0)

    def close(self) -> None:
        """Ends it: lets go of everything and deletes what was uploaded; nothing can be opened any more."""
        with self.lock:
            self.closed = True
            self._let_go()

    def _let_go(self) -> None:
        with self.lock:
            self.study = self.sample = self.target = self._picture = None
            self._kept.clear()
            self.clear()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _begin(self, study: Study, sample: Sample | None, folder: Path | None) -> None:
        self._let_go()
        self.study, self.sample, self._folder = study, sample, folder
        plane = study.planes[0]
        self.look(View(plane, study.depth(plane) // 2))

    def _opened(self) -> Study:
        if self.study is None:
            raise InputError("nothing is open: pick an image of the dataset, or upload one")
        return self.study


def _moved(file: Path, folder: Path) -> Path:
    """The file in a folder of its own: two may have one name.

    Raises:
        InputError: it is gone, as when somebody else sends the same file in the same moment.
    """
    folder.mkdir()
    try:
        return Path(shutil.move(file, folder / file.name))
    except OSError:
        raise InputError(f"{file.name}: it did not stay; upload it again") from None


def _as_study(sample: Sample) -> Study:
    """A row's picture as a study of one slice."""
    pixels = sample.picture
    turned = pixels.swapaxes(0, 1)[:, :, None]
    name = sample.image_id.replace("/", "_")
    return Study(name, Volume(turned, None, colour=pixels.ndim == 3))


def _before(prompt: Prompt) -> Prompt:
    """The prompt of the round before: without the last point."""
    return replace(prompt, points=prompt.points[:-1])
