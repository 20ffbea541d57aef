"""Writes a study's folder: images of average DICE, and a model's masks on them, without the true ones."""

import csv
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cosmos1050k import disk, pictures, shards
from cosmos1050k.errors import InputError
from leaderboard import models
from leaderboard.annotation import guide
from leaderboard.annotation.choice import BAND, choose
from leaderboard.annotation.folder import (
    GUIDE,
    IGNORE,
    IGNORED,
    IMAGES,
    OBJECTS,
    PRESEGMENTED,
    STUDY,
    TIME_COLUMNS,
    TIMES,
    AnnotationStudy,
    StudyImage,
    StudyObject,
    name_of,
)
from leaderboard.demo.samples import Sample, SampleObject, Samples
from leaderboard.machine import Machine
from leaderboard.models.base import Segmenter
from leaderboard.selection import SELECTIONS
from leaderboard.store.read import BoardReader
from leaderboard.strategies import STRATEGIES, prompts
from leaderboard.studies.correction import STRATEGY, picked
from leaderboard.studies.record import on_image

#: The best of a model's candidates, as on the board and in the paper.
_SELECTION = SELECTIONS[0]


def export(
    model: str, out: Path, reader: BoardReader, data: Path, machine: Machine, *, images: int, seed: int
) -> AnnotationStudy:
    """Writes the folder `out`, whole or not at all, of any source, those too that may not be passed on.

    Args:
        data: the folder of the built sources, those of the published board.
        images: at most so many, drawn by `seed` as `choice` says.

    Raises:
        InputError: the folder holds something or can't name a study; the model, its weights, its scores or
            the sources are missing or others than the board's; the model fails on an image.
    """
    name_of(out)
    _refuse_full(out)
    board = reader.board()
    manifests = {slug: shards.load_manifest(data / slug) for slug in board["sources"]}
    versions = {slug: one.version for slug, one in manifests.items()}
    if shards.dataset_version(versions) != board["dataset_version"]:
        raise InputError(f"{data}: other versions than the board's; run `make repro` for a board of these")
    chosen = choose(reader, model, images, seed)
    if not chosen:
        raise InputError(
            f"{model}: no image is within {BAND} of its pairs' mean DICE; export another model's"
        )
    segmenter = _segmenter(model, reader, machine)
    samples = Samples(data, private=True)
    with _whole(out) as folder:
        for name in (IMAGES, PRESEGMENTED):
            (folder / name).mkdir()
        digits = max(3, len(str(len(chosen))))
        numbered = enumerate(tqdm(chosen, desc=f"export {model}", unit=" image", disable=None), start=1)
        loaded = ((f"{number:0{digits}}", samples.load(image_id)) for number, image_id in numbered)
        written = [_image(folder, name, sample, segmenter) for name, sample in loaded]
        slugs = {one.image_id.split("/")[0] for one in written}
        shown = Samples(data)
        declared = segmenter.declaration
        study = AnnotationStudy(
            model=model,
            version=declared.version,
            weights_sha256=declared.weights_sha256,
            device=declared.device,
            numerics=declared.dtype,
            strategy=STRATEGY,
            selection=_SELECTION,
            protocol_version=board["protocol_version"],
            dataset_version=board["dataset_version"],
            sources={slug: version for slug, version in versions.items() if slug in slugs},
            phantoms=tuple(slug for slug, one in manifests.items() if slug in slugs and one.phantom),
            closed=tuple(slug for slug in versions if slug in slugs and not shown.shows(slug)),
            seed=seed,
            band=BAND,
            images=tuple(written),
        )
        _tables(folder, study)
        (folder / IGNORE).write_text(IGNORED)
        (folder / GUIDE).write_text(guide.text(study))
        (folder / STUDY).write_text(study.model_dump_json(indent=1) + "\n")
    return study


def _refuse_full(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not (out.is_dir() and _is_empty(out))):
        raise InputError(f"{out}: is there already; choose another folder, or an empty one")
    above = next(parent for parent in out.absolute().parents if parent.exists())
    if not above.is_dir():
        raise InputError(f"{above}: a file, so nothing can be written below it; choose another folder")


def _is_empty(folder: Path) -> bool:
    """Whether it holds nothing but, at most, what keeps a study out of git."""
    return all(
        path.name == IGNORE and path.is_file() and path.read_bytes() == IGNORED.encode()
        for path in folder.iterdir()
    )


def _segmenter(model: str, reader: BoardReader, machine: Machine) -> Segmenter:
    """A model that is on the board, of the version and the weights that its scores are of."""
    kind = models.kind(model)
    kind.check()
    declared = kind.declared(machine)
    (own,) = (row for row in reader.models() if row["name"] == model)
    if (own["version"], own["weights_sha256"]) != (declared.version, declared.weights_sha256):
        raise InputError(
            f"{model}: of other weights than the board's scores; run `make repro` to score these"
        )
    return models.get(model, machine)


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that takes its place when the block ends without an error."""
    out = out.absolute()
    new = out.with_name(f".{out.name}.{os.getpid()}")
    with disk.writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            new.mkdir()
            yield new
            (out / IGNORE).unlink(missing_ok=True)  # only an empty folder can be replaced
            new.replace(out)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _image(folder: Path, name: str, sample: Sample, model: Segmenter) -> StudyImage:
    """Writes an image and the model's masks of its scored objects."""
    own = [entry for entry in sample.objects if entry.scored]
    picture = sample.picture
    rgb = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
    with on_image(model.declaration.name, sample.image_id):
        (embedding,) = model.embed([rgb])
        answers = model.prompt(embedding, prompts(STRATEGIES[STRATEGY], [vars(entry) for entry in own]))
        masks = [
            picked(answer, entry.truth())[_SELECTION] for answer, entry in zip(answers, own, strict=True)
        ]
    digits = len(str(len(own)))
    objects = [
        _object(folder, f"{name}_{number:0{digits}}.png", entry, mask.astype(np.uint8) * 255)
        for number, (entry, mask) in enumerate(zip(own, masks, strict=True), start=1)
    ]
    return StudyImage(
        file=f"{name}.png",
        image_id=sample.image_id,
        case=sample.case,
        height=picture.shape[0],
        width=picture.shape[1],
        sha256=_written(folder / IMAGES / f"{name}.png", pictures.encode(picture)),
        objects=tuple(objects),
    )


def _object(folder: Path, name: str, entry: SampleObject, mask: NDArray[np.uint8]) -> StudyObject:
    return StudyObject(
        mask=name,
        index=entry.index,
        box=(entry.box[0], entry.box[1], entry.box[2], entry.box[3]),
        object=entry.object,
        instance=entry.instance,
        pair=entry.pair,
        sha256=_written(folder / PRESEGMENTED / name, pictures.encode(mask)),
    )


def _written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _tables(folder: Path, study: AnnotationStudy) -> None:
    """The objects, and the empty table of times."""
    box = ("x0", "y0", "x1", "y1")
    rows: list[Sequence[object]] = [("mask", "image", "object", "instance", "pair", "case", *box)]
    rows += [
        (one.mask, image.file, one.object, one.instance or "", one.pair, image.case, *one.box)
        for image in study.images
        for one in image.objects
    ]
    for name, lines in ((OBJECTS, rows), (TIMES, [TIME_COLUMNS])):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)
