"""Reads what people drew and corrected in a study's folder: all of it is right, or nothing is taken."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np
from tqdm import tqdm

from cosmos1050k import pictures, shards
from cosmos1050k.errors import InputError
from leaderboard.annotation import folder as layout
from leaderboard.annotation import times
from leaderboard.annotation.folder import (
    ANNOTATIONS,
    PRESEGMENTED,
    STUDY,
    TASKS,
    TIMES,
    AnnotationStudy,
    StudyImage,
    StudyObject,
    Task,
)
from leaderboard.annotation.result import Annotation, Work
from leaderboard.demo.samples import Sample, Samples
from leaderboard.studies.effort import RELAX, Effort, Mask, correction_effort

_PNG = b"\x89PNG\r\n\x1a\n"


class Unfit(InputError):
    """A folder that can't be imported: `folder`, and a line for each of its `problems`."""

    def __init__(self, folder: Path, problems: Sequence[str]) -> None:
        super().__init__(folder, problems)  # both, so that the exception survives pickling
        self.folder, self.problems = folder, tuple(problems)

    def __str__(self) -> str:
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return f"{self.folder}: {self.problems[0]}{more}; nothing was imported"


@dataclass(frozen=True)
class _Masks:
    """The masks of one person in one task, or the model's, in `place` below the folder.

    `clicks`: per image. `copied`: per mask that is the model's as well whether there is anything in it.
    """

    place: str
    clicks: list[list[int]] = field(default_factory=list)
    copied: list[bool] = field(default_factory=list)


def read(folder: Path, data: Path) -> Annotation:
    """Checks all that is in a study's folder and measures it against the true masks.

    Who did a task did it for all images. Other tasks and people may be missing.

    Args:
        data: the folder of the built sources, of the versions that the study is of.

    Raises:
        InputError: the folder is no study, or of another dataset than is built.
        Unfit: anything that was annotated, or a time, can't be used.
    """
    study, digest = layout.load(folder)
    name = layout.name_of(folder)
    for slug, version in study.sources.items():
        built = shards.load_manifest(data / slug).version
        if built != version:
            problem = f"of version {version[:16]} of {slug}, and built is {built[:16]}"
            raise InputError(
                f"{folder}: {problem}; `git checkout` the release it was exported with and build"
            )
    timed, problems = times.read(folder, study)
    found = timed or {}
    sets = list(_sets(folder, problems))
    if timed is not None:
        problems += _of_times(study, {(who, task) for who, task, _ in sets}, found)
    problems += [line for *_, masks in sets for line in _strays(folder, masks, study)]
    model = _Masks(PRESEGMENTED)
    problems += _measured(folder, study, data, model, [masks for *_, masks in sets], bool(problems))
    problems += [
        f"{masks.place}: nothing but the model's masks; draw without them, or put these into corrected"
        for _, task, masks in sets
        if task == "scratch" and len(masks.copied) == study.objects and any(masks.copied)
    ]
    if not sets and not problems:
        problems = [f"nobody's masks in {ANNOTATIONS}/; {layout.GUIDE} there says where they belong"]
    if problems:
        raise Unfit(folder, problems)
    annotators: dict[str, dict[Task, Work]] = {}
    for who, task, masks in sets:
        minutes = round(fmean(found[who][task].values()) / 60, 6)
        annotators.setdefault(who, {})[task] = Work(effort=Effort.of(masks.clicks), minutes=minutes)
    return Annotation(
        study=name,
        study_sha256=digest,
        model=study.model,
        version=study.version,
        weights_sha256=study.weights_sha256,
        sources=study.sources,
        images=len(study.images),
        objects=study.objects,
        relax=RELAX,
        presegmented=Effort.of(model.clicks),
        annotators=annotators,
    )


def _sets(folder: Path, problems: list[str]) -> Iterator[tuple[str, Task, _Masks]]:
    """Who, which task, and their masks, sorted; what is no such folder is a problem."""
    for person in _listed(folder / ANNOTATIONS):
        place = f"{ANNOTATIONS}/{person.name}"
        if not person.is_dir() or not layout.NAME.fullmatch(person.name):
            problems.append(f"{place}: no folder of a person; name it with letters, digits, - and _ alone")
            continue
        known: dict[str, Task] = {task: task for task in TASKS}
        for own in _listed(person):
            if own.name in known and own.is_dir():
                yield person.name, known[own.name], _Masks(f"{place}/{own.name}")
            else:
                problems.append(f"{place}/{own.name}: no folder of a task; there are {' and '.join(TASKS)}")


