"""QUBIQ 2021: single slices in NIfTI files, one mask per annotator and structure, no two quite the same."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy, brain, containers, torso
from tests.phantoms.anatomy import Mask
from tests.phantoms.truth import Thing, TrueRow

TRAINING = Path("training_data_v3_QC")
VALIDATION = Path("validation_data_qubiq2021_QC")
#: The planes of a brain tumor's image.
SEQUENCES = ("T2-FLAIR MRI", "T1W MRI", "T1-GD MRI", "T2W MRI")


class Drawn(NamedTuple):
    """A case: its image, H×W or H×W×planes, and per structure one mask per annotator."""

    values: NDArray[np.float32]
    tasks: dict[str, list[Mask]]


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        name, each = f"case{number + 1:02d}", 100 * seed + number
        place = TRAINING / "kidney/Training" / name
        truth += _case(folder, place, _kidney(each), "CT", "Kidney", own_name=number == 1)
        place = TRAINING / "brain-growth/Training" / name
        truth += _case(folder, place, _growth(each), "MRI", "Brain Growth")
        # Of case09 one of the six is missing.
        place = TRAINING / "prostate/Training" / ("case09" if number == 1 else name)
        truth += _case(folder, place, _prostate(each, without=2 if number == 1 else None), "MRI", "Prostate")
        place = TRAINING / "brain-tumor/Training" / name
        truth += _case(folder, place, _tumor(each), SEQUENCES, "Brain Tumor")
    for name, part, spots in (  # the keep rule's edge: of the middle one of three spots
        ("case21", TRAINING / "kidney/Training", (60, 50, 40)),
        ("case22", TRAINING / "kidney/Training", (60, 51, 40)),
        ("case23", TRAINING / "kidney/Training", (90, 0, 0)),
        ("case25", VALIDATION / "kidney/Validation", (130, 120, 0)),
    ):
        drawn = _kidney(100 * seed + 90, spots)
        truth += _case(folder, part / name, drawn, "CT", "Kidney")
    for place in ("validation_data_qubiq2021_QC/prostate/Validation/case56", "QUBIQ21_test/kidney/case01"):
        containers.nifti(folder / place / "image.nii.gz", drawn.values.T, np.eye(4))
    for file in ("image", "task01_seg01", "task01_seg02"):  # in three dimensions, and not used
        path = folder / TRAINING / f"pancreas/case1-1/{file}.nii.gz"
        containers.nifti(path, np.ones((8, 9, 4), np.uint8), np.eye(4))
    return truth


def _case(
    folder: Path,
    place: Path,
    drawn: Drawn,
    modalities: str | Sequence[str],
    name: str,
    own_name: bool = False,
) -> list[TrueRow]:
    """Writes a case; `own_name`: its masks are named by the case and not by the structure."""
    patient = f"{place.parent.parent.name}_{place.name}"
    image = place / "image.nii.gz"
    containers.nifti(folder / image, drawn.values.swapaxes(0, 1), np.diag([0.5, 0.5, 1, 1]))
    masks = []
    for task, several in drawn.tasks.items():
        for annotator, mask in several_of(several):
            masks.append(place / f"{place.name if own_name else task}_seg{annotator:02d}.nii.gz")
            kind = (np.uint8, np.float32)[annotator % 2]
            containers.nifti(folder / masks[-1], mask.T.astype(kind), np.eye(4))  # it says it lies elsewhere
    union = name == "Brain Tumor"
    things = []
    for task, several in (_unions(drawn.tasks) if union else drawn.tasks).items():
        marks = [mask for _, mask in several_of(several)]
        agreed = np.sum(marks, axis=0) > len(marks) / 2
        if agreed.any():
            things.append(Thing(name, task if name == "Prostate" else None, agreed))
    if sum(int(thing.mask.sum()) for thing in things) <= 50:
        return []
    files = tuple(str(path) for path in (image, *masks))
    planes = np.moveaxis(drawn.values, 2, 0) if drawn.values.ndim == 3 else [drawn.values]
    names = [modalities] if isinstance(modalities, str) else modalities
    return [
        TrueRow(patient, modality, "picture", -1, values, things, files=files)
        for modality, values in zip(names, planes, strict=True)
    ]


def several_of(masks: Sequence[Mask]) -> Iterator[tuple[int, Mask]]:
    """Annotator's number and mask; an annotator who is missing keeps the number."""
    return ((number, mask) for number, mask in enumerate(masks, start=1) if mask.size)


def _unions(tasks: dict[str, list[Mask]]) -> dict[str, list[Mask]]:
    return {"task01": [np.any(masks, axis=0) for masks in zip(*tasks.values(), strict=True)]}


