"""Models asked by hand: a picture is encoded once per model, in bounded memory; a prompt costs the rest."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.errors import InputError
from leaderboard import models
from leaderboard.demo.prompting import KINDS, Found, Offer, Picture, Prompt, answerable
from leaderboard.machine import Machine
from leaderboard.models.base import Answer, Declaration, Interactive, Segmenter
from leaderboard.remembered import Remembered

#: Of everything's grid, per side.
MOST_GRID = 64
#: Pixels of a picture that everything is asked of, and masks that are given of it: they are held whole.
MOST_PIXELS, MOST_MASKS = 2**22, 256
_GIGABYTE = 2**30
#: Embeddings that stay in memory at most, however small: of more pictures hardly any is still looked at.
MOST_EMBEDDINGS = 256
#: A model that is not here is looked for again after so many times as long as looking took.
_PATIENCE = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Loaded:
    """A model in memory; its pictures are encoded one at a time, which takes all cores and much memory."""

    segmenter: Segmenter
    encoding: threading.Lock = field(default_factory=threading.Lock)


class Engine:
    """All models that are here, for all sessions and threads of a process.

    Args:
        machine: where they run; by default on the CPU.
        gigabytes: what the embeddings in memory may take together; there are never more than
            `MOST_EMBEDDINGS`.
        models: that stay in memory at once, besides those that are being asked just now.
    """

    def __init__(self, machine: Machine | None = None, gigabytes: float = 1.0, models: int = 3) -> None:
        self._machine = machine or Machine()
        self._models: Remembered[Declaration, _Loaded] = Remembered(models)
        room = gigabytes * _GIGABYTE
        self._embeddings: Remembered[tuple[Declaration, str], Any] = Remembered(
            room, lambda one: max(size_of(one), room / MOST_EMBEDDINGS)
        )
        self._here: dict[Declaration, bool] = {}
        self._again: dict[Declaration, float] = {}

    def offers(self) -> list[Offer]:
        """The models that can be made here, by name; those that came meanwhile are among them."""
        kinds = [kind for name in models.names() if (kind := _kind(name)) is not None]
        return [_offer(kind) for kind in kinds if self._is_here(kind)]

    def encode(self, model: str, picture: Picture) -> None:
        """Encodes the picture, if it is not yet.

        Raises:
            InputError: there is no such model here, or it failed.
        """
        with _told(model):
            self._encoded(models.kind(model), picture)

    def ask(
        self,
        model: str,
        picture: Picture,
        prompt: Prompt,
        previous: NDArray[np.float32] | None = None,
    ) -> Found:
        """A model's answer to a prompt; the picture is encoded if it is not yet.

        Args:
            previous: of the round before, h×w of the mask that was kept (`Found.low`); then the answer is one
                mask (protocol, section 6).

        Raises:
            InputError: there is no such model here, it takes no such prompt, or it failed.
        """
        kind = models.kind(model)
        given = prompt.checked(*picture.size)
        _refuse(kind, given, previous is not None)
        with _told(model):
            segmenter, embedding = self._encoded(kind, picture)
            started = time.perf_counter()
            (answer,) = _answers(segmenter, embedding, given, previous)
            masks, rated = answer.masks, answer.predicted_iou
            taken = 1000 * (time.perf_counter() - started)
        if not len(masks):
            raise InputError(f"{model} has no mask for this")
        # A Segmenter's answer need have none: it is what Interactive ones add.
        return Found(masks, rated, int(np.argmax(rated)), getattr(answer, "low", None), taken)

    def everything(
        self,
        model: str,
        picture: Picture,
        points_per_side: int = 16,
        predicted_iou: float = 0.88,
        stability: float = 0.95,
    ) -> list[NDArray[np.bool_]]:
        """The masks H×W that a model finds without a prompt (S1), the largest first; of more than
        `MOST_MASKS` the best rated.

        Args:
            points_per_side: of the grid it is asked with.
            predicted_iou, stability: what a mask must reach, as in SAM's own filters.

        Raises:
            InputError: there is no such model here, it finds none without a prompt, or it failed; or a value
                is out of its range.
        """
        kind = models.kind(model)
        offer = _offer(kind)
        if not offer.everything:
            raise InputError(f"{model} can't find everything: it {offer.limits}")
        if not 1 <= points_per_side <= MOST_GRID:
            raise InputError(f"points_per_side: {points_per_side} is not within 1…{MOST_GRID}")
        for name, value in (("predicted_iou", predicted_iou), ("stability", stability)):
            if not 0 <= value <= 1:
                raise InputError(f"{name}: {value} is not within 0…1")
        if picture.pixels.shape[0] * picture.pixels.shape[1] > MOST_PIXELS:
            raise InputError(f"everything takes pictures of {MOST_PIXELS:,} pixels at most; prompt this one")
        with _told(model):
            from leaderboard.sam.everything import Filters  # loads torch

            segmenter, embedding = self._encoded(kind, picture)
            assert isinstance(segmenter, Interactive)
            filters = Filters(points_per_side, predicted_iou, stability)
            best = islice(segmenter.everything(embedding, filters), MOST_MASKS)
            return sorted(best, key=np.count_nonzero, reverse=True)

    def _encoded(self, kind: type[Segmenter], picture: Picture) -> tuple[Segmenter, Any]:
        """The model and its embedding of the picture."""
        loaded = self._models.get(kind.declaration, lambda: _Loaded(kind.on(self._machine)))

        def encode() -> Any:
            with loaded.encoding:
                (embedding,) = loaded.segmenter.embed([picture.rgb])
            return embedding

        return loaded.segmenter, self._embeddings.get(self._key(kind, picture), encode)

    def _key(self, kind: type[Segmenter], picture: Picture) -> tuple[Declaration, str]:
        # A model that takes another's name on disk declares other weights.
        return kind.declaration, picture.key

    def _is_here(self, kind: type[Segmenter]) -> bool:
        """Whether the model's weights are here: what was found is not read again, which can take long."""
        declared, now = kind.declaration, time.monotonic()
        if self._here.get(declared) or now < self._again.get(declared, 0):
            return self._here.get(declared, False)
        try:
            kind.check()
            self._here[declared] = True
        except InputError as error:
            log.debug("%s is not offered: %s", declared.name, error)
            ended = time.monotonic()
            self._again[declared] = ended + _PATIENCE * (ended - now)
        return self._here.get(declared, False)


