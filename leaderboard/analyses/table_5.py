"""Table 5: what everything scores by how many points it asks with."""

from leaderboard.analyses import drawing
from leaderboard.analyses.given import Given, failed, percent, plural
from leaderboard.analyses.section import Section, table
from leaderboard.studies.everything_grid import GRIDS, EverythingGrid, OnPair, read

_KEY, _TITLE = "table_5", "Table 5: everything by grids of points"
#: Where no model was asked: what to do.
LACK = (
    "No model that finds masks by a grid of points was asked with several; with one under `models` in "
    "params.yaml, such as `sam_vit_b`, `make repro` does."
)


def section(given: Given) -> Section:
    """DICE under everything and masks per image, per model, source, pair and grid."""
    found, failures = measured(given)
    if not found:
        return Section(_KEY, _TITLE, "", missing=failures.strip() or LACK)
    rows = [(one, own) for one in found for own in one.pairs]
    first = shown(given, found)
    grids = sorted({own.points for own in first.pairs})
    curves: dict[tuple[str, str], dict[int, OnPair]] = {}
    for own in first.pairs:
        curves.setdefault((own.source, own.pair), {})[own.points] = own
    series = {
        f"{named(given, source)}, {given.named(pair)}": [
            percent(by_grid[points].dice) if points in by_grid else None for points in grids
        ]
        for (source, pair), by_grid in list(curves.items())[: drawing.MOST]
    }
    part = f" ({len(series)} of {len(curves)} pairs)" if len(series) < len(curves) else ""
    return Section(
        _KEY,
        _TITLE,
        f"DICE of {plural(len(found), 'model')} under S1, everything, asked with grids of m×m points, and "
        f"how many masks pass SAM's filters, on {_extent(found)}, spread over cases: every object of "
        f"a source's pair counts the same, of the best of all masks (oracle). {_sources(found)} The paper "
        "took whole datasets; its values are not beside, since its scan is too damaged to be read. The "
        f"figure is of {given.titled(first.model)}{part}.{nothing(first)}{failures}",
        table(
            model=("Model", "text", [given.titled(one.model) for one, _ in rows]),
            source=("Source", "text", [named(given, own.source) for _, own in rows]),
            pair=("Pair", "text", [given.named(own.pair) for _, own in rows]),
            points=("Grid", "text", [grid(own.points) for _, own in rows]),
            images=("Images", "count", [own.images for _, own in rows]),
            objects=("Objects", "count", [own.objects for _, own in rows]),
            dice=("DICE, %", ".2f", [percent(own.dice) for _, own in rows]),
            masks=("Masks per image", ".1f", [own.masks for _, own in rows]),
        ),
        drawing.lines([grid(points) for points in grids], series, "DICE, %"),
    )


def measured(given: Given) -> tuple[list[EverythingGrid], str]:
    """What was found of the board's models that take a grid, the best first, and which of them failed."""
    every = given.studied(read, GRIDS.name)
    return [one for one in every if not one.limits and not one.failed], failed(every)


def shown(given: Given, found: list[EverythingGrid]) -> EverythingGrid:
    """That of the model that is drawn: the best, a demonstration only where there is no other."""
    kinds = {model["name"]: model["kind"] for model in given.models}
    return next((one for one in found if kinds[one.model] != "demonstration"), found[0])


def nothing(found: EverythingGrid) -> str:
    """What to know of a model that found nothing with any grid; empty if it found something."""
    return "" if any(own.masks for own in found.pairs) else " No mask of it passed the filters with any grid."


def grid(points: int) -> str:
    """A grid as it is called, such as `8×8`."""
    return f"{points}×{points}"


def named(given: Given, source: str) -> str:
    """The source, marked if its images are synthetic."""
    return f"{source} (phantom)" if source in given.board["phantoms"] else source


def _extent(found: list[EverythingGrid]) -> str:
    objects, images = (max(getattr(one, what) for one in found) for what in ("objects", "images"))
    return f"up to {plural(objects, 'object')} of {plural(images, 'test image')}"


def _sources(found: list[EverythingGrid]) -> str:
    if all(one.of_paper for one in found):
        return "The sources are those of the paper's four that are on this board."
    return "The sources are all of this board: none of the paper's four is among them."
