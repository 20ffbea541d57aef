"""The card's four charts, those of the paper's figure 3, as SVG: they bring a ground of their own, light or
dark as the reader's system is.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from cosmos1050k import shards, sources, taxonomy
from cosmos1050k.shards import Manifest

#: File → what it shows, in the paper's order a to d.
CHARTS = {
    "sources.svg": "Images per source",
    "objects.svg": "Masks per object",
    "modalities.svg": "Images per modality",
    "sizes.svg": "Images per size, up to so many pixels",
}
#: Sides of the squares whose areas bound the paper's intervals.
SIDES = (128, 256, 512, 1024, 2048, 4096)

_WIDTH, _ROW, _TOP, _BOTTOM = 860, 20, 44, 30
_NAMES, _NUMBERS = 285, 170
_LONGEST = 38
#: Part → its colour on a light and on a dark ground.
_COLOURS = {
    "ground": ("#ffffff", "#0d1117"),
    "text": ("#1f2328", "#e6edf3"),
    "quiet": ("#59636e", "#9198a1"),
    "grid": ("#d1d9e0", "#3d444d"),
    "real": ("#4477aa", "#6ea8dc"),
    "synthetic": ("#c9a227", "#8a6d12"),
}


@dataclass(frozen=True)
class Bar:
    """One line of a chart: how many, and how many of these are synthetic."""

    name: str
    number: int
    synthetic: int = 0


def charts(slugs: Sequence[str], data: Path) -> dict[str, str]:
    """The files of `CHARTS` for the built sources `slugs`; the same build gives the same text.

    Raises:
        InputError: one of them is not built, or damaged.
    """
    manifests = [shards.load_manifest(data / slug) for slug in slugs]
    by_size = {manifest.source: sizes(data / manifest.source, manifest) for manifest in manifests}
    masks = {m.source: {name: count.instances for name, count in m.objects.items()} for m in manifests}
    by_object = sorted(_bars(manifests, masks), key=lambda bar: (-bar.number, bar.name))
    modalities = {bar.name: bar for bar in _bars(manifests, {m.source: m.modalities for m in manifests})}
    found = (
        [_source(manifest) for manifest in manifests],
        by_object,
        [modalities[name] for name in taxonomy.MODALITIES if name in modalities],
        list(_bars(manifests, by_size)),
    )
    return {file: drawn(CHARTS[file], bars) for file, bars in zip(CHARTS, found, strict=True)}


def _source(manifest: Manifest) -> Bar:
    name = sources.get(manifest.source).SOURCE.name
    return Bar(name.partition(" (")[0], manifest.rows, manifest.rows if manifest.phantom else 0)


def _bars(manifests: Sequence[Manifest], counts: Mapping[str, Mapping[str, int]]) -> Iterator[Bar]:
    """Counts per source, added up by name; in the order in which names first occur."""
    every: Counter[str] = Counter()
    synthetic: Counter[str] = Counter()
    for manifest in manifests:
        every.update(counts[manifest.source])
        if manifest.phantom:
            synthetic.update(counts[manifest.source])
    return (Bar(name, number, synthetic[name]) for name, number in every.items())


def sizes(folder: Path, manifest: Manifest) -> dict[str, int]:
    """Interval of areas, named by the square that bounds it → images of a built source in it.

    Raises:
        InputError: a shard is missing or damaged.
    """
    bounds = np.array([side * side for side in SIDES])
    counts = np.zeros(len(SIDES) + 1, np.int64)
    for shard in manifest.shards:
        with shards.readable(folder, shard.file), pq.ParquetFile(folder / shard.file) as file:
            found = file.read(columns=["height", "width"])
        areas = found["height"].to_numpy().astype(np.int64) * found["width"].to_numpy()
        counts += np.bincount(np.searchsorted(bounds, areas), minlength=len(counts))
    names = [*(f"{side} × {side}" for side in SIDES), f"more than {SIDES[-1]} × {SIDES[-1]}"]
    return dict(zip(names, counts.tolist(), strict=True))


def drawn(title: str, bars: Sequence[Bar]) -> str:
    """Horizontal bars on a logarithmic scale from 1, each with its number, as an SVG file."""
    height = _TOP + _ROW * len(bars) + _BOTTOM
    decades = max(1, math.ceil(math.log10(max((bar.number for bar in bars), default=1) or 1)))
    length = _WIDTH - _NAMES - _NUMBERS

    def reach(number: int) -> float:
        """Where a bar ends; one of 1 can still be seen."""
        return max(length * math.log10(number) / decades, 2) if number else 0

    def ground() -> Iterator[str]:
        yield _box("ground", 0, 0, _WIDTH, height)
        yield _text("text", 12, 24, title, size=15)
        if any(bar.synthetic for bar in bars):
            yield _box("synthetic", _WIDTH - 132, 14, 12, 12)
            yield _text("text", _WIDTH - 114, 24, "synthetic images")
        for decade in range(decades + 1):
            x = _NAMES + length * decade / decades
            yield _box("grid", x, _TOP - 4, 1, height - _TOP - _BOTTOM + 8)
            yield _text("quiet", x, height - 10, f"{10**decade:,}", anchor="middle")

    def row(bar: Bar, y: float) -> Iterator[str]:
        name = bar.name if len(bar.name) <= _LONGEST else f"{bar.name[: _LONGEST - 1]}…"
        real = reach(bar.number - bar.synthetic)
        yield _text("text", _NAMES - 8, y + 14, name, anchor="end")
        yield _box("real", _NAMES, y + 3, real, _ROW - 6)
        yield _box("synthetic", _NAMES + real, y + 3, max(reach(bar.number) - real, 0), _ROW - 6)
        of = f" ({bar.synthetic:,} synthetic)" if bar.synthetic else ""
        yield _text("text", _NAMES + reach(bar.number) + 6, y + 14, f"{bar.number:,}{of}")

    dark = "".join(f".{part}{{fill:{colours[1]}}}" for part, colours in _COLOURS.items())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img" font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title)}, on a logarithmic scale</title>",
        f"<style>@media (prefers-color-scheme: dark) {{{dark}}}</style>",
        *ground(),
        *(line for place, bar in enumerate(bars) for line in row(bar, _TOP + _ROW * place)),
        "</svg>",
    ]
    return "\n".join(filter(None, lines)) + "\n"


def _box(part: str, x: float, y: float, width: float, height: float) -> str:
    """A rectangle; nothing if it has no width."""
    if not width:
        return ""
    place = f'x="{x:.6g}" y="{y:.6g}" width="{width:.6g}" height="{height:.6g}"'
    return f'<rect class="{part}" fill="{_COLOURS[part][0]}" {place}/>'


def _text(part: str, x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    place = f'x="{x:.6g}" y="{y:.6g}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text class="{part}" fill="{_COLOURS[part][0]}" {place}>{escape(text)}</text>'