def _listed(folder: Path) -> list[Path]:
    """What lies in a folder, hidden files of the system left out; nothing if there is none."""
    return sorted(folder.glob("[!.]*")) if folder.is_dir() else []


def _strays(folder: Path, masks: _Masks, study: AnnotationStudy) -> Iterator[str]:
    known = {entry.mask for image in study.images for entry in image.objects}
    for path in _listed(folder / masks.place):
        if path.name not in known:
            yield f"{masks.place}/{path.name}: no mask of this study; name it as in {layout.OBJECTS}"


def _of_times(study: AnnotationStudy, done: set[tuple[str, Task]], found: times.Times) -> Iterator[str]:
    """Work without a time, and times without work."""
    for who, task in sorted(done):
        own = found.get(who, {}).get(task, {})
        for image in study.images:
            if image.file not in own:
                yield f"{TIMES}: no time of {who}, {task}, {image.file}; add a line"
    for who, tasks in found.items():
        for task in tasks:
            if (who, task) not in done:
                place = f"{ANNOTATIONS}/{who}/{task}"
                yield f"{TIMES}: {who}, {task} has times and no masks; put these into {place}"


def _measured(
    folder: Path,
    study: AnnotationStudy,
    data: Path,
    model: _Masks,
    people: Sequence[_Masks],
    only_check: bool,
) -> list[str]:
    """Fills in the clicks of every image; a line for each mask that can't be used, after which none count."""
    samples = Samples(data, private=True)
    problems = []
    for image in tqdm(study.images, desc=f"import {folder.name}", unit=" image", disable=None):
        sample = samples.load(image.image_id)
        if not _matches(image, sample):
            problem = f"{image.file} is another image than the dataset's {image.image_id[:200]!r}"
            raise InputError(f"{folder / STUDY}: {problem}; take it from the folder as exported")
        given: dict[str, Mask] = {}
        for masks in (model, *people):
            own = []
            for entry in image.objects:
                place = f"{masks.place}/{entry.mask}"
                mask = _mask(folder / place, image, entry.sha256 if masks is model else None)
                if isinstance(mask, str):
                    problems.append(f"{place}: {mask}")
                    continue
                if masks is model:
                    given[entry.mask] = mask
                elif entry.mask in given and np.array_equal(mask, given[entry.mask]):
                    masks.copied.append(bool(mask.any()))
                elif slip := _slip(mask, entry):
                    problems.append(f"{place}: {slip}")
                if not (problems or only_check):
                    own.append(correction_effort(mask, sample.objects[entry.index].mask))
            masks.clicks.append(own)
    return problems


def _matches(image: StudyImage, sample: Sample) -> bool:
    """Whether an image of the study is of the size of the dataset's, and its objects are that one's."""
    boxes = {entry.index: entry.box for entry in sample.objects}
    return sample.picture.shape[:2] == (image.height, image.width) and all(
        boxes.get(entry.index) == entry.box for entry in image.objects
    )


def _slip(mask: Mask, entry: StudyObject) -> str:
    """What is plainly wrong with a mask H×W that is not the model's, or nothing."""
    height, width = mask.shape
    x0, y0, x1, y1 = entry.box
    inner = x0 > 0 and y0 > 0 and x1 < width - 1 and y1 < height - 1
    if inner and mask[[0, 0, -1, -1], [0, -1, 0, -1]].all():
        return "covers all four corners of the image; inverted?"
    if mask.any() and not mask[y0 : y1 + 1, x0 : x1 + 1].any():
        return "lies outside its object's box; another's name?"
    return ""


def _mask(path: Path, image: StudyImage, sha256: str | None) -> Mask | str:
    """A mask H×W, or what is wrong with its file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        return (
            "missing; save one, empty if there is nothing" if missing else f"can't be read ({error.strerror})"
        )
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        return f"changed; put the exported one back, and corrected masks into {ANNOTATIONS}/NAME/corrected"
    try:
        picture = pictures.decode(content) if content.startswith(_PNG) else None
    except ValueError:
        picture = None
    if picture is None:
        return "no PNG of 8 bits; save it as one"
    if picture.ndim != 2:
        return "in colour; save it as gray, 0 outside and 255 inside"
    if picture.shape != (image.height, image.width):
        sizes = f"{picture.shape[1]}×{picture.shape[0]}, and its image {image.width}×{image.height}"
        return f"{sizes} pixels; save it in the image's size"
    values = np.unique(picture)
    if np.count_nonzero(values) > 1:
        listed = ", ".join(map(str, values[:5].tolist()))
        return (
            f"holds the values {listed}{' …' if len(values) > 5 else ''}; save 0 outside and one other inside"
        )
    return picture > 0
