"""What an annotation study found: a file per study."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cosmos1050k.disk import replace_text
from cosmos1050k.errors import InputError
from leaderboard.annotation.folder import Task
from leaderboard.machine import MEASURED
from leaderboard.studies.effort import Effort

FOUND = MEASURED / "annotation"


class Work(BaseModel):
    """What one person did in one task; `minutes`: the mean per image."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    effort: Effort
    minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Annotation(BaseModel):
    """A study's result.

    Args:
        study_sha256: of its `study.json`.
        model, version, weights_sha256: of the model whose masks were adjusted.
        sources: slug → version, of the images.
        relax: how thick an error is tolerated, in pixels.
        presegmented: of the model's masks as they were.
        annotators: name → task → their work.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    study: str
    study_sha256: str
    model: str
    version: int
    weights_sha256: str | None
    sources: dict[str, str]
    images: int
    objects: int
    relax: int
    presegmented: Effort
    annotators: dict[str, dict[Task, Work]] = Field(min_length=1)

    def of_task(self, task: Task) -> Mapping[str, Work]:
        """Who did a task → their work."""
        return {name: tasks[task] for name, tasks in self.annotators.items() if task in tasks}


def write(found: Annotation, folder: Path = FOUND) -> Path:
    """Writes a study's result in place of what was imported of it before; returns the file.

    Raises:
        InputError: the file is of another study, or damaged.
    """
    path = path_of(found.study, folder)
    if path.exists() and read(path).study_sha256 != found.study_sha256:
        raise InputError(f"{path}: of another study of that name; rename this one's folder")
    replace_text(path, found.model_dump_json(indent=1) + "\n")
    return path


def path_of(study: str, folder: Path = FOUND) -> Path:
    return folder / f"{study}.json"


def read(path: Path) -> Annotation:
    """What `write` wrote.

    Raises:
        InputError: it is damaged, or another study's.
    """
    again = "remove it and run `cosmos import-annotation FOLDER`"
    try:
        found = Annotation.model_validate_json(path.read_bytes())
    except ValidationError:
        raise InputError(f"{path}: damaged or of another release; {again}") from None
    if found.study != path.stem:
        raise InputError(f"{path}: of the study {found.study}; {again}")
    return found


def every(folder: Path = FOUND) -> list[Annotation]:
    """All that was imported, by name.

    Raises:
        InputError: as `read`.
    """
    return [read(path) for path in sorted(folder.glob("[!.]*.json"))]
