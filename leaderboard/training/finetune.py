"""Finetuning (protocol, section 6; paper, section 4.12): frozen encoders, a mask decoder trained by boxes.

Images are encoded once. Everything random in a step comes from the seed and the step's number, and the state
is kept on disk, so that a run that was killed ends with the same weights (bit by bit on a CPU).
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from cosmos1050k import shards, units
from leaderboard import finetuned, models, weights
from leaderboard.contamination import TrainedOn
from leaderboard.evaluate import EvaluateOptions, machine_of
from leaderboard.finetuned import Base
from leaderboard.sam.segmenter import Sam
from leaderboard.training import result, state
from leaderboard.training.examples import Examples
from leaderboard.training.options import FinetuneOptions
from leaderboard.training.result import Result
from leaderboard.training.tuner import Tuner

#: Of the way from rows to weights; a change of what comes out needs a new number.
VERSION = 1
#: Between two states of a run that are kept within an epoch, in seconds.
_SAVE_S = 60.0

log = logging.getLogger(__name__)


@dataclass
class _Run:
    """Where a run stands: the step to do next, the epoch's losses so far, the curve, the best weights."""

    epoch: int = 1
    step: int = 0
    losses: list[float] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    #: Per epoch, from 0, the base, on: pair → DICE on validation.
    pairs: list[dict[str, float]] = field(default_factory=list)
    best: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def finetune(
    out: Path,
    options: FinetuneOptions,
    *,
    data: Path,
    sources: Sequence[str],
    store: Path = units.UNITS / "finetune",
) -> Result:
    """Finetunes a model and writes the folder `out`: record, weights, card, metrics, curve.

    Args:
        out: its last part is the model's name; what an earlier run wrote there is replaced.
        data: the folder that holds one folder per built source.
        sources: built sources that are taken if `options` names none.
        store: where the state of unfinished runs is kept.

    Raises:
        InputError: the base or a source can't be had, or `out` holds something else; nothing is changed.
    """
    result.check(out, options.base)
    options = options.model_copy(update={"sources": options.sources or tuple(sources)})
    base, model = _base(options)
    train, validation = (Examples(data, options.sources, split) for split in ("train", "validation"))
    versions = {slug: shards.load_manifest(data / slug).version for slug in options.sources}
    kept = store / _key(options, base, versions, model) / "state.pt"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with weights.alone(kept.parent, "state"), weights.alone(out.parent, out.name):
        tuner = Tuner(model, options)
        _encode(model, options, train, validation)
        run = _trained(tuner, train, validation, kept)
        tuner.take(run.best_weights)
        made = _result(out, options, base, data, versions, (train, validation), run, model)
        result.check(out, options.base)  # again: it took long
        result.write(out, made, model.network)
    return made


def _result(
    out: Path,
    options: FinetuneOptions,
    base: Base,
    data: Path,
    versions: dict[str, str],
    splits: tuple[Examples, Examples],
    run: _Run,
    model: Sam,
) -> Result:
    own = TrainedOn(others="none", sources=dict.fromkeys(options.sources, "train"))
    return Result(
        name=out.name,
        options=options,
        base=base,
        versions=versions,
        phantoms=[slug for slug in options.sources if shards.load_manifest(data / slug).phantom],
        trained_on=own.merged(model.declaration.trained_on),
        images={examples.split: len(examples) for examples in splits},
        device=model.declaration.device,
        best=run.best,
        curve=run.curve,
        before=run.pairs[0],
        after=run.pairs[run.best],
    )


def _base(options: FinetuneOptions) -> tuple[Base, Sam]:
    """The model to begin with, new: its weights are about to change."""
    base = finetuned.base_of(options.base)
    kind = models.kind(options.base)
    assert issubclass(kind, Sam), "a base is a SAM"
    machine = machine_of(kind, EvaluateOptions(device=options.device))
    lora = bool(options.lora_rank)
    more = {"embeddings_gb": 0.0 if lora else options.embeddings_gb, "round_embeddings": not lora}
    return base, kind.on(machine.model_copy(update=more))


def _key(options: FinetuneOptions, base: Base, versions: dict[str, str], model: Sam) -> str:
    """What decides the result."""
    return units.key(
        version=VERSION,
        options=options.model_dump(mode="json", exclude={"embeddings_gb", "device", "base"}),
        base=base.model_dump(mode="json", exclude={"path"}),
        sources=versions,
        device=model.declaration.device,
    )


def _encode(model: Sam, options: FinetuneOptions, *splits: Examples) -> None:
    """Encodes what is not kept yet, and says if not all of it can be kept."""
    if options.lora_rank or not options.embeddings_gb:
        return
    missed = 0
    for examples in splits:
        with tqdm(total=len(examples), desc=f"encode {examples.split}", unit="image") as bar:
            images = (example.image for example in examples)
            while batch := list(islice(images, model.image_batch)):
                new = [image for image in batch if not model.keeps(image)]
                if new:
                    model.features(new)
                missed += sum(not model.keeps(image) for image in new)
                bar.update(len(batch))
    if missed:
        log.warning(
            "embeddings_gb: %s holds no more than %g GB; %d images are encoded anew in every epoch",
            "data/embeddings", options.embeddings_gb, missed,
        )  # fmt: skip


def _trained(tuner: Tuner, train: Examples, validation: Examples, kept: Path) -> _Run:
    options, run = tuner.options, _Run()
    if (found := state.load(kept)) is not None:
        _restore(run, tuner, found)
    else:
        _validate(run, tuner, validation, loss=float("nan"))
        _save(run, tuner, kept)
    saved = time.monotonic()
    while run.epoch <= options.epochs:
        order = train.shuffled(options.seed, run.epoch)
        label = f"epoch {run.epoch} of {options.epochs}"
        with tqdm(total=len(order), initial=run.step * options.images, unit="image", desc=label) as bar:
            while run.step * options.images < len(order):
                start = run.step * options.images
                places = order[start : start + options.images]
                random = np.random.default_rng([options.seed, run.epoch, run.step])
                run.losses.append(tuner.step([train[place] for place in places], random))
                run.step += 1
                bar.update(len(places))
                if time.monotonic() - saved > _SAVE_S:
                    _save(run, tuner, kept)
                    saved = time.monotonic()
        _validate(run, tuner, validation, float(np.mean(run.losses)))
        run.epoch, run.step, run.losses = run.epoch + 1, 0, []
        _save(run, tuner, kept)
    return run


def _validate(run: _Run, tuner: Tuner, validation: Examples, loss: float) -> None:
    """Adds a line to the curve, and keeps the weights if they are the best so far of those that learned."""
    found = tuner.validated(tqdm(validation, "validation", unit="image", leave=False))
    dice = float(np.mean(list(found.values())))
    epoch = len(run.pairs)
    run.pairs.append(found)
    run.curve.append({"epoch": epoch, "loss": loss, "dice": dice})
    if epoch and (run.best == 0 or dice > run.curve[run.best]["dice"]):
        run.best = epoch
        run.best_weights = {name: value.clone() for name, value in tuner.weights().items()}


def _save(run: _Run, tuner: Tuner, kept: Path) -> None:
    own: dict[str, Any] = {**vars(run), "weights": tuner.weights(), "optimiser": tuner.optimiser.state_dict()}
    state.save(own, kept)


def _restore(run: _Run, tuner: Tuner, found: dict[str, Any]) -> None:
    tuner.take(found.pop("weights"))
    tuner.optimiser.load_state_dict(found.pop("optimiser"))
    vars(run).update(found)
    if run.epoch <= tuner.options.epochs:
        log.warning("goes on in epoch %d at step %d", run.epoch, run.step)
