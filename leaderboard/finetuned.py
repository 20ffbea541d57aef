"""Finetuned checkpoints as models: a folder `data/models/NAME` each, its record and its weights."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cosmos1050k.errors import BadFile, InputError
from leaderboard import models, own_models, weights
from leaderboard.models.base import ALL, PROMPTED, PROMPTED_LIMITS, Declaration, StrategyName
from leaderboard.own_models import RECORD, NamedRecord

MODELS = Path("data/models")
WEIGHTS = "weights.safetensors"

_SUM = Field(pattern="^[0-9a-f]{64}$")


class Finetuned(NamedRecord):
    """What a finetuned model's folder says of it.

    Args:
        base: of a mask decoder, the model whose other parts it stands on.
        made_for: the prompts it was trained on; its other cells are greyed.
        trained_on: the images it was trained on, those of its base included.
        checkpoint_sha256: of the file that it was made from.
        weights_sha256: of all tensors, those of the base included; a score's key holds it.
    """

    architecture: str
    base: str | None = None
    preprocessing: Literal["sam", "medsam"] = "sam"
    candidates: Literal[1, 3] = 3
    made_for: tuple[StrategyName, ...] = Field(default=ALL, min_length=1)
    checkpoint_sha256: str = _SUM
    weights_sha256: str = _SUM

    @field_validator("architecture")
    @classmethod
    def _known(cls, architecture: str) -> str:
        if architecture not in weights.PARAMETERS:
            raise ValueError(f"unknown {architecture!r}; known are {', '.join(weights.PARAMETERS)}")
        return architecture

    @model_validator(mode="after")
    def _fits(self) -> "Finetuned":
        if self.preprocessing == "medsam" and self.candidates == 3:
            raise ValueError("with MedSAM's preprocessing a model has one candidate")
        if unfit := [name for name in self.made_for if name not in self.applies]:
            raise ValueError(f"it was not made for {unfit[0]}, which does not apply to it")
        return self

    @property
    def applies(self) -> tuple[StrategyName, ...]:
        return ALL if self.preprocessing == "sam" else PROMPTED

    @property
    def declaration(self) -> Declaration:
        on = f"mask decoder on {self.base}" if self.base else f"whole {self.architecture}"
        return Declaration(
            name=self.name,
            kind="finetuned",
            description=self.description or f"A finetuned checkpoint, {on}.",
            version=1,
            preprocessing=self.preprocessing,
            candidates=self.candidates,
            applies=self.applies,
            made_for=self.made_for,
            limits="" if self.preprocessing == "sam" else PROMPTED_LIMITS,
            parameters=weights.PARAMETERS[self.architecture],
            weights_sha256=self.weights_sha256,
            base=self.base,
            trained_on=self.trained_on,
            dtype="float32",
        )

    @property
    def path(self) -> Path:
        return MODELS / self.name / WEIGHTS

    @property
    def again(self) -> str:
        """How it is made again: nothing takes the place of a folder that is there."""
        of = f"--base {self.base}" if self.base else f"--architecture {self.architecture}"
        return f"remove {MODELS / self.name} and run `cosmos weights --from FILE --name {self.name} {of}`"


class Base(BaseModel):
    """A whole model that a mask decoder can stand on."""

    model_config = ConfigDict(frozen=True)
    architecture: str
    preprocessing: Literal["sam", "medsam"]
    candidates: Literal[1, 3]
    weights_sha256: str
    path: Path


def names() -> list[str]:
    """The folders of `data/models` that hold a model."""
    return own_models.names(MODELS)


def is_name(name: str) -> bool:
    """Whether a model may be called so."""
    return re.fullmatch(weights.NAME, name) is not None


def record(name: str) -> Finetuned:
    """A finetuned model's record.

    Raises:
        InputError: there is none, or it is not one.
    """
    return own_models.read(Finetuned, MODELS, name, "make")


def verified(found: Finetuned) -> tuple[Path, Path | None]:
    """A finetuned model's weights and its base's, if it stands on one: those of its record.

    Raises:
        InputError: they are missing, or others.
    """
    if not found.path.is_file():
        raise BadFile(str(found.path), "missing", found.again)
    own = base_of(found.base) if found.base is not None else None
    if _sum(found.path, own) != found.weights_sha256:
        on = f", or {found.base} is not what it was made on" if own else ""
        raise BadFile(str(found.path), f"other weights than those of its {RECORD}{on}", found.again)
    return found.path, own.path if own else None


def base_of(name: str) -> Base:
    """A model that a mask decoder can stand on, with its weights.

    Raises:
        InputError: there is none, it is a mask decoder itself, or its weights are missing.
    """
    if name in weights.OFFICIAL:
        official = weights.OFFICIAL[name]
        medsam = name == "medsam"
        return Base(
            architecture=official.architecture,
            preprocessing="medsam" if medsam else "sam",
            candidates=1 if medsam else 3,
            weights_sha256=official.sha256,
            path=weights.path(name),
        )
    if name in weights.SHIPPED:
        path = weights.shipped(name)
        return Base(
            architecture=weights.SHIPPED[name],
            preprocessing="sam",
            candidates=3,
            weights_sha256=tensors_sha256(path),
            path=path,
        )
    if name not in names():
        known = ", ".join([*weights.OFFICIAL, *weights.SHIPPED, *names()])
        raise InputError(f"no model is called {name!r} that a mask decoder can stand on; known are {known}")
    found = record(name)
    if found.base is not None:
        raise InputError(f"{name} is a mask decoder on {found.base} itself; name a whole model as base")
    path, _ = verified(found)
    return Base(path=path, **found.model_dump(include=set(Base.model_fields) - {"path"}))


def adopt(
    file: Path, name: str, architecture: str | None = None, base: str | None = None, **more: object
) -> Literal["there", "made"]:
    """Makes a model of a checkpoint, a whole model's or a mask decoder's on a base; the file stays as it is.

    Args:
        architecture: of a whole model.
        base: of a mask decoder, its base, whose preprocessing and candidates are the default.
        more: `preprocessing`, `candidates`, `made_for`, `description`, `trained_on` of `Finetuned`; what a
            base was trained on is added.

    Raises:
        InputError: it does not fit, can't be read, or another model has the name.
    """
    from leaderboard import click_models  # which imports this module

    if name in (*models.modules(), *click_models.names()):
        raise InputError(f"--name {name}: a model of the platform has that name; choose another")
    own = base_of(base) if base is not None else None
    if own is not None:
        more = {"preprocessing": own.preprocessing, "candidates": own.candidates, **more}
        architecture = own.architecture
    if architecture is None:
        raise InputError("an architecture is needed, or of a mask decoder its base")
    if more.get("preprocessing") == "medsam":
        more = {"candidates": 1, "made_for": PROMPTED, **more}
    given = {"name": name, "architecture": architecture, "base": base, **more}
    try:
        # The sum of the weights is known when they are made.
        draft = on_base(Finetuned(**given, checkpoint_sha256=weights.sha256(file), weights_sha256="0" * 64))
    except ValidationError as error:
        field, problem = own_models.first(error)
        option = f"--{field.replace('_', '-')}" if field else f"--name {name}"
        raise InputError(f"{option}: {problem}") from None
    with weights.alone(MODELS, name):
        if _there(draft):
            return "there"
        _make(file, draft, own)
    return "made"


def described(file: Path, name: str, architecture: str, base: str | None, **more: object) -> Finetuned:
    """The record of a model that was trained here, of its weights in safetensors.

    Args:
        architecture, base, more: as in `adopt`; `base` if the file holds a mask decoder alone.

    Raises:
        InputError: they can't be read, or a value is unfit.
    """
    own = base_of(base) if base is not None else None
    sums = {"checkpoint_sha256": weights.sha256(file), "weights_sha256": _sum(file, own)}
    try:
        given = {"name": name, "architecture": architecture, "base": base, **more, **sums}
        return on_base(Finetuned.model_validate(given))
    except ValidationError as error:
        field, problem = own_models.first(error)
        raise InputError(f"{field or name}: {problem}") from None


def on_base(own: Finetuned) -> Finetuned:
    """The record with what the model's base was trained on, if it stands on one; imports torch."""
    if own.base is None:
        return own
    before = models.kind(own.base).declaration.trained_on
    return own.model_copy(update={"trained_on": own.trained_on.merged(before)})


