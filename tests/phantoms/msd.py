"""MSD: ten tasks in a folder each, with dataset.json, test images without labels and macOS's `._` files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy, brain, containers, torso, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (10, 64, 76)  # slices, rows, columns
#: The slices at the keep rule's edge.
LOWEST = (0, 1, 2)
Image = NDArray[np.generic]


class Task(NamedTuple):
    """A task as the owner describes it.

    `draw` gives values (slices × rows × columns, × channels where there are several) and labels. `objects`:
    label values → object and instance.
    """

    folder: str
    case: str
    modality: dict[str, str]
    labels: dict[str, str]
    draw: Callable[[int], tuple[Image, NDArray[np.uint8]]]
    objects: dict[tuple[int, ...], tuple[str, str | None]]
    codes: str = "RAS"
    spacing: tuple[float, float, float] = (0.8, 0.8, 5.0)


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for place, task in enumerate(TASKS):
        root = folder / task.folder
        names = [task.case.format(1 + 3 * number) for number in range(patients)]
        for number, name in enumerate(names):
            truth += _case(folder, task, name, 1000 * seed + 10 * number + place)
        test = task.case.format(2)
        (root / "imagesTs").mkdir()
        shutil.copy(root / "imagesTr" / f"{names[0]}.nii.gz", root / "imagesTs" / f"{test}.nii.gz")
        for kind in ("imagesTr", "labelsTr"):
            containers.resource_fork(root / kind / f"{names[0]}.nii.gz")
        listed = [
            {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names
        ]
        about = {
            "name": task.folder.partition("_")[2],
            "licence": "CC-BY-SA 4.0",
            "tensorImageSize": "4D" if len(task.modality) > 1 else "3D",
            "modality": task.modality,
            "labels": {"0": "background", **task.labels},
            "numTraining": patients,
            "numTest": 1,
            "training": listed,
            "test": [f"./imagesTs/{test}.nii.gz"],
        }
        (root / "dataset.json").write_text(json.dumps(about, indent=1))
    return truth


def _case(folder: Path, task: Task, name: str, seed: int) -> list[TrueRow]:
    values, labels = task.draw(seed)
    files = tuple(f"{task.folder}/{kind}/{name}.nii.gz" for kind in ("imagesTr", "labelsTr"))
    affine = volumes.affine(task.codes, task.spacing)
    heart = task.folder == "Task02_Heart"
    for file, array in zip(files, (values, labels), strict=True):
        if heart:  # sagittal pictures on the last axis, which the header calls inferior to superior
            containers.nifti(folder / file, array.transpose(2, 1, 0), affine)
        else:
            containers.nifti(folder / file, volumes.stored(array, task.codes), affine)
    drawn = [Drawn(*named, np.isin(labels, value)) for value, named in task.objects.items()]
    kept = sorted({value for several in task.objects for value in several})
    channels = np.moveaxis(values, 3, 0) if values.ndim == 4 else [values]
    truth = []
    for modality, channel in zip(task.modality.values(), channels, strict=True):
        truth += volumes.rows(
            channel,
            drawn,
            volumes.summed(labels, kept),
            range(len(labels)) if heart else volumes.numbers(len(labels), task.codes),
            patient=name,
            modality=MODALITIES[modality],
            view="sagittal" if heart else "transverse",
            files=files,
        )
    return truth


def _brain(seed: int) -> tuple[Image, NDArray[np.uint8]]:
    shape = (10, 72, 60)
    tissue = anatomy.head(shape, seed)
    head = brain.inside(tissue)
    tumor = brain.glioma(head, seed)
    values = {"edema": 1, "core": 2, "enhancing": 3}
    labels = np.zeros(shape, np.uint8)
    for part, value in values.items():
        labels[tumor[part]] = value
    volumes.edges(labels, 1, (0.45, 0.36), LOWEST)
    shown = {name: tissue[name] for name in brain.INSIDE}
    shown |= {part: labels == value for part, value in values.items()}
    channels = []
    for place, modality in enumerate(("T2-FLAIR MRI", "T1W MRI", "T1-GD MRI", "T2W MRI")):
        channel = np.round(1200 * brain.image(modality, shown, seed + 20 + place))
        channels.append(np.where(head, channel, 0).astype(np.float32))  # skull-stripped
    return np.stack(channels, axis=3), labels


def _heart(seed: int) -> tuple[Image, NDArray[np.uint8]]:
    shape = (10, 80, 64)
    chest = anatomy.blob(shape, (0.5, 0.5, 0.5), (9, 0.6, 0.44), seed, 0.04)
    lung = anatomy.blob(shape, (0.5, 0.42, 0.5), (9, 0.42, 0.34), seed + 1, 0.06)
    heart = anatomy.blob(shape, (0.5, 0.52, 0.45), (0.6, 0.24, 0.24), seed + 2, 0.06)
    pool = anatomy.blob(shape, (0.5, 0.58, 0.4), (0.45, 0.13, 0.13), seed + 3, 0.1)
    aorta = anatomy.tube(shape, [(0.2, 0.2, 0.5), (0.8, 0.25, 0.55)], 0.09, seed + 4)
    spine = anatomy.tube(shape, [(0.3, 0.5, 0.84), (0.7, 0.5, 0.84)], 0.3, seed + 5)
    spine &= np.cos(np.linspace(0, 16 * np.pi, shape[1]))[None, :, None] > -0.6
    atrium = anatomy.blob(shape, (0.55, 0.45, 0.55), (0.3, 0.11, 0.1), seed + 6, 0.12)
    labels = atrium.astype(np.uint8)
    volumes.edges(labels, 1, (0.45, 0.53), LOWEST)
    labels[-1][anatomy.spot(shape[1:], (0.45, 0.6), 30)] = 1
    parts = [(chest, 0.5), (lung, 0.06), (heart, 0.4), (spine & chest, 0.3), (pool, 0.75), (aorta, 0.8)]
    values = anatomy.painted(shape, [*parts, (labels == 1, 0.85)], seed + 7, background=0.02, grain=0.04)
    return np.round(900 * values).astype(np.float32), labels


def _hippocampus(seed: int) -> tuple[Image, NDArray[np.uint8]]:
    shape = (12, 50, 36)  # the owner cuts a box around it
    whole = anatomy.blob(shape, (0.6, 0.5, 0.5), (0.42, 0.32, 0.16), seed, 0.15)
    front = (np.arange(shape[1]) < 23)[None, :, None]
    labels = np.where(whole, np.where(front, 1, 2), 0).astype(np.uint8)
    volumes.edges(labels, 1, (0.4, 0.5), LOWEST)
    labels[3] = 0
    labels[3][anatomy.spot(shape[1:], (0.6, 0.5), 60)] = 2
    labels[3][anatomy.spot(shape[1:], (0.35, 0.5), 20)] = 1
    white = anatomy.smooth(shape, seed + 1, 4.0) > 0.2
    horn = anatomy.blob(shape, (0.6, 0.4, 0.75), (0.5, 0.2, 0.08), seed + 2, 0.2)
    parts = [(white, 0.75), (horn, 0.15), (labels > 0, 0.55)]
    values = anatomy.painted(shape, parts, seed + 3, background=0.45, grain=0.04)
    return np.round(180 * values + 20).astype(np.uint8), labels


def _prostate(seed: int) -> tuple[Image, NDArray[np.uint8]]:
    shape = (10, 72, 80)
    body = anatomy.blob(shape, (0.5, 0.5, 0.5), (9, 0.44, 0.47), seed, 0.03)
    muscle = anatomy.blob(shape, (0.5, 0.52, 0.5), (9, 0.36, 0.4), seed + 1, 0.05)
    femurs = [anatomy.blob(shape, (0.6, 0.5, x), (0.7, 0.14, 0.1), seed + 2, 0.05) for x in (0.16, 0.84)]
    fat = anatomy.blob(shape, (0.5, 0.52, 0.5), (9, 0.26, 0.22), seed + 3, 0.08)
    rectum = anatomy.tube(shape, [(0, 0.72, 0.5), (1, 0.7, 0.52)], 0.07, seed + 4)
    gland = anatomy.blob(shape, (0.6, 0.53, 0.5), (0.42, 0.14, 0.15), seed + 5, 0.08) & ~rectum
    inner = anatomy.blob(shape, (0.66, 0.5, 0.5), (0.38, 0.11, 0.11), seed + 6, 0.1)
    labels = np.where(gland, np.where(inner, 2, 1), 0).astype(np.uint8)
    volumes.edges(labels, 1, (0.57, 0.47), LOWEST)
    nodules = inner & (anatomy.smooth(shape, seed + 7, 1.8) > 0.5)
    channels = []
    for place, (zone, nodule, bright) in enumerate(((0.8, 0.5, 0.9), (0.75, 0.3, 0.1))):
        parts = [
            (body, bright),
            (muscle, 0.22),
            *((one, 0.6 * bright) for one in femurs),
            (fat, 0.7 * bright),
        ]
        parts += [(rectum, 0.05), (labels == 1, zone), (labels == 2, 0.45), (nodules & (labels == 2), nodule)]
        values = anatomy.painted(shape, parts, seed + 8 + place, background=0.02, grain=0.03)
        channels.append(np.round((700, 2000)[place] * values).astype(np.float32))
    return np.stack(channels, axis=3), labels


def _lung(seed: int) -> tuple[Image, NDArray[np.uint8]]:
    organs = torso.chest(SHAPE, seed)
    where = np.array([0.6, 0.4, 0.3]) + np.random.default_rng(seed).uniform(-0.05, 0.05, 3)
    tumor = anatomy.blob(SHAPE, where, (0.25, 0.09, 0.08), seed + 50, 0.25)
    labels = tumor.astype(np.uint8)
    volumes.edges(labels, 1, (0.5, 0.27), LOWEST)
    labels[-2][anatomy.spot(SHAPE[1:], (0.5, 0.3), 52)] = 1
    return torso.ct(organs, seed, [(labels == 1, 45)]), labels


def _abdomen(
    organ: str, number: int, lesion: int, units: float, where: tuple[float, float, float], seed: int
) -> tuple[Image, NDArray[np.uint8]]:
    """An organ and a lesion in it, by their numbers (0: not labelled) and the lesion's Hounsfield units."""
    organs = torso.abdomen(SHAPE, seed)
    moved = np.asarray(where) + np.random.default_rng(seed).uniform(-0.02, 0.02, 3)
    tumor = anatomy.blob(SHAPE, moved, (0.15, 0.06, 0.05), seed + 50, 0.25)
    labels = np.where(organs[organ], number, 0).astype(np.uint8)
    more = []
    if organ == "liver" and not number:  # Task 08: vessels, which are labelled 1
        branches = [[(0.5, 0.5, 0.4), (0.95, y, x)] for y, x in ((0.3, 0.25), (0.45, 0.2), (0.35, 0.4))]
        for place, branch in enumerate(branches):
            vessel = anatomy.tube(SHAPE, branch, 0.025, seed + 60 + place) & organs["liver"]
            labels[vessel] = 1
            more.append((vessel, 180))
    if lesion:
        labels[tumor & organs["muscle"]] = lesion
    edge, centre = lesion or number, where[1:]
    vessels = labels[:3] == 1
    volumes.edges(labels, edge, centre, LOWEST)
    if organ == "liver" and not number:  # left out, they don't count
        labels[0][anatomy.spot(SHAPE[1:], (0.4, 0.3), 90)] = 1
        labels[1:3][vessels[1:] & (labels[1:3] == 0)] = 1
    if number:  # the organ's tip
        labels[3] = np.where(labels[3] == number, 0, labels[3])
        labels[3][anatomy.spot(SHAPE[1:], (centre[0], centre[1] + 0.08), 40) & (labels[3] == 0)] = number
        labels[3][anatomy.spot(SHAPE[1:], (centre[0] - 0.1, centre[1]), 70) & (labels[3] == 0)] = edge
    if lesion:
        more.append((labels == lesion, units))
    return torso.ct(
        organs, seed, [((labels == number) & (number > 0), torso.HOUNSFIELD[organ]), *more]
    ), labels


