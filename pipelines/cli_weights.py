"""The verb of `cosmos` about models' weights; `cli` registers it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cosmos1050k import sources
from cosmos1050k.errors import InputError
from leaderboard.contamination import HOWS, How, TrainedOn
from pipelines import stage


def weights(
    model: Annotated[
        str | None, typer.Argument(help="An owner's model: sam_vit_b, sam_vit_l, sam_vit_h or medsam.")
    ] = None,
    given: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Take this file instead of downloading.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the downloaded file beside it.")] = False,
    name: Annotated[str | None, typer.Option(help="With --from: what to call a model of your own.")] = None,
    architecture: Annotated[
        str | None, typer.Option(help="With --name: of a whole model: vit_b, vit_l or vit_h.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="With --name: of a mask decoder, the model that it stands on.")
    ] = None,
    preprocessing: Annotated[
        str | None, typer.Option(help="With --name: sam or medsam; default: its base's, or sam.")
    ] = None,
    candidates: Annotated[
        int | None, typer.Option(help="With --name: masks per prompt, 3 or 1; default: its base's, or 3.")
    ] = None,
    made_for: Annotated[
        str | None, typer.Option(help="With --name: strategies that it was trained for, such as S5,S6.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="With --name: a line about it.")] = None,
    trained_on: Annotated[
        str | None,
        typer.Option(
            help="With --name: what it saw of sources, none, train, all or unknown: camus=train,acdc=all."
        ),
    ] = None,
    trained_on_others: Annotated[
        str | None,
        typer.Option(help="With --name: of all other sources, none, all or unknown; default unknown."),
    ] = None,
) -> None:
    """Fetch a model's weights into data/weights, or make a model of your own in data/models."""
    from leaderboard import finetuned
    from leaderboard import weights as room

    own = {
        "architecture": architecture, "base": base, "preprocessing": preprocessing,
        "candidates": candidates, "made_for": made_for.split(",") if made_for is not None else None,
        "description": description, "trained_on": trained_on, "trained_on_others": trained_on_others,
    }  # fmt: skip
    given_own: dict[str, Any] = {key: value for key, value in own.items() if value is not None}
    with stage.reported():
        if name is not None:
            if model is not None or given is None or keep or (architecture is None) == (base is None):
                form = "cosmos weights --from FILE --name NAME --architecture vit_b"
                raise InputError(f"--name: for weights of your own; run `{form}`, or with --base sam_vit_b")
            given_own["trained_on"] = trained_on_of(trained_on, given_own.pop("trained_on_others", "unknown"))
            print(f"{finetuned.MODELS / name}: {finetuned.adopt(given, name, **given_own)}")
            return
        if given_own:
            raise InputError(
                f"--{next(iter(given_own)).replace('_', '-')}: only with --name, of your own model"
            )
        if model is None:
            raise InputError(f"give a model: {', '.join(room.OFFICIAL)}; or --from FILE and --name")
        done = room.fetch(model, given, keep=keep)
        owner = room.OFFICIAL[model]
        print(f"{room.path(model)}: {done}\nlicence: {owner.licence}\nto cite: {owner.citation}")


def trained_on_of(named: str | None, others: str) -> TrainedOn:
    """What the options say.

    Raises:
        InputError: an unknown source or word, or a source that is named twice.
    """
    found: dict[str, How] = {}
    for item in named.split(",") if named is not None else ():
        slug, _, how = item.partition("=")
        if slug not in sources.slugs():
            raise InputError(
                f"--trained-on: unknown source {slug!r}; `cosmos sources` lists those that exist"
            )
        if slug in found:
            raise InputError(f"--trained-on: {slug} is named twice; name it once")
        found[slug] = _how("--trained-on", item, how, tuple(HOWS))
    # Of sources that are not named nobody trained on just the splits that COSMOS made.
    wide: tuple[How, ...] = ("none", "all", "unknown")
    return TrainedOn(others=_how("--trained-on-others", others, others, wide), sources=found)


def _how(option: str, item: str, word: str, allowed: tuple[How, ...]) -> How:
    for how in allowed:
        if how == word:
            return how
    raise InputError(f"{option}: {item!r} needs one of the words {', '.join(allowed)}; mend it")
