"""CHAOS: a DICOM and a PNG for each slice; CT in two styles of names, MR in two sequences of other people."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydicom.uid import CTImageStorage, MRImageStorage

from tests.phantoms import anatomy, containers, torso
from tests.phantoms.truth import Thing, TrueRow

CT_SHAPE, T1_SHAPE, T2_SHAPE = (12, 72, 80), (12, 64, 72), (9, 72, 68)  # slices from the lowest up
#: Gray level, and the first below it and the last above it that the owner's script does and doesn't take.
GRAYS = {
    "liver": (63, 55, 70), "kidney right": (126, 110, 135), "kidney left": (189, 175, 200),
    "spleen": (252, 240, 255),
}  # fmt: skip
NAMES = {
    "liver": ("Liver", None), "kidney right": ("Kidney", "right"), "kidney left": ("Kidney", "left"),
    "spleen": ("Spleen", None),
}  # fmt: skip
#: Signal of a T1-weighted image in phase, and of a fat-suppressed T2-weighted one.
T1 = {
    "fat": 0.85, "muscle": 0.3, "cavity": 0.7, "bowel": 0.35, "bone": 0.1, "vertebra": 0.45, "canal": 0.15,
    "liver": 0.52, "stomach": 0.3, "spleen": 0.38, "colon right": 0.35, "colon left": 0.32,
    "pancreas": 0.55, "gallbladder": 0.2, "kidney right": 0.42, "kidney left": 0.42, "vena cava": 0.12,
    "aorta": 0.1,
}  # fmt: skip
T2 = T1 | {
    "fat": 0.14, "muscle": 0.16, "cavity": 0.12, "bowel": 0.5, "vertebra": 0.25, "canal": 0.95, "liver": 0.26,
    "stomach": 0.6, "spleen": 0.6, "gallbladder": 1.0, "kidney right": 0.75, "kidney left": 0.75,
    "pancreas": 0.4,
}  # fmt: skip


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        # Not every number is there; CT and MR bear the same ones.
        name, own = str(number + 1 + (number > 1) * 2), 1000 * seed + 10 * number
        truth += _ct(folder, folder / "Train_Sets" / "CT" / name, own, number % 2 == 1)
        truth += _mr(folder, folder / "Train_Sets" / "MR" / name, own + 5, number % 2 == 1)
    # Unlabelled, and numbered like the others.
    for place, own in (("CT/3", 700), ("MR/1", 800)):
        test = folder / "Test_Sets" / place
        (_ct if place[0] == "C" else _mr)(folder, test, 1000 * seed + own, False)
        for ground in test.rglob("Ground/*"):
            ground.unlink()
    containers.resource_fork(next((folder / "Train_Sets" / "CT").rglob("*.dcm")))
    return truth


def _ct(folder: Path, place: Path, seed: int, other_style: bool) -> list[TrueRow]:
    """From the top down, or in the other style of names from the lowest slice up."""
    masks = torso.abdomen(CT_SHAPE, seed)
    values = torso.ct(masks, seed)
    liver = masks["liver"].copy()
    if not other_style:
        values, liver = values[::-1], liver[::-1]
    liver[[0, -1]] = False
    liver[-2] = anatomy.spot(CT_SHAPE[1:], (0.45, 0.3), 1)  # one pixel of 255 is more than 50
    truth = []
    for index, (plane, mask) in enumerate(zip(values, liver, strict=True)):
        stem = f"IMG-0004-{index + 1:05d}" if other_style else f"i{index:04d},0000b"
        image = place / "DICOM_anon" / f"{stem}.dcm"
        ground = place / "Ground" / f"liver_GT_{index:03d}.png"
        # Hounsfield units as they are, or raised by 1024 and lowered by the header.
        pixels = plane if other_style else (plane + 1024).astype(np.uint16)
        height = -index if not other_style else index
        lowered = {"RescaleSlope": 1, "RescaleIntercept": -1024 * (not other_style)}
        _dicom(image, pixels, str(place.relative_to(folder)), height, CTImageStorage, **lowered)
        containers.picture(ground, 255 * mask.astype(np.uint8))
        things = [Thing("Liver", None, mask)] if mask.any() else []
        truth += _row(folder, f"CT_{place.name}", "CT", index, plane, things, (image, ground))
    return truth


def _mr(folder: Path, place: Path, seed: int, other_style: bool) -> list[TrueRow]:
    truth = []
    for sequence, modality, shape, signal in (
        ("T1DUAL", "T1W MRI", T1_SHAPE, T1),
        ("T2SPIR", "T2W MRI", T2_SHAPE, T2),
    ):
        masks = torso.abdomen(shape, seed)
        drawn = _drawn(masks)
        values = _signal(masks, signal, seed)
        for index in range(shape[0]):
            number = 2 * index + 2 if sequence == "T1DUAL" else index + 1
            stem = f"IMG-0004-{number:05d}"
            images = place / sequence / "DICOM_anon" / ("InPhase" if sequence == "T1DUAL" else "")
            image = images / f"{stem}.dcm"
            if other_style and sequence == "T2SPIR":  # exported again: another series number
                stem = f"IMG-0006-{number:05d}"
            ground = place / sequence / "Ground" / f"{stem}.png"
            series = str(images.relative_to(folder))
            _dicom(image, values[index], series, index, MRImageStorage)
            if sequence == "T1DUAL":
                out = 0.8 * values[index] * (1 - 0.5 * masks["cavity"][index])
                other = images.parent / "OutPhase" / f"IMG-0004-{number - 1:05d}.dcm"
                _dicom(other, out.astype(np.uint16), f"{series}, out", index, MRImageStorage)
            containers.picture(ground, _gray(drawn, index))
            things = [Thing(*NAMES[organ], mask[index]) for organ, mask in drawn.items() if mask[index].any()]
            truth += _row(folder, f"MR_{place.name}", modality, index, values[index], things, (image, ground))
    return truth


def _drawn(masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The organs as their owner drew them: nothing in the lowest slices, a speck of a spleen, one pixel."""
    drawn = {organ: masks[organ].copy() for organ in GRAYS}
    for mask in drawn.values():
        mask[:2] = False
    shape = drawn["liver"].shape[1:]
    drawn["liver"][1] = anatomy.spot(shape, (0.4, 0.3), 1)
    drawn["spleen"][3] = anatomy.spot(shape, (0.58, 0.84), 31) & ~drawn["kidney left"][3]
    return drawn


