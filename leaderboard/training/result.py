"""What a finetuning leaves: a model's folder with record, weights, card, metrics and curve."""

import csv
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file
from segment_anything.modeling import Sam as Network

from cosmos1050k import shards, sources
from cosmos1050k.errors import BadFile, InputError
from leaderboard import click_models, finetuned, models
from leaderboard.contamination import TrainedOn
from leaderboard.finetuned import WEIGHTS, Base
from leaderboard.models.base import PROMPTED, StrategyName
from leaderboard.own_models import RECORD
from leaderboard.sam import weights as states
from leaderboard.training import lora
from leaderboard.training.options import FinetuneOptions

CARD, METRICS, CURVE = "README.md", "metrics.json", "curve.csv"
_FILES = {RECORD, WEIGHTS, CARD, METRICS, CURVE}


@dataclass(frozen=True)
class Result:
    """What was done and what came of it.

    Args:
        versions: source → version of the dataset's.
        phantoms: those of the sources that are synthetic.
        trained_on: by this finetuning and before it.
        images: split → how many.
        best: the epoch whose weights were kept.
        curve: per epoch, from 0, the base: mean loss, and DICE (0…1) on validation, mean over pairs.
        before, after: pair → DICE on validation, of the base and of the result.
    """

    name: str
    options: FinetuneOptions
    base: Base
    versions: dict[str, str]
    phantoms: list[str]
    trained_on: TrainedOn
    images: dict[str, int]
    device: str
    best: int
    curve: list[dict[str, float]]
    before: dict[str, float]
    after: dict[str, float]

    @property
    def made_for(self) -> tuple[StrategyName, ...]:
        return PROMPTED if self.options.points else ("S5",)

    @property
    def gained(self) -> float:
        return self.curve[self.best]["dice"] - self.curve[0]["dice"]

    @property
    def summary(self) -> str:
        """One line, for the board."""
        listed = ", ".join(self.options.sources)
        what = f"finetuned on {listed}" if len(listed) < 120 else f"finetuned on {len(self.versions)} sources"
        lora = " with adapters in its encoder" if self.options.lora_rank else ""
        return f"{self.options.base}{lora}, {what}, {self.best} of {self.options.epochs} epochs."


def check(out: Path, base: str) -> None:
    """Whether a folder may be written for a model that is finetuned from `base`.

    Raises:
        InputError: its name is none of a model's, or it holds what no finetuning wrote.
    """
    if out.name in (*models.modules(), *click_models.names()):
        raise InputError(f"{out}: a model of the platform has that name; choose another")
    if not finetuned.is_name(out.name):
        raise InputError(f"{out}: a model's name is small letters, digits, - and _; choose another")
    if out.name == base:
        raise InputError(f"{out}: would take the place of its base; choose another name")
    if out.is_symlink():
        raise InputError(f"{out}: a link; name the folder itself")
    if not out.exists():
        return
    held = {path.name for path in out.iterdir()} if out.is_dir() else {""}
    # DVC takes away what a stage made, and leaves the folder.
    if held and not (METRICS in held and held <= _FILES):
        raise BadFile(str(out), "holds another model or other files", "choose another folder, or remove it")


def write(out: Path, made: Result, network: Network) -> None:
    """Writes the folder; it appears whole, in the place of what an earlier run wrote.

    Raises:
        InputError: it can't be written.
    """
    new = out.with_name(f".{out.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir(parents=True)
        _fill(new, made, network)
        (new / WEIGHTS).chmod(0o644)  # safetensors writes files for their owner alone
        shutil.rmtree(out, ignore_errors=True)
        new.rename(out)
    except OSError as error:
        raise InputError(f"{out}: can't be written ({error.strerror}); mend it") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _fill(folder: Path, made: Result, network: Network) -> None:
    whole = bool(made.options.lora_rank)
    state = lora.merged(network).state_dict()
    kept = state if whole else states.part(state)
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in kept.items()}
    save_file(own, folder / WEIGHTS, metadata={"format": "pt"})
    record = finetuned.described(
        folder / WEIGHTS,
        made.name,
        made.base.architecture,
        None if whole else made.options.base,
        preprocessing=made.base.preprocessing,
        candidates=made.base.candidates,
        made_for=made.made_for,
        description=made.summary,
        trained_on=made.trained_on,
    )
    (folder / RECORD).write_text(record.model_dump_json(indent=1) + "\n")
    (folder / METRICS).write_text(json.dumps(_metrics(made), indent=1) + "\n")
    (folder / CURVE).write_text(_curve(made))
    (folder / CARD).write_text(_card(made))