def _hands(
    shape: tuple[int, int], centre: Sequence[float], radii: Sequence[float], seed: int, count: int
) -> list[Mask]:
    """The same thing as so many people draw it."""
    random = np.random.default_rng(seed)
    found = []
    for annotator in range(count):
        moved = np.asarray(centre) + random.uniform(-0.012, 0.012, 2)
        sized = np.asarray(radii) * random.uniform(0.9, 1.12)
        found.append(anatomy.blob(shape, moved, sized, seed + annotator // 2, 0.1))
    return found


def _kidney(seed: int, spots: Sequence[int] | None = None) -> Drawn:
    shape = (3, 96, 112)
    organs = torso.abdomen(shape, seed)
    masks = _hands(shape[1:], (0.64, 0.69), (0.09, 0.07), seed, 3)
    if spots is not None:
        masks = [anatomy.spot(shape[1:], (0.64, 0.69), pixels, 1.0) for pixels in spots]
    mean = np.sum(masks, axis=0) >= 2
    for name in ("kidney left", "kidney right"):
        organs[name] = np.zeros(shape, bool)
    other = anatomy.blob(shape, (0.5, 0.65, 0.31), (9, 0.09, 0.075), seed + 60, 0.1)
    parts = [(other, 185.0), (np.repeat(mean[None], 3, 0), 185.0)]
    return Drawn(torso.ct(organs, seed, parts)[1].astype(np.float32), {"task01": masks})


def _growth(seed: int) -> Drawn:
    """A newborn's brain, of which what has myelin is marked."""
    shape = (3, 88, 76)
    tissue = anatomy.head(shape, seed)
    masks = _hands(shape[1:], (0.5, 0.47), (0.26, 0.17), seed + 10, 7)
    mean = np.sum(masks, axis=0) > 3
    pale = tissue["white"] & np.repeat(mean[None], 3, 0)
    values = brain.image("T2W MRI", tissue, seed, [(pale, 0.28)])
    return Drawn(np.round(800 * values[1]), {"task01": masks})


def _prostate(seed: int, without: int | None) -> Drawn:
    """The gland and a zone of it; `without`: which annotator drew neither."""
    shape = ((96, 104), (108, 96), (100, 100))[seed % 3]
    gland = _hands(shape, (0.53, 0.49), (0.15, 0.17), seed, 6)
    zone = _hands(shape, (0.49, 0.5), (0.09, 0.12), seed + 10, 6)
    body = anatomy.blob(shape, (0.5, 0.5), (0.45, 0.48), seed + 20, 0.03)
    muscle = anatomy.blob(shape, (0.5, 0.5), (0.37, 0.41), seed + 21, 0.06)
    fat = anatomy.blob(shape, (0.53, 0.5), (0.26, 0.24), seed + 22, 0.08)
    hips = [anatomy.blob(shape, (0.52, x), (0.13, 0.09), seed + 23, 0.05) for x in (0.15, 0.85)]
    rectum = anatomy.blob(shape, (0.75, 0.52), (0.07, 0.09), seed + 24, 0.1)
    outer, inner = (np.sum(masks, axis=0) > 3 for masks in (gland, zone))
    parts = [(body, 0.8), (muscle, 0.2), *((hip, 0.5) for hip in hips), (fat, 0.6)]
    parts += [(rectum, 0.04), (outer, 0.75), (inner, 0.42)]
    values = np.round(700 * anatomy.painted(shape, parts, seed + 25, background=0.02, grain=0.04))
    if without is not None:
        gland[without] = zone[without] = np.zeros((0, 0), bool)
        values[:2, :3] = np.nan  # as in one of the owner's images
    return Drawn(values, {"task01": gland, "task02": zone})


def _tumor(seed: int) -> Drawn:
    shape = (3, 100, 84)
    tissue = anatomy.head(shape, seed)
    inside = brain.inside(tissue)
    centre = np.array([0.42, 0.62]) + np.random.default_rng(seed).uniform(-0.03, 0.03, 2)
    tasks = {}
    for place, radius in enumerate((0.16, 0.1, 0.07), start=1):  # one within the other, but for hands
        masks = _hands(shape[1:], centre, (radius, 1.1 * radius), seed + 10 * place, 3)
        tasks[f"task{place:02d}"] = [mask & inside[1] for mask in masks]
    tasks["task03"][2] = np.zeros(shape[1:], bool)  # who found nothing that enhances
    tasks["task02"][0] |= anatomy.spot(shape[1:], centre + [0.0, 0.19], 60) & inside[1]
    tasks["task03"][1] |= anatomy.spot(shape[1:], centre + [0.0, 0.19], 45) & inside[1]
    whole, core, ring = (np.sum(masks, axis=0) >= 2 for masks in tasks.values())
    shown = {name: tissue[name] for name in brain.INSIDE}
    parts = {"edema": whole, "enhancing": ring | (core & ~ring), "core": ring & core}
    shown |= {name: np.repeat(mask[None], 3, 0) for name, mask in parts.items()}
    planes = [np.where(inside, brain.image(name, shown, seed + 70), 0)[1] for name in SEQUENCES]
    return Drawn(np.round(1300 * np.stack(planes, axis=2)).astype(np.float32), tasks)
