"""Montgomery County: radiographs in PNG, of two formats, and a mask of either lung, named as their image;
readings in text files.
"""

from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, radiograph
from tests.phantoms.truth import Thing, TrueRow

#: Of the detector upright or lying.
SHAPES = ((146, 120), (120, 146))


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    top = folder / "MontgomerySet"
    truth = []
    for number in range(patients + 2):
        # After the patients: of the left lung no more than a speck, and a picture without either.
        kind = ("both", "speck", "none")[max(0, number - patients + 1)]
        stem = f"MCUCXR_{3 * number + 1:04d}_{number % 2}"
        truth += _chest(folder, top, stem, kind, SHAPES[number % 2], 1000 * seed + 10 * number)
        readings = top / "ClinicalReadings" / f"{stem}.txt"
        readings.parent.mkdir(exist_ok=True)
        readings.write_text(f"Patient's Sex: F\nPatient's Age: {31 + number:03d}Y\nnormal\n")
    (top / "CXR_png" / "Thumbs.db").write_bytes(bytes(64))
    return truth


def _chest(folder: Path, top: Path, stem: str, kind: str, shape: tuple[int, int], seed: int) -> list[TrueRow]:
    seen = radiograph.chest(shape, seed)
    lungs = {"left": seen.left & ~seen.heart, "right": seen.right & ~seen.heart}
    if kind == "speck":
        lungs["left"] = anatomy.spot(shape, (0.3, 0.72), 46)
    if kind == "none":
        lungs = {side: np.zeros(shape, bool) for side in lungs}
    files = [top / "CXR_png" / f"{stem}.png"]
    values = containers.picture(files[0], radiograph.shadow(seen, seed))
    things = []
    for number, (side, mask) in enumerate(lungs.items()):
        files.append(top / "ManualMask" / f"{side}Mask" / f"{stem}.png")
        one_bit = (seed // 10 + number) % 2 == 0
        containers.picture(files[-1], mask if one_bit else 255 * mask.astype(np.uint8))
        if mask.any():
            things.append(Thing("Lung", side, mask))
    if not things:
        return []
    names = tuple(str(path.relative_to(folder)) for path in files)
    patient, _, _ = stem.rpartition("_")
    return [TrueRow(patient, "X-ray", "picture", -1, values, things, as_is=True, files=names)]
