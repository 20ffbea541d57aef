"""Click models exported to ONNX: a folder `data/click_models/NAME` each, its record and its graph.

A maintainer adds them on a machine of his own; nobody can submit one, since a graph is a stranger's program.
A graph takes one picture and its clicks, as RITM, FocalClick and SimpleClick do:

    image   1×3×H×W    RGB in 0…1, minus the record's mean, by its deviation; the whole picture, stretched
    mask    1×1×H×W    the probabilities that it gave the round before; zeros at first
    clicks  1×2n×3     (y, x, order) in pixels of H×W, n positive, then n negative; −1 thrice for none

and gives one output, 1×1×H×W, the probabilities in 0…1 that a pixel is the object's. All is float32.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from cosmos1050k.errors import BadFile, InputError
from leaderboard import finetuned, models, own_models, weights
from leaderboard.models.base import Declaration, StrategyName
from leaderboard.own_models import RECORD, NamedRecord

CLICK_MODELS = Path("data/click_models")
GRAPH = "model.onnx"

_CLICKED: tuple[StrategyName, ...] = ("S2", "S3", "S4")

Side = Annotated[int, Field(ge=8, le=4096)]
Level = Annotated[float, Field(ge=-10, le=10)]
Spread = Annotated[float, Field(gt=0, le=10)]


class ClickModel(NamedRecord):
    """What a click model's folder says of it.

    Args:
        height, width: what every picture is stretched to.
        mean, deviation: of red, green, blue in 0…1; as they stand for graphs that normalise by themselves.
        file_sha256: of the graph.
    """

    height: Side
    width: Side
    mean: tuple[Level, Level, Level] = (0.0, 0.0, 0.0)
    deviation: tuple[Spread, Spread, Spread] = (1.0, 1.0, 1.0)
    file_sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @property
    def weights_sha256(self) -> str:
        """Of the graph and of how a picture is given to it: what decides a mask, and so a score's key."""
        given = (self.file_sha256, self.height, self.width, self.mean, self.deviation)
        return hashlib.sha256(repr(given).encode()).hexdigest()

    @property
    def declaration(self) -> Declaration:
        return Declaration(
            name=self.name,
            kind="baseline",
            description=self.description or f"A click model, by ONNX, on {self.height}×{self.width} pixels.",
            version=1,
            preprocessing="none",
            candidates=1,
            applies=_CLICKED,
            made_for=_CLICKED,
            limits="takes points alone",
            weights_sha256=self.weights_sha256,
            trained_on=self.trained_on,
            dtype="float32",
        )

    @property
    def path(self) -> Path:
        return CLICK_MODELS / self.name / GRAPH


def names() -> list[str]:
    """The folders of `data/click_models` that hold a model."""
    return own_models.names(CLICK_MODELS)


def record(name: str) -> ClickModel:
    """A click model's record.

    Raises:
        InputError: there is none, or it is not one.
    """
    return own_models.read(ClickModel, CLICK_MODELS, name, "add")


def verified(found: ClickModel) -> Path:
    """A click model's graph, that of its record.

    Raises:
        InputError: it is missing, or another one.
    """
    again = f"remove {CLICK_MODELS / found.name} and run `cosmos add-click-model FILE --name {found.name}`"
    if not found.path.is_file():
        raise BadFile(str(found.path), "missing", again)
    if weights.sha256(found.path) != found.file_sha256:
        raise BadFile(str(found.path), f"another graph than that of its {RECORD}", again)
    return found.path


def add(file: Path, name: str, side: int | None = None, **more: object) -> Literal["there", "made"]:
    """Makes a model of an ONNX graph, which is tried first; the file stays as it is.

    Args:
        side: what a graph that takes every size is given, a square of so many pixels a side.
        more: `mean`, `deviation`, `description`, `trained_on` of `ClickModel`.

    Raises:
        InputError: it is no such graph, can't be read, or another model has the name.
    """
    if name in (*models.modules(), *finetuned.names()):
        raise InputError(f"--name {name}: another model has that name; choose another")
    if not finetuned.is_name(name):
        raise InputError(f"--name {name}: must be lower-case letters, digits, - or _; choose another")
    new = CLICK_MODELS / f".{name}.new"
    with weights.alone(CLICK_MODELS, name):
        shutil.rmtree(new, ignore_errors=True)
        try:
            # Tried where nothing lies beside it: a graph whose weights are in other files can't be loaded.
            new.mkdir()
            shutil.copyfile(file, new / GRAPH)
            made = _tried(file, new / GRAPH, {"name": name, **more}, side)
            if (CLICK_MODELS / name).exists():
                if record(name) == made and verified(made):
                    return "there"
                raise BadFile(
                    str(CLICK_MODELS / name), "another model", "remove it, or choose another --name"
                )
            (new / RECORD).write_text(made.model_dump_json(indent=1) + "\n")
            new.rename(CLICK_MODELS / name)
        except OSError as error:
            at = error.filename or CLICK_MODELS
            raise InputError(f"{at}: can't be read or written ({error.strerror}); mend it") from None
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return "made"


def _tried(file: Path, copy: Path, given: dict[str, object], side: int | None) -> ClickModel:
    """The record of a graph that was tried; faults are told of the file that it is a copy of."""
    from leaderboard import click_segmenter  # loads onnxruntime

    remedy = "export it as docs/click_models.md says"
    try:
        graph = click_segmenter.opened(copy)
        if graph.size and side:
            raise InputError("--side: the graph has a size of its own; leave it out")
        if not graph.size and not side:
            raise InputError("--side: the graph takes every size; say which it was trained on, such as 448")
        height, width = graph.size or (side, side)
        sums = {"height": height, "width": width, "file_sha256": weights.sha256(copy)}
        made = ClickModel.model_validate({**given, **sums})
        click_segmenter.tried(graph, made)
    except ValidationError as error:
        field, problem = own_models.first(error)
        option = "side" if field in ("height", "width") else field
        raise InputError(f"--{option}: {problem}") from None
    except click_segmenter.Unfit as error:
        raise BadFile(str(file), str(error), remedy) from None
    return made
