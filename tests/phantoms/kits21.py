"""KiTS21: a folder per case with the image, three aggregates, every annotation; slices on the first axis."""

import json
from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, torso, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (12, 72, 88)  # slices, rows, columns
CODES, SPACING = "IPL", (3.0, 0.8, 0.8)
KIDNEY, TUMOR, CYST = 1, 2, 3


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        truth += _case(folder, f"case_{7 * number:05d}", 100 * seed + number, alone=number % 3 == 2)
    return truth


def _case(folder: Path, name: str, seed: int, alone: bool) -> list[TrueRow]:
    """`alone`: the right kidney was taken out."""
    values, parts = _abdomen(seed, alone)
    labels = np.zeros(SHAPE, np.uint8)
    for value, several in ((KIDNEY, ("right", "left", "loose")), (CYST, ("cyst",)), (TUMOR, ("tumor",))):
        for part in several:
            labels[parts[part]] = value  # later ones over earlier
    place = folder / "kits21/kits21/data" / name
    affine = volumes.affine(CODES, SPACING)

    def put(file: str, array: np.ndarray) -> None:
        containers.nifti(place / file, volumes.stored(array, CODES), affine)

    put("imaging.nii.gz", values)
    put("aggregated_MAJ_seg.nii.gz", labels)
    put("aggregated_AND_seg.nii.gz", np.where(np.roll(labels, 1, 2) == labels, labels, 0).astype(np.uint8))
    put("aggregated_OR_seg.nii.gz", np.maximum(labels, np.roll(labels, 1, 2)))
    regions = {"kidney_instance-1": parts["left"] | parts["loose"], "tumor_instance-1": parts["tumor"]}
    if not alone:
        regions |= {"kidney_instance-2": parts["right"], "cyst_instance-1": parts["cyst"]}
    for region, mask in regions.items():
        for annotation in (1, 2, 3):
            shifted = np.roll(mask, annotation - 2, 1).astype(np.uint8)
            put(f"segmentations/{region}_annotation-{annotation}.nii.gz", shifted)
    (place / "raw/kidney/00").mkdir(parents=True)
    (place / "raw/kidney/00/annotation.json").write_text(json.dumps({"annotations": []}))
    kidney = labels == KIDNEY
    left = kidney & (parts["left"] | parts["loose"])
    drawn = [
        *([Drawn("Kidney", None, kidney)] if alone else [
            Drawn("Kidney", "left", left), Drawn("Kidney", "right", kidney & ~left)
        ]),
        Drawn("Kidney Tumor", None, labels == TUMOR),
        Drawn("Kidney Cyst", None, labels == CYST),
    ]  # fmt: skip
    return volumes.rows(
        values,
        drawn,
        volumes.summed(labels, (KIDNEY, TUMOR, CYST)),
        volumes.numbers(SHAPE[0], CODES),
        patient=name,
        modality="CT",
        view="transverse",
        files=tuple(
            str((place / file).relative_to(folder))
            for file in ("imaging.nii.gz", "aggregated_MAJ_seg.nii.gz")
        ),
    )


def _abdomen(seed: int, alone: bool) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    organs = torso.abdomen(SHAPE, seed)
    empty = np.zeros(SHAPE, bool)
    right, left = organs["kidney right"].copy(), organs["kidney left"].copy()
    if alone:
        organs["cavity"] = organs["cavity"] | right
        organs["kidney right"] = right = empty
    right[:3] = left[:3] = False
    # The keep rule's edge, at the lower pole of the left kidney: 50 pixels are dropped, 51 are kept.
    for level, pixels in ((1, 50), (2, 51)):
        left[level] = anatomy.spot(SHAPE[1:], (0.64, 0.69), pixels, 1.0)
    left[3] |= left[2]
    loose = empty.copy()  # a fragment beside the left kidney, in the same slices and not touching it
    if not alone:
        tip = np.argwhere(left[6])[:, 1].max()
        loose[6, 44:50, tip + 3 : tip + 5] = True
    tumor = anatomy.blob(SHAPE, (0.5, 0.64, 0.75), (0.2, 0.07, 0.06), seed + 50, 0.12) & ~loose
    tumor[:4] = False
    cyst = empty if alone else anatomy.blob(SHAPE, (0.45, 0.62, 0.27), (0.14, 0.045, 0.04), seed + 51, 0.1)
    parts = {"right": right, "left": left, "loose": loose, "tumor": tumor, "cyst": cyst}
    more = [(right | left | loose, 185), (cyst, 8), (tumor, 75)]
    return torso.ct(organs, seed, more), parts