def size_of(embedding: Any) -> int:
    """Bytes of the arrays and tensors in an embedding; of a view those of the whole."""
    if is_dataclass(embedding):
        return sum(size_of(getattr(embedding, one.name)) for one in fields(embedding))
    if isinstance(embedding, tuple | list):
        return sum(map(size_of, embedding))
    if isinstance(base := getattr(embedding, "base", None), np.ndarray):
        return base.nbytes
    return int(getattr(embedding, "nbytes", 0))


def _kind(name: str) -> type[Segmenter] | None:
    """A model's class; None of a folder that is none, which is no fault of who looks at the others."""
    try:
        return models.kind(name)
    except InputError as error:
        log.debug("%s is not offered: %s", name, error)
        return None


def _offer(kind: type[Segmenter]) -> Offer:
    declared, interactive = kind.declaration, issubclass(kind, Interactive)
    return Offer(
        name=declared.name,
        everything=interactive and "S1" in declared.applies,
        feedback=interactive,
        limits=declared.limits or "needs a prompt",
    )


def _refuse(kind: type[Segmenter], prompt: Prompt, later: bool) -> None:
    """Says what is wrong before anything is encoded.

    Args:
        later: whether the mask of an earlier round is given too.
    """
    declared = kind.declaration
    if not any(prompt.kind):
        raise InputError("nothing to go by: give a point or a box")
    if prompt.kind not in answerable(declared):
        why = f": it {declared.limits}" if declared.limits else ""
        raise InputError(f"{declared.name} can't answer {KINDS[prompt.kind]}{why}")
    if later and not issubclass(kind, Interactive):
        raise InputError(f"{declared.name} takes no mask of an earlier round: give the prompt alone")


def _answers(
    segmenter: Segmenter, embedding: Any, prompt: Prompt, previous: NDArray[np.float32] | None
) -> Iterator[Answer]:
    if previous is None:
        return segmenter.prompt(embedding, prompt.prompts())
    assert isinstance(segmenter, Interactive)
    return segmenter.refine(embedding, prompt.prompts(), previous[None])


@contextmanager
def _told(model: str) -> Iterator[None]:
    """A model's failure is one sentence for who asked it and a traceback for who runs it.

    Raises:
        InputError: that sentence.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        log.exception("%s failed", model)
        problem = "out of memory" if isinstance(error, MemoryError) else " ".join(str(error).split())[:200]
        raise InputError(f"{model} can't answer this: {problem or type(error).__name__}") from error
