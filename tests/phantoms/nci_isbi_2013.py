"""NCI-ISBI 2013: DICOM series in the archive's folders, NRRD labels of three parts, some on another grid."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.uid import MRImageStorage

from tests.phantoms import anatomy, containers, pelvis, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

#: Scanner → its collection; slices, rows, columns; millimetres along columns, rows, slices.
SCANNERS = {
    "3T": ("Prostate-3T", (12, 80, 72), (0.6, 0.6, 4.0)),
    "Dx": ("PROSTATE-DIAGNOSIS", (14, 84, 88), (0.4, 0.4, 3.0)),
}
ORIGIN = (-21.5, -18.25, -33.0)
#: A label of some slices alone, and one whose grid has other distances and begins elsewhere.
FIRST, LAST = 1, 12
OTHER_SPACING, OTHER_ORIGIN = (0.5, 0.5, 2.7), (-21.63, -18.16, -34.1)
#: Label value → object; their union is the prostate.
ZONES = {1: "Prostate Peripheral Zone", 2: "Prostate Central Gland"}


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        kind, own = number % 3, 100 * seed + number
        scanner, part = ("Dx" if kind else "3T"), ("Test" if kind == 2 else "Training")
        name = f"Prostate{scanner}-01-{1 + 5 * number:04d}"
        labels, values = _prostate(SCANNERS[scanner][1], own, coil=kind > 0)
        images = _series(folder, scanner, name, values)
        label = _label(folder / f"NCI-ISBI-2013-Prostate-Challenge-{part}" / part, name, kind, labels)
        seen = _seen_by(labels, kind)
        found = volumes.rows(
            values,
            [
                Drawn("Prostate", None, seen > 0),
                *(Drawn(zone, None, seen == value) for value, zone in ZONES.items()),
            ],
            volumes.summed(seen, list(ZONES)),
            range(len(values)),
            patient=name,
            modality="T2W MRI",
            view="transverse",
            files=(),
            official_test=part == "Test",
        )
        names = [str(path.relative_to(folder)) for path in (*images, label)]
        truth += [replace(row, files=(names[row.slice_index], names[-1])) for row in found]
    # The collections hold more patients than the challenge.
    _series(folder, "3T", "Prostate3T-02-0001", values[:2])
    return truth


def _series(folder: Path, scanner: str, name: str, values: NDArray[np.generic]) -> list[Path]:
    """As the NBIA Data Retriever puts it, the highest slice first."""
    collection, _, spacing = SCANNERS[scanner]
    manifest = folder / f"manifest-{1400 + len(scanner) + ord(scanner[0])}"
    place = manifest / collection / name / "05-09-2008-MR PROSTATE-25694" / "4.000000-t2spcrstaxial-99806"
    names = [f"1-{number:02d}" for number in range(len(values), 0, -1)]
    tags = {"Modality": "MR", "PatientID": name, "SeriesInstanceUID": containers.uid(name, scanner)}
    paths = containers.series(place, values, names, spacing, ORIGIN, MRImageStorage, **tags)
    (manifest / "metadata.csv").write_text("Series UID,Collection,Subject ID\n")
    return paths


def _itk(labels: NDArray[np.uint8], kind: int) -> sitk.Image:
    """The label on its image's grid."""
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(SCANNERS["Dx" if kind else "3T"][2])
    image.SetOrigin(ORIGIN)
    return image


def _stored(labels: NDArray[np.uint8], kind: int) -> sitk.Image:
    """The label as its owner has it: kind 0 on the image's grid; 1 of some slices alone, its axes in another
    order and direction; 2 with other distances between its voxels.
    """
    image = _itk(labels, kind)
    if kind == 1:
        return sitk.DICOMOrient(image[:, :, FIRST:LAST], "SAL")
    if kind == 2:
        extent = [size * step for size, step in zip(image.GetSize(), image.GetSpacing(), strict=True)]
        size = [int(length / step) for length, step in zip(extent, OTHER_SPACING, strict=True)]
        direction = image.GetDirection()
        nearest = sitk.sitkNearestNeighbor
        return sitk.Resample(
            image, size, sitk.Transform(), nearest, OTHER_ORIGIN, OTHER_SPACING, direction
        )  # fmt: skip
    return image


def _label(place: Path, name: str, kind: int, labels: NDArray[np.uint8]) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{name}{('', '_correctedLabels', '_truth')[kind]}.nrrd"
    sitk.WriteImage(_stored(labels, kind), path, useCompression=True)
    if kind == 1:  # what there was before it was corrected
        sitk.WriteImage(_stored(labels[:, ::-1].copy(), kind), place / f"{name}.nrrd", useCompression=True)
    return path


def _seen_by(labels: NDArray[np.uint8], kind: int) -> NDArray[np.uint8]:
    """The stored label on the image's grid, as SimpleITK says."""
    grid = _itk(labels, kind)
    seen = sitk.Resample(_stored(labels, kind), grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return sitk.GetArrayFromImage(seen)


def _prostate(
    shape: tuple[int, int, int], seed: int, coil: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    labels = pelvis.zones(shape, seed)
    volumes.edges(labels, 1, (0.54, 0.5), (0, 1, 2))
    labels[-1] = 0
    labels[3][labels[3] == 2] = 1
    labels[3][anatomy.spot(shape[1:], (0.5, 0.51), 24) & (labels[3] == 1)] = 2  # the tip of the central gland
    values = pelvis.t2w(labels, seed, coil)
    return labels, np.round((500, 1100)[coil] * np.clip(values, 0, None)).astype(np.uint16)