def _of(organ: str, number: int, lesion: int, units: float, where: tuple[float, float, float]) -> Callable:
    return lambda seed: _abdomen(organ, number, lesion, units, where, seed)


#: dataset.json's word → modality.
MODALITIES = {
    "FLAIR": "T2-FLAIR MRI", "T1w": "T1W MRI", "t1gd": "T1-GD MRI", "T2w": "T2W MRI", "MRI": "MRI",
    "T2": "T2W MRI", "ADC": "ADC MRI", "CT": "CT",
}  # fmt: skip
_CT = {"0": "CT"}
TASKS = (
    Task(
        "Task01_BrainTumour", "BRATS_{:03d}", {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        {"1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}, _brain,
        {(1, 2, 3): ("Brain Tumor", None), (1,): ("Edema", None), (2,): ("Non-enhancing Tumor Core", None),
         (3,): ("Enhancing Tumor", None)}, "LPS", (1.0, 1.0, 1.0),
    ),
    Task(
        "Task02_Heart", "la_{:03d}", {"0": "MRI"}, {"1": "left atrium"}, _heart,
        {(1,): ("Left Atrium", None)}, "RAS", (1.25, 1.25, 1.37),
    ),
    Task(
        "Task03_Liver", "liver_{}", _CT, {"1": "liver", "2": "cancer"},
        _of("liver", 1, 2, 55, (0.65, 0.42, 0.3)),
        {(1,): ("Liver", None), (2,): ("Liver Tumor", None)},
    ),
    Task(
        "Task04_Hippocampus", "hippocampus_{:03d}", {"0": "MRI"}, {"1": "Anterior", "2": "Posterior"},
        _hippocampus, {(1,): ("Hippocampus", "anterior"), (2,): ("Hippocampus", "posterior")}, "RAS",
        (1.0, 1.0, 1.0),
    ),
    Task(
        "Task05_Prostate", "prostate_{:02d}", {"0": "T2", "1": "ADC"}, {"1": "PZ", "2": "TZ"}, _prostate,
        {(1, 2): ("Prostate", None), (1,): ("Prostate Peripheral Zone", None),
         (2,): ("Prostate Transition Zone", None)}, "LPS", (0.6, 0.6, 4.0),
    ),
    Task("Task06_Lung", "lung_{:03d}", _CT, {"1": "cancer"}, _lung, {(1,): ("Lung Tumor", None)}, "LAS"),
    Task(
        "Task07_Pancreas", "pancreas_{:03d}", _CT, {"1": "pancreas", "2": "cancer"},
        _of("pancreas", 1, 2, 40, (0.55, 0.47, 0.5)),
        {(1,): ("Pancreas", None), (2,): ("Pancreatic Mass", None)},
    ),
    Task(
        "Task08_HepaticVessel", "hepaticvessel_{:03d}", _CT, {"1": "Vessel", "2": "Tumour"},
        _of("liver", 0, 2, 60, (0.7, 0.38, 0.27)), {(2,): ("Liver Tumor", None)},
    ),
    Task(
        "Task09_Spleen", "spleen_{}", _CT, {"1": "spleen"}, _of("spleen", 1, 0, 0, (0.75, 0.56, 0.75)),
        {(1,): ("Spleen", None)},
    ),
    Task(
        "Task10_Colon", "colon_{:03d}", _CT, {"1": "colon cancer primaries"},
        _of("colon right", 0, 1, 60, (0.4, 0.45, 0.22)), {(1,): ("Colon Cancer", None)}, "RAI",
    ),
)  # fmt: skip