def _gray(drawn: Mapping[str, np.ndarray], index: int) -> np.ndarray:
    """The organs' gray levels, and at their borders values that are just theirs, or just no longer."""
    gray = np.zeros(drawn["liver"].shape[1:], np.uint8)
    for organ, (level, below, last) in GRAYS.items():
        mask = drawn[organ][index]
        gray[mask] = level
        places = np.argwhere(mask)
        if len(places) > 100:
            gray[tuple(places[0])] = last
            gray[tuple(places[-1])] = below
            mask[tuple(places[-1])] = False
    if index == 0:
        gray[10:20, 10:20] = 40  # of no organ, so that nothing is labelled here
    return gray


def _signal(masks: Mapping[str, np.ndarray], signal: Mapping[str, float], seed: int) -> np.ndarray:
    parts = [(masks[name], level) for name, level in signal.items()]
    shape = masks["liver"].shape
    shading = 1 + 0.12 * anatomy.smooth(shape, seed, 20)
    values = anatomy.painted(shape, parts, seed + 1, background=0.015, grain=0.02)
    return (900 * np.clip(values * shading, 0, 1.5)).astype(np.uint16)


def _dicom(path: Path, pixels: np.ndarray, series: str, height: int, kind: str, **tags: object) -> None:
    containers.dicom(
        path,
        pixels,
        containers.uid(series, height),
        SOPClassUID=kind,
        Modality="CT" if kind == CTImageStorage else "MR",
        StudyInstanceUID=containers.uid(series, "study"),
        SeriesInstanceUID=containers.uid(series),
        InstanceNumber=abs(height) + 1,
        PixelSpacing=[0.7, 0.7],
        SliceThickness=3,
        ImagePositionPatient=[-28, -25, 3 * height],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        **tags,
    )


def _row(
    folder: Path, patient: str, modality: str, index: int, values: np.ndarray, things: list[Thing],
    files: tuple[Path, ...],
) -> list[TrueRow]:  # fmt: skip
    """The row of a slice, if it has one: any gray level sums to more than 50 with its first pixel."""
    names = tuple(str(file.relative_to(folder)) for file in files)
    return [TrueRow(patient, modality, "transverse", index, values, things, files=names)] if things else []
