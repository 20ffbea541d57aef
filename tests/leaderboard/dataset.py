"""Small built sources for the tests: pictures made here, written by the real shard writer."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cosmos1050k import pictures, shard_writer, units
from cosmos1050k.prompts import prompts_of
from cosmos1050k.schema import SCHEMA
from cosmos1050k.shards import Manifest
from cosmos1050k.taxonomy import pair
from tests.label_maps import label_map

HEIGHT, WIDTH = 48, 64
#: A shard holds one case: sources of many shards.
ONE_CASE = 1


@dataclass(frozen=True)
class Thing:
    """One instance of an object in a picture."""

    object: str
    mask: NDArray[np.bool_]
    instance: str | None = None


@dataclass(frozen=True)
class SmallCase:
    """A case: its slices are pictures (gray H×W or RGB H×W×3) and what is in them."""

    case: str
    patient: str
    slices: tuple[tuple[NDArray[np.uint8], tuple[Thing, ...]], ...]
    modality: str = "CT"
    split: str = "test"


def rectangle(
    x0: int, y0: int, x1: int, y1: int, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> NDArray[np.bool_]:
    """A mask of all pixels from (x0, y0) to (x1, y1), both inside."""
    mask = np.zeros(size, bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def disc(x: int, y: int, radius: float, size: tuple[int, int] = (HEIGHT, WIDTH)) -> NDArray[np.bool_]:
    ys, xs = np.mgrid[: size[0], : size[1]]
    return np.asarray((xs - x) ** 2 + (ys - y) ** 2 <= radius**2)


def rows(source: str, *cases: SmallCase) -> pa.Table:
    """The cases' rows, as a build would make them."""
    return pa.Table.from_pylist([row for case in cases for row in _rows(source, case)[0]], schema=SCHEMA)


def build(
    data: Path,
    source: str,
    cases: Sequence[SmallCase],
    *,
    shard_bytes: int = 2**30,
    phantom: bool = False,
) -> Manifest:
    """Writes the built source `source` into its folder below `data`, in place of what is there."""
    scratch = data / f".{source}.cases"
    scratch.mkdir(parents=True, exist_ok=True)
    built = []
    for number, case in enumerate(cases):
        made, digest = _rows(source, case)
        path = scratch / f"{number}.parquet"
        shard_writer.write_rows(path, pa.Table.from_pylist(made, schema=SCHEMA), row_group_rows=len(made))
        built.append(
            shard_writer.BuiltCase(
                case.case, case.patient, case.modality, case.split, digest, len(made), path
            )
        )
    with units.replacing(data / source) as folder:
        return shard_writer.write_source(
            folder, source, built, [], row_group_rows=2, shard_bytes=shard_bytes, phantom=phantom
        )


def _rows(source: str, case: SmallCase) -> tuple[list[dict[str, Any]], str]:
    """Rows and the digest of their content: id, split, objects, pixels, but not the patient."""
    made, content = [], hashlib.sha256()
    for index, (picture, things) in enumerate(case.slices):
        regions, values = label_map([thing.mask for thing in things])
        objects = [_object(case, thing, own) for thing, own in zip(things, values, strict=True)]
        image_id = f"{source}/{case.case}/{case.modality}/{index}"
        content.update(json.dumps([image_id, case.split, objects, picture.shape]).encode())
        content.update(picture.tobytes() + regions.tobytes())
        made.append(
            {
                "image_id": image_id,
                "image": {"bytes": pictures.encode(picture), "path": None},
                "mask": {"bytes": pictures.encode(regions), "path": None},
                "source": source,
                "patient": case.patient,
                "case": case.case,
                "slice_index": index,
                "view": "transverse",
                "modality": case.modality,
                "split": case.split,
                "height": picture.shape[0],
                "width": picture.shape[1],
                "objects": objects,
                "raw_sha256": "0" * 64,
            }
        )
    return made, content.hexdigest()


def _object(case: SmallCase, thing: Thing, values: list[int]) -> dict[str, Any]:
    prompts = prompts_of(thing.mask)
    return {
        "values": values,
        "object": thing.object,
        "instance": thing.instance,
        "pair": pair(thing.object, case.modality),
        "area": prompts.area,
        "box": prompts.box,
        "points_pos": prompts.positive,
        "points_neg": prompts.negative,
    }


def picture(rng: np.random.Generator, things: Sequence[Thing], *, colour: bool = False) -> NDArray[np.uint8]:
    """Every thing in a shade of its own on a dark ground, with noise."""
    shape = (HEIGHT, WIDTH, 3) if colour else (HEIGHT, WIDTH)
    found = np.full(shape, 40.0)
    for number, thing in enumerate(things):
        found[thing.mask] = np.array([90, 150, 120]) + 15 * number if colour else 110 + 20 * number
    return np.clip(found + rng.normal(0, 6, shape), 0, 255).astype(np.uint8)


def things(rng: np.random.Generator) -> tuple[Thing, ...]:
    """A liver and a lesion that overlap, two kidneys, a nodule too small to be scored."""
    x, y = int(rng.integers(18, 28)), int(rng.integers(16, 30))
    return (
        Thing("Liver", disc(x, y, rng.uniform(9, 13))),
        Thing("Lesion", disc(x + 8, y, rng.uniform(4.5, 7))),
        Thing("Kidney", rectangle(48, 2, 48 + int(rng.integers(6, 10)), 14), "left"),
        Thing("Kidney", disc(53, 34, rng.uniform(5, 8)), "right"),
        Thing("Nodule", rectangle(0, 41, 6, 47)),
    )


def cases(patients: int = 5, *, seed: int = 0, slices: int = 2) -> list[SmallCase]:
    """A case per patient: gray CT of all things; every second patient has colonoscopies (RGB) of the lesion
    under the same case name too. Every fourth patient is for training.
    """
    rng = np.random.default_rng(seed)
    made = []
    for number in range(patients):
        split = "train" if number % 4 == 3 else "test"
        shown = [things(rng) for _ in range(slices)]
        gray = tuple((picture(rng, found), found) for found in shown)
        case = SmallCase(f"case{number}", f"patient{number}", gray, split=split)
        made.append(case)
        if number % 2 == 0:
            lesion = tuple(found[1:2] for found in shown)
            colour = tuple((picture(rng, found, colour=True), found) for found in lesion)
            made.append(replace(case, slices=colour, modality="Colonoscopy"))
    return made


def changed(case: SmallCase) -> SmallCase:
    """The case with one pixel of its first picture changed."""
    first, found = case.slices[0]
    other = first.copy()
    other[-1, -1] ^= 1
    return replace(case, slices=((other, found), *case.slices[1:]))
