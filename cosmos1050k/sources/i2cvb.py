"""I2CVB: prostates in T2-weighted MRI of two scanners; images and ground truth are DICOM series."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Stack, gathered_stacks
from cosmos1050k.source import Case, Label, Mask, Source

SOURCE = Source(
    slug="i2cvb",
    name="I2CVB Prostate (Initiative for Collaborative Computer Vision Benchmarking)",
    homepage="https://i2cvb.github.io/",
    licence="unclear: see the record at Zenodo",
    redistributable=False,
    access="form",
    steps="Open https://i2cvb.github.io/, section prostate, follow the link of the original multi-parametric "
    "MRI to its record at Zenodo (https://zenodo.org/records/162231) and download the scanners' archives.",
    citation="Lemaitre et al., Computer-Aided Detection and diagnosis for prostate cancer based on mono and "
    "multi-parametric MRI: A review, Computers in Biology and Medicine 2015",
    modalities=("T2W MRI",),
    objects=("Prostate",),
    note="Of a patient's folders T2W and GT/prostate are read, slices of both by their DICOM positions. "
    "Where there is a folder GT_inv, which the owner's tool makes of a ground truth that is upside down, it "
    "is taken instead. A ground truth that still is upside "
    "down can't be told by its files. Patients without one, such as 737, are passed over.",
)

LABELS = (Label(object="Prostate", above=0),)
#: The folder of a ground truth that was turned over.
TURNED = "GT_inv"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return gathered_stacks(
        root,
        _case,
        image=r"**/Patient {patient:\d+}/T2W/{slice}.dcm",
        each=rf"**/Patient {{patient:\d+}}/{{name:(?:GT|{TURNED})/prostate/[^/]+}}.dcm",
    )


def _case(masks: dict[str, str], stack: Stack) -> Case:
    turned = tuple(file for name, file in masks.items() if name.startswith(TURNED))
    return Case(
        case=f"Patient_{stack['patient']}",
        patient=stack["patient"],
        modality="T2W MRI",
        image=stack.files["image"],
        by_position=True,
        masks=(Mask(file=turned or tuple(masks.values()), by_position=True, labels=LABELS),),
        view="transverse",
    )
