"""SIIM-ACR: radiographs as DICOM that holds a JPEG, and tables of run lengths, each start counted from the
end of the run before, down the columns. The copy that circulates has PNG files of image and mask instead.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

from tests.phantoms import anatomy, containers, radiograph
from tests.phantoms.truth import Thing, TrueRow

SHAPE = (128, 128)
#: What an image shows: air round either lung, or so many pixels of it, or none; or the tables lack it.
KINDS = ("both", "none", "right", "50", "left", "51", "unlisted", "none")

Runs = list[tuple[str, str]]


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """Stage 1's images and table, stage 2's table for the same images, and its own images without labels."""
    truth: list[TrueRow] = []
    first: Runs = []
    both: Runs = []
    for number in range(max(patients, 3) + 5):
        part = "test" if number == 4 else "train"
        kind = KINDS[number % len(KINDS)]
        image, pieces, values = _radiograph(folder / f"dicom-images-{part}", kind, seed, number)
        uid = image.stem
        runs = [(uid, _run_lengths(piece)) for piece in pieces] or [(uid, "-1")]
        if kind != "unlisted":
            both += runs
            first += runs if part == "train" else []
        mask = np.any(pieces, axis=0) if pieces else np.zeros(SHAPE, bool)
        if mask.sum() > 50:
            truth.append(
                TrueRow(
                    image.parts[-3], "X-ray", "picture", -1, values, [Thing("Pneumothorax", None, mask)],
                    as_is=True, official_test=part == "test",
                    files=(str(image.relative_to(folder)), "stage_2_train.csv"),
                )
            )  # fmt: skip
    _table(folder / "train-rle.csv", "ImageId, EncodedPixels", [(uid, f" {runs}") for uid, runs in first])
    _table(folder / "stage_2_train.csv", "ImageId,EncodedPixels", both)
    unlabelled, _, _ = _radiograph(folder / "unlabelled", "left", seed, 90)
    (folder / "stage_2_images").mkdir()
    unlabelled.rename(folder / "stage_2_images" / "ID_0011fe81e.dcm")
    _table(folder / "stage_2_sample_submission.csv", "ImageId,EncodedPixels", [("ID_0011fe81e", "-1")])
    return truth


def write_copy(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """The PNG copy; a mask's name says whether there is anything in it."""
    top = folder / "siim-acr-pneumothorax"
    truth = []
    for number in range(patients + 3):
        part = "test" if number == 4 else "train"
        kind = KINDS[number % 5]
        masks, values = _chest(kind, seed, number)
        name = f"{number}_{part}_{int(kind != 'none')}_.png"
        mask = np.any(masks, axis=0) if masks else np.zeros(SHAPE, bool)
        values = containers.picture(top / "png_images" / name, values)
        containers.picture(top / "png_masks" / name, 255 * mask.astype(np.uint8))
        if mask.any():
            files = tuple(f"siim-acr-pneumothorax/png_{kind}/{name}" for kind in ("images", "masks"))
            truth.append(
                TrueRow(
                    f"{part}_{number}", "X-ray", "picture", -1, values, [Thing("Pneumothorax", None, mask)],
                    as_is=True, official_test=part == "test", files=files,
                )
            )  # fmt: skip
    return truth


def _radiograph(place: Path, kind: str, seed: int, number: int) -> tuple[Path, list[np.ndarray], np.ndarray]:
    """Stores an image in folders of its study and series; gives its pieces of pneumothorax and its pixels."""
    masks, values = _chest(kind, seed, number)
    study, series, uid = (containers.uid(seed, number, what) for what in ("study", "series", "image"))
    path = place / study / series / f"{uid}.dcm"
    jpeg = io.BytesIO()
    Image.fromarray(values).save(jpeg, "JPEG", quality=90)
    containers.dicom(
        path, values, uid, jpeg.getvalue(),
        Modality="CR", StudyInstanceUID=study, SeriesInstanceUID=series, ViewPosition="PA",
        PatientID=containers.uid(seed, number), PixelSpacing=[0.143, 0.143], LossyImageCompression="01",
    )  # fmt: skip
    return path, masks, pydicom.dcmread(path).pixel_array


def _run_lengths(mask: np.ndarray) -> str:
    """Start and length of each run, the start counted from the end of the run before."""
    columns = np.concatenate([[0], mask.T.reshape(-1).astype(int), [0]])
    edges = np.flatnonzero(np.diff(columns))
    starts, ends = edges[::2], edges[1::2]
    gaps = starts - np.concatenate([[0], ends[:-1]])
    return " ".join(f"{gap} {length}" for gap, length in zip(gaps, ends - starts, strict=True))


def _table(path: Path, header: str, rows: Sequence[tuple[str, str]]) -> None:
    with path.open("w", newline="") as file:
        file.write(f"{header}\n")
        csv.writer(file, lineterminator="\n").writerows(rows)


def _chest(kind: str, seed: int, number: int) -> tuple[list[np.ndarray], np.ndarray]:
    """The pieces of pneumothorax, and a frontal radiograph: the patient's right on the left."""
    own = 1000 * seed + 10 * number
    chest = radiograph.chest(SHAPE, own)
    down, across = chest.shift
    # Air between lung and wall, at the top and the side.
    lung = anatomy.blob(SHAPE, (0.5 + down, 0.32 + across), (0.26, 0.13), own + 3, 0.1)
    other = anatomy.blob(SHAPE, (0.53, 0.7 + across), (0.26, 0.12), own + 4, 0.1)
    collapsed = {"right": chest.right & ~lung, "left": chest.left & ~chest.heart & ~other}
    pieces = {
        "both": [collapsed["right"], collapsed["left"]],
        "right": [collapsed["right"]],
        "left": [collapsed["left"]],
        "50": [anatomy.spot(SHAPE, (0.19, 0.3), 50)],
        "51": [anatomy.spot(SHAPE, (0.19, 0.3), 51)],
    }.get(kind, [])
    return pieces, radiograph.shadow(chest, own, pieces)