def _there(draft: Finetuned) -> bool:
    """Whether the model is there already.

    Raises:
        InputError: another one is in its place.
    """
    if not (MODELS / draft.name / RECORD).exists():
        if (MODELS / draft.name).exists():
            raise BadFile(str(MODELS / draft.name), f"a folder without {RECORD}", "remove it")
        return False
    found = record(draft.name)
    verified(found)
    if draft == found.model_copy(update={"weights_sha256": draft.weights_sha256}):
        return True
    raise BadFile(str(MODELS / draft.name), "another model", "remove it, or choose another --name")


def _make(file: Path, draft: Finetuned, own: Base | None) -> None:
    """The folder of a model; it appears whole or not at all."""
    new = MODELS / f".{draft.name}.new"
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir()
        made_from = weights.Origin(
            name=draft.name,
            architecture=draft.architecture,
            sha256=draft.checkpoint_sha256,
            part="mask_decoder" if own else "whole",
        )
        weights.convert(file, new / WEIGHTS, made_from)
        made = draft.model_copy(update={"weights_sha256": _sum(new / WEIGHTS, own)})
        (new / RECORD).write_text(made.model_dump_json(indent=1) + "\n")
        new.rename(MODELS / draft.name)
    except OSError as error:
        raise InputError(f"{MODELS}: can't be written ({error.strerror}); mend it") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _sum(file: Path, own: Base | None) -> str:
    """The sum of a model's weights: of a mask decoder's on its base, of both."""
    tensors = tensors_sha256(file)
    return sum_on(own.weights_sha256, tensors) if own else tensors


def sum_on(base: str, tensors: str) -> str:
    """The sum of a mask decoder's weights on a base: of both sums."""
    return hashlib.sha256(f"{base} {tensors}".encode()).hexdigest()


def tensors_sha256(file: Path) -> str:
    """The sum of a safetensors file's tensors: names in order, types, shapes, bytes; no metadata.

    Raises:
        InputError: it can't be read.
    """
    weights.open_safetensors(file)  # holds the header against the file's size
    found = hashlib.sha256()
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        for name in sorted(header):
            start, stop = header[name]["data_offsets"]
            found.update(json.dumps([name, header[name]["dtype"], header[name]["shape"]]).encode())
            stream.seek(8 + length + start)
            found.update(stream.read(stop - start))
    return found.hexdigest()