def _metrics(made: Result) -> dict[str, Any]:
    """DICE in per cent on the split validation, under S5, of the best candidate."""
    pairs = {
        pair: {"before": _percent(made.before[pair]), "after": _percent(dice)}
        for pair, dice in made.after.items()
    }
    ends = {"before": made.curve[0]["dice"], "after": made.curve[made.best]["dice"]}
    dice = {name: _percent(value) for name, value in ends.items()}
    return {"epoch": made.best, "images": made.images, "validation_dice": dice, "pairs": pairs}


def _percent(dice: float) -> float:
    return round(100 * dice, 2)


def _curve(made: Result) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", "loss", "dice"])
    for line in made.curve:
        loss = "" if np.isnan(line["loss"]) else round(line["loss"], 5)
        writer.writerow([int(line["epoch"]), loss, _shown(line["dice"])])
    return text.getvalue()


def _card(made: Result) -> str:
    """The model's card, whose header the Hugging Face hub reads."""
    options = made.options
    header = [
        "---",
        "library_name: segment-anything",
        f"base_model: {options.base}",
        "pipeline_tag: mask-generation",
        "tags: [medical, segmentation, cosmos1050k]",
        "---",
    ]
    what = "adapters in its image encoder and its mask decoder" if options.lora_rank else "its mask decoder"
    text = [
        f"# {made.name}",
        f"{options.base} with {what} finetuned on the split `train` of the sources of COSMOS 1050K below. "
        f"The weights of epoch {made.best} of {options.epochs} were kept, the best on the split "
        "`validation`; finetuning never saw the split `test`. For research; not a medical device.",
        f"What it and {options.base} before it were trained on: {made.trained_on}.",
    ]
    if made.gained <= 0:
        text.append("**On validation it is no better than its base.**")
    if made.phantoms:
        text.append(f"**Synthetic sources, phantoms: {', '.join(made.phantoms)}.**")
    return "\n".join([*header, "", "\n\n".join(text), "", *_sections(made)]) + "\n"


def _sections(made: Result) -> list[str]:
    named = [(slug, sources.get(slug).SOURCE) for slug in made.options.sources]
    trained = [[slug, one.name, made.versions[slug][:12], one.licence] for slug, one in named]
    given = made.options.model_dump(mode="json", exclude={"base", "sources"})
    how = [[name, str(value)] for name, value in given.items()]
    how += [
        ["images, train", str(made.images["train"])],
        ["images, validation", str(made.images["validation"])],
    ]
    how += [["dataset version", shards.dataset_version(made.versions)]]
    how += [["trained on", made.device], ["base's weights", made.base.weights_sha256[:12]]]
    pairs = [[pair, _shown(made.before[pair]), _shown(dice)] for pair, dice in made.after.items()]
    pairs.append(["mean over pairs", *(_shown(made.curve[place]["dice"]) for place in (0, made.best))])
    curve = [line.split(",") for line in _curve(made).splitlines()[1:]]
    return [
        *_table("Training sources", ["source", "name", "version", "licence"], trained),
        *_table("How", ["what", "value"], how),
        *_table("DICE in % on validation, box prompts, best candidate", ["pair", "base", "finetuned"], pairs),
        *_table("Curve", ["epoch", "loss", "DICE in %"], curve),
    ]


def _shown(dice: float) -> str:
    return f"{100 * dice:.2f}"


def _table(title: str, columns: list[str], rows: list[list[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"## {title}", "", *(f"| {' | '.join(line)} |" for line in lines), ""]
