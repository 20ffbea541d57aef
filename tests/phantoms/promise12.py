"""PROMISE12: .mhd and .raw side by side, with or without a coil; test cases of equal names, without masks."""

from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, pelvis, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

CODES = "LPS"
#: In plane and slices differ from centre to centre.
SHAPES = ((12, 80, 80), (15, 72, 72), (10, 96, 96))
SPACINGS = ((0.62, 0.62, 3.6), (0.75, 0.75, 2.2), (0.27, 0.27, 4.0))
ORIGIN = (-24.5, -30.25, -41.0)


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        name = f"Case{7 * number:02d}"
        centre, own = number % 3, 100 * seed + number
        labels = np.minimum(pelvis.zones(SHAPES[centre], own), 1)
        values = _image(SHAPES[centre], labels, own, coil=centre == 2)
        image, mask = (folder / "training_data" / f"{name}{kind}.mhd" for kind in ("", "_segmentation"))
        for path, array in ((image, values), (mask, labels.astype(np.int8))):
            containers.metaimage(path, volumes.stored(array, CODES), SPACINGS[centre], ORIGIN)
        files = [path.with_suffix(ending) for path in (image, mask) for ending in (".mhd", ".raw")]
        truth += volumes.rows(
            values,
            [Drawn("Prostate", None, labels == 1)],
            volumes.summed(labels, (1,)),
            range(len(labels)),
            patient=name,
            modality="T2W MRI",
            view="transverse",
            files=tuple(str(path.relative_to(folder)) for path in files),
        )
    test = _image(SHAPES[1], np.zeros(SHAPES[1], np.uint8), 100 * seed + 99, coil=False)
    for place in ("test_data", "livechallenge_test_data"):
        containers.metaimage(folder / place / "Case00.mhd", volumes.stored(test, CODES), SPACINGS[1], ORIGIN)
    (folder / "LICENSE.TXT").write_text("For research; cite Litjens et al. 2014.\n")
    return truth


def _image(shape: tuple[int, int, int], labels: np.ndarray, seed: int, coil: bool) -> np.ndarray:
    """Signal, and at the keep rule's edge the labels, which are drawn anew there: an apex and a base."""
    if labels.any():
        volumes.edges(labels, 1, (0.54, 0.5), (0, 1, 2))
        labels[-1] = 0
        labels[-1][anatomy.spot(shape[1:], (0.5, 0.42), 45)] = 1
        labels[-1][anatomy.spot(shape[1:], (0.52, 0.6), 8)] = 1  # in two pieces one instance
    both = np.where(pelvis.zones(shape, seed) == pelvis.CENTRAL, pelvis.CENTRAL, labels)
    values = pelvis.t2w(np.where(labels > 0, both, 0).astype(np.uint8), seed, coil)
    return np.round((420, 900)[coil] * values).astype(np.int16)
