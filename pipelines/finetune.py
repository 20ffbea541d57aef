"""Stage `finetune`: one of the models that params.yaml finetunes, into `data/models`."""

from pathlib import Path

from cosmos1050k.errors import InputError
from cosmos1050k.shards import DATA
from leaderboard.finetuned import MODELS, WEIGHTS
from leaderboard.training.finetune import finetune
from leaderboard.training.options import FinetuneOptions
from leaderboard.training.result import Result
from pipelines import params, stage


def describe(made: Result, out: Path) -> None:
    """Prints what came of it, and how to score it."""
    before, after = (100 * made.curve[place]["dice"] for place in (0, made.best))
    print(
        f"{made.name}: DICE on validation {before:.2f} → {after:.2f} % (S5, mean over {len(made.after)} "
        f"pairs), epoch {made.best} of {made.options.epochs}, in {out}"
    )
    if made.gained <= 0:
        print(f"{made.name}: no epoch is better than its base on validation")
    if made.phantoms:
        print(f"{made.name}: trained on phantoms, synthetic images: {', '.join(made.phantoms)}")
    name = made.name
    if out.parent.resolve() == MODELS.resolve():
        print(f"To score it: `cosmos evaluate --model {name}`, or its name under `models` in params.yaml")
        return
    whole, base = made.options.lora_rank, made.options.base
    of = f"--architecture {made.base.architecture}" if whole else f"--base {base}"
    of += f" --preprocessing {made.base.preprocessing} --candidates {made.base.candidates}"
    of += f" --made-for {','.join(made.made_for)}"
    print(f"To score it: `cosmos weights --from {out / WEIGHTS} --name {name} {of}`")


def main() -> None:
    name = stage.argument("python -m pipelines.finetune NAME")
    given = params.load()
    options, out = given.entry("finetune", name, FinetuneOptions), MODELS / name
    if options.base in given.finetune:  # the pipeline does not know which of the two comes first
        raise InputError(
            f"{params.PARAMS}: finetune.{name}.base: {options.base} is finetuned itself; name its base"
        )
    describe(finetune(out, options, data=DATA, sources=given.sources), out)


if __name__ == "__main__":
    with stage.reported():
        main()
