"""The verb of `cosmos` that measures what shifted prompts cost; `cli` registers it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmos1050k.shards import DATA, load_manifest
from pipelines import params, stage

if TYPE_CHECKING:
    from leaderboard.robustness import Robustness


def robustness(
    model: Annotated[str, typer.Argument(help="A model; see `cosmos evaluate`.")],
    images: Annotated[int, typer.Option(min=1, help="Test images to prompt it on.")] = 50,
    strategies: Annotated[str | None, typer.Option(help="Such as S2,S5; default: params.yaml's.")] = None,
    data: Annotated[Path | None, typer.Option(help="Where the built sources of params.yaml lie.")] = None,
) -> None:
    """Measure how much DICE a model loses when its prompts are shifted."""
    from leaderboard import robustness as room
    from leaderboard.evaluate import EvaluateOptions
    from pipelines.machine import machine_here

    with stage.reported():
        given = params.load()
        options = given.section("evaluate", EvaluateOptions)
        asked = params.listed(strategies) if strategies is not None else options.strategies
        found = room.measure(model, data or DATA, given.sources, asked, images, machine_here(model, given))
        path = room.write(found)
        phantoms = [slug for slug in found.sources if load_manifest((data or DATA) / slug).phantom]
        _describe(found, {} if phantoms else _paper())
        print(path)


def _describe(found: "Robustness", paper: dict[tuple[str, str], float]) -> None:
    """Prints a table of strategies and shifts, in percentage points of DICE; the paper's beside, if given."""
    from leaderboard.robustness import SEEDS
    from leaderboard.strategies import STRATEGIES

    counted = f"objects {found.objects}, images {found.images}; {found.device}, {found.numerics}"
    print(f"{found.model}: DICE lost when prompts are shifted, in percentage points; {counted}")
    print(f"{'pixels':34}" + "".join(f"{reach:>22}" for reach in found.drops))
    for name in next(iter(found.drops.values())):
        cells = (
            f"{100 * drop[name].mean:.2f} ± {100 * drop[name].spread:.2f}"
            + (f" ({paper[reach, name]:.2f})" if paper else "")
            for reach, drop in found.drops.items()
        )
        print(f"{f'{name}, {STRATEGIES[name].title}':34}" + "".join(f"{cell:>22}" for cell in cells))
    over = f"mean ± deviation over {len(SEEDS)} seeds"
    if not paper:
        print(f"{over}; none of the paper's beside synthetic images")
        return
    print(f"{over}; in brackets the paper's mean (table 8): its own images,")
    print("a SAM of a size it doesn't name, and perhaps no other point moved than the centre")


def _paper() -> dict[tuple[str, str], float]:
    """Pixels and strategy → the paper's mean of three runs, in percentage points."""
    from leaderboard import paper

    rows = paper.table().to_pylist()
    return {
        (row["detail"], row["strategy"]): row["value"]
        for row in rows
        if row["table"] == 8 and row["run"] == "mean"
    }
