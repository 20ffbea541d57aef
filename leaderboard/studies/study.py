"""What all studies share: images are asked for one by one, and what is found on each is kept.

A run that was killed goes on where it was, and one with more images or models asks for what is new alone.
"""

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from tqdm import tqdm

from cosmos1050k import pool
from cosmos1050k.errors import InputError
from cosmos1050k.schema import SMALL_AREA
from cosmos1050k.units import Units, key
from leaderboard import models, score
from leaderboard.board_images import BoardImages, Part, Place
from leaderboard.machine import MEASURED, Machine
from leaderboard.models.base import Declaration, Segmenter
from leaderboard.studies import subjects
from leaderboard.studies.options import StudyOptions
from leaderboard.studies.record import Studied, head, on_image
from leaderboard.studies.subjects import Subject

Found = TypeVar("Found")
#: The stage whose units findings are kept as.
STAGE = "studies"
_FOUND = "found.json"
#: Of an image: a large model on a CPU needs hours for a fine grid.
_TIMEOUT_S = 86_400.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """An image that a model is asked for, and how (JSON values)."""

    board: BoardImages
    place: Place
    how: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return self.place.case.source

    def row(self) -> dict[str, Any]:
        """`score.COLUMNS`."""
        return self.board.read(self.place)


class Study(ABC, Generic[Found]):
    """What is measured of a model besides its scores, on some test images of the board's sources.

    Args:
        name: of its records' folder, and part of its units' keys; title: of what it measures, in words.
        version: raised when the same image would give other findings, and no key below says so.
        finding: what is found on one image; JSON can hold it.
        record: of what it measures, as it is written.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[int] = 1
    finding: ClassVar[TypeAdapter[Any]]
    record: ClassVar[type[Studied]]

    @abstractmethod
    def limits(self, kind: type[Segmenter], machine: Machine) -> str:
        """Why it does not apply to a model; empty where it does."""

    @abstractmethod
    def asked(self, data: Path, sources: Sequence[str], options: StudyOptions) -> list[Asked]:
        """The images; each shows an object that is scored.

        Raises:
            InputError: a source is not built, or none has a test case.
        """

    @abstractmethod
    def of_image(self, segmenter: Segmenter, subject: Subject, how: Mapping[str, Any]) -> Found:
        """What is found on one image."""

    @abstractmethod
    def summary(self, asked: Sequence[Asked], found: Sequence[Found]) -> dict[str, Any]:
        """The record's own fields, from n images and what was found on them."""

    def measure(
        self,
        model: str,
        data: Path,
        sources: Sequence[str],
        options: StudyOptions,
        machine: Machine,
        store: Units | None = None,
        workers: int | None = 1,
    ) -> Any:
        """Its record of a model; each image is encoded once.

        Args:
            data: the folder that holds one folder per built source.
            store: keeps what is found on each image; None keeps nothing.
            workers: processes for images that are not kept yet, on a CPU and with a `store`; all cores if
                None, and none but this for one. They change nothing of the record.

        Raises:
            InputError: the model is unknown, its weights are missing, a source is not built, no image shows
                an object that is scored, or what is kept is damaged.
            Failed: the model fails on an image.
            MemoryError, DeviceLost: the machine failed, not the model.
        """
        kind = models.kind(model)
        if limits := self.limits(kind, machine):
            return self.record(**head(kind, data, sources, machine), limits=limits)
        kind.check()
        asked = self.asked(data, sources, options)
        if not asked:
            raise InputError(
                f"{data}: no object of more than {SMALL_AREA} pixels in any test case; build more"
            )
        declared = kind.declared(machine)
        ahead = store is not None and machine.device == "cpu" and pool.workers_or_all(workers) > 1
        if store is not None and ahead:
            self._ahead(model, asked, declared, machine, store, workers)
        found = list(self._each(model, asked, declared, machine, store, shown=not ahead))
        own = self.of_sources(data, sources)
        return self.record(**head(kind, data, own, machine), **self.summary(asked, found))

    def of_sources(self, data: Path, sources: Sequence[str]) -> Sequence[str]:
        """Those of the sources that it looks for images in."""
        return sources

    @property
    def folder(self) -> Path:
        """Where its records lie."""
        return MEASURED / self.name

    def keys(
        self, model: str, data: Path, sources: Sequence[str], options: StudyOptions, machine: Machine
    ) -> set[str]:
        """The units that `measure` with these arguments would keep.

        Raises:
            InputError: as `measure`; of the weights nothing is read.
        """
        kind = models.kind(model)
        if self.limits(kind, machine):
            return set()
        declared = kind.declared(machine)
        return {self._key(declared, one, one.row()) for one in self.asked(data, sources, options)}

    def _ahead(
        self,
        model: str,
        asked: Sequence[Asked],
        declared: Declaration,
        machine: Machine,
        store: Units,
        workers: int | None,
    ) -> None:
        """Keeps what is found on the images by many processes.

        Raises:
            Failed: the model fails on one.
        """
        tasks = []
        for one in asked:
            unit = self._key(declared, one, one.row())
            if not store.has(unit):
                tasks.append(_Task(self, model, machine, one.board.part(one.place), one.how, store, unit))
        outcomes = pool.run(
            _keep, tasks, workers=workers, timeout_s=_TIMEOUT_S, label=f"{self.title}, {model}", unit="image"
        )
        with closing(outcomes):
            for outcome in outcomes:
                if outcome.failure:
                    log.warning("%s; the image is asked again", outcome.failure)
                    _keep(outcome.task)

    def _each(
        self,
        model: str,
        asked: Sequence[Asked],
        declared: Declaration,
        machine: Machine,
        store: Units | None,
        shown: bool,
    ) -> Iterator[Found]:
        hidden = None if shown else True
        for one in tqdm(asked, desc=f"{self.title}, {model}", unit=" image", disable=hidden):
            row = one.row()
            unit = self._key(declared, one, row)
            if store is not None and store.has(unit):
                yield self._kept(store.path(unit) / _FOUND)
                continue
            found = self._found(model, machine, row, one.how)
            if store is not None:
                self._keep(found, store, unit)
            yield found

    def _found(self, model: str, machine: Machine, row: Mapping[str, Any], how: Mapping[str, Any]) -> Found:
        segmenter, subject = models.get(model, machine), subjects.read(row)
        with on_image(model, subject.image_id):
            return self.of_image(segmenter, subject, how)

    def _keep(self, found: Found, store: Units, unit: str) -> None:
        with store.write(unit) as folder:
            (folder / _FOUND).write_bytes(self.finding.dump_json(found))

    def _key(self, declared: Declaration, asked: Asked, row: Mapping[str, Any]) -> str:
        content = hashlib.sha256(json.dumps(row["objects"], sort_keys=True).encode())
        for column in ("image", "mask"):
            content.update(hashlib.sha256(row[column]["bytes"]).digest())
        return key(
            study=self.name,
            version=self.version,
            scoring=score.VERSION,
            model=declared.decides,
            image=row["image_id"],
            content=content.hexdigest(),
            how=dict(asked.how),
        )

    def _kept(self, path: Path) -> Found:
        try:
            found: Found = self.finding.validate_json(path.read_bytes())
        except (OSError, ValidationError):
            raise InputError(f"{path}: damaged; delete {path.parent} and run again") from None
        return found


@dataclass(frozen=True)
class _Task:
    """One image of a study that is not kept yet; picklable."""

    study: Study[Any]
    model: str
    machine: Machine
    part: Part
    how: Mapping[str, Any]
    store: Units
    unit: str


def _keep(task: _Task) -> None:
    """Runs in a worker, and in the leading process what failed there."""
    found = task.study._found(task.model, task.machine, task.part.read(), task.how)
    task.study._keep(found, task.store, task.unit)
