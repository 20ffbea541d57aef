"""The sources as a table on a terminal, and as tab-separated lines elsewhere."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cosmos1050k.card import PAPER
from cosmos1050k.status import Status

#: Verdict → how a terminal shows it.
_STYLES = {"same": "green", "partial": "yellow", "different": "red", "phantom": "magenta"}
_COLUMNS = (
    "source", "modalities", "access", "licence", "redistributable", "labelled", "present", "downloads",
    "images", "masks", "version", "reference", "problem",
)  # fmt: skip


def show(rows: Sequence[Status]) -> None:
    """Prints them: for people on a terminal, else for programs, with a line of names first."""
    console = Console()
    if not console.is_terminal:
        print("\t".join(_COLUMNS))
        for row in rows:
            print("\t".join(_plain(row)))
        return
    console.print(_table(rows))
    for row in rows:
        if row.problem:
            console.print(f"{row.slug}: {row.problem}", style="red", markup=False, highlight=False)
    built = [row for row in rows if row.images and not row.phantom]
    images, masks = (sum(getattr(row, name) for row in built) for name in ("images", "masks"))
    here = sum(row.present for row in rows)
    console.print(
        f"{len(rows)} sources, {here} with raw files here, {len(built)} built from real ones: "
        f"{images:,} images, {masks:,} masks. "
        f"The paper: {PAPER[0]} sources, {PAPER[1]:,} images, {PAPER[2]:,} masks; it prints none per source.",
        highlight=False,
    )


def _plain(row: Status) -> tuple[str, ...]:
    return (
        row.slug, ", ".join(row.modalities), row.access, row.licence, _yes(row.redistributable),
        str(row.labelled or ""), _yes(row.present), f"{row.downloads_present}/{row.downloads}",
        str(row.images), str(row.masks), row.version[:12], row.verdict, row.problem,
    )  # fmt: skip


def _yes(what: bool) -> str:
    return "yes" if what else "no"


def _table(rows: Sequence[Status]) -> Table:
    table = Table(title="Sources", title_justify="left")
    for name in ("source", "modalities", "access, licence"):
        table.add_column(name, overflow="fold")
    for name in ("cases", "here", "images", "masks"):
        table.add_column(name, justify="right", no_wrap=name != "here")
    table.add_column("reference", overflow="fold")
    for row in rows:
        table.add_row(
            row.slug,
            ", ".join(row.modalities),
            Text(f"{row.access}; {row.licence}"),
            f"{row.labelled:,}" if row.labelled else "?",
            _here(row),
            f"{row.images:,}" if row.images else "–",
            f"{row.masks:,}" if row.images else "–",
            Text(row.verdict, style=_STYLES.get(row.verdict, "dim")),
        )
    return table


def _here(row: Status) -> str:
    """What of it is present: how many files to download, or that there are others."""
    if not row.present:
        return "–"
    if row.downloads_present:
        return f"{row.downloads_present} of {row.downloads}"
    return "unpacked"
