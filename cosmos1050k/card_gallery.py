"""The card's gallery: per modality a sheet with one picture of each object–modality pair, outlines drawn on
it. Only sources whose images may be passed on are shown.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cosmos1050k import pictures, shards, sources, taxonomy
from cosmos1050k.errors import InputError
from cosmos1050k.shards import Manifest

#: A picture fits into a square of this side; so many stand in a row of a sheet.
SIDE, ACROSS = 192, 4
_GAP, _LINE = 8, 16
_GROUND, _TEXT, _QUIET, _WARNING = (17, 17, 17), (240, 240, 240), (170, 170, 170), (255, 190, 60)
_OUTLINE = (255, 210, 0)


@dataclass(frozen=True)
class Picture:
    """A pair to show, and which source's image shows it."""

    pair: str
    object: str
    modality: str
    source: str
    phantom: bool


@dataclass(frozen=True)
class Plan:
    """What the gallery shows: modality → its pictures, by object; and the pairs it may not show."""

    sheets: dict[str, list[Picture]]
    withheld: tuple[str, ...]


def sheet_name(modality: str) -> str:
    """The file of a modality's sheet."""
    return f"gallery_{taxonomy.slug(modality)}.jpg"


def plan(manifests: Sequence[Manifest]) -> Plan:
    """What to show of a build: of each pair the first real source that may be passed on, else a synthetic."""
    shown: dict[str, Picture] = {}
    every: set[str] = set()
    for manifest in sorted(manifests, key=lambda one: one.phantom):
        every.update(manifest.pairs)
        if sources.get(manifest.source).SOURCE.redistributable:
            for picture in _pictures(manifest):
                shown.setdefault(picture.pair, picture)
    sheets = {
        modality: sorted((p for p in shown.values() if p.modality == modality), key=lambda p: p.object)
        for modality in taxonomy.MODALITIES
    }
    return Plan(
        {modality: found for modality, found in sheets.items() if found},
        tuple(sorted(every - shown.keys())),
    )


def _pictures(manifest: Manifest) -> Iterator[Picture]:
    for modality in manifest.modalities:
        for name in manifest.objects:
            pair = taxonomy.pair(name, modality)
            if pair in manifest.pairs:
                yield Picture(pair, name, modality, manifest.source, manifest.phantom)


def sheets(slugs: Sequence[str], data: Path) -> dict[str, bytes]:
    """The sheets of the built sources `slugs` as JPEG files; the same build gives the same bytes.

    Raises:
        InputError: one of them is not built, or damaged.
    """
    planned = plan([shards.load_manifest(data / slug) for slug in slugs]).sheets
    needed = {picture.source for found in planned.values() for picture in found}
    cases = {slug: shards.load_cases(data / slug) for slug in needed}
    return {
        sheet_name(modality): _sheet([(p, _row(data / p.source, cases[p.source], p)) for p in found])
        for modality, found in planned.items()
    }


def _row(folder: Path, cases: Sequence[dict[str, Any]], picture: Picture) -> dict[str, Any]:
    """The row that shows most of a pair, of the case with most images of it that are scored."""

    def images(case: dict[str, Any]) -> int:
        return sum(entry["images"] for entry in case["pairs"] if entry["pair"] == picture.pair)

    own = [case for case in cases if case["modality"] == picture.modality]
    # The second case and those after it are read only for a pair that is too small everywhere.
    for case in sorted(own, key=images, reverse=True):
        areas = [
            sum(entry["area"] for entry in objects if entry["pair"] == picture.pair)
            for objects in shards.read_case(folder, case, ["objects"])["objects"].to_pylist()
        ]
        if any(areas):
            one = {**case, "first_row": case["first_row"] + areas.index(max(areas)), "rows": 1}
            found: dict[str, Any] = shards.read_case(folder, one).to_pylist()[0]
            return found
    raise InputError(
        f"{folder}: no row has {picture.pair}, which its manifest counts; build the source again"
    )


def _sheet(shown: Sequence[tuple[Picture, dict[str, Any]]]) -> bytes:
    """Pictures side by side, each above its object and source."""
    step_x, step_y = SIDE + _GAP, SIDE + _GAP + 3 * _LINE
    across = min(ACROSS, len(shown))
    down = -(-len(shown) // across)
    sheet = Image.new("RGB", (_GAP + across * step_x, _GAP + down * step_y), _GROUND)
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(13), ImageFont.load_default(11)
    for place, (picture, row) in enumerate(shown):
        x, y = _GAP + place % across * step_x, _GAP + place // across * step_y
        tile = outlined(row, picture.pair)
        middle = (x + (SIDE - tile.shape[1]) // 2, y + (SIDE - tile.shape[0]) // 2)
        sheet.paste(Image.fromarray(tile), middle)
        if picture.phantom:
            draw.text((x + 2, y), "SYNTHETIC", _WARNING, large)
        lines = [(line, _TEXT, large) for line in _wrapped(picture.object, large)]
        for number, (line, colour, font) in enumerate([*lines, (picture.source, _QUIET, small)]):
            draw.text((x, y + SIDE + 2 + number * _LINE), line, colour, font)
    stream = io.BytesIO()
    sheet.save(stream, "JPEG", quality=85, subsampling="4:4:4", optimize=True)
    return stream.getvalue()


def _wrapped(text: str, font: Any) -> Iterator[str]:
    """Words in lines no wider than a picture."""
    line = ""
    for word in text.split():
        if line and font.getlength(f"{line} {word}") > SIDE:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line


def outlined(row: dict[str, Any], pair: str) -> NDArray[np.uint8]:
    """A row's image H×W×3, RGB, within `SIDE`, with the outline of each instance of a pair, holes too."""
    image, mask = (pictures.decode(row[name]["bytes"]) for name in ("image", "mask"))
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    drawn = small if small.ndim == 3 else cv2.cvtColor(small, cv2.COLOR_GRAY2RGB)
    for entry in row["objects"]:
        if entry["pair"] == pair:
            inside = np.isin(mask, entry["values"]).astype(np.uint8)
            contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            # Sixteenths of a pixel: the middle of a stored pixel rarely is the middle of a drawn one.
            points = [np.round(((c + 0.5) * scale - 0.5) * 16).astype(np.int32) for c in contours]
            cv2.polylines(drawn, points, True, _OUTLINE, 1, cv2.LINE_AA, 4)
    return drawn.astype(np.uint8, copy=False)
