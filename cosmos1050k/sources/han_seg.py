"""HaN-Seg: organs at risk of the head and neck in CT, a file per structure and side."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, gathered
from cosmos1050k.source import Case, Download, Label, Mask, Source

#: File → object. Cochlea, mandible and thyroid gland are left out by the protocol.
SINGLE = {
    "Arytenoid": "Arytenoid",
    "Brainstem": "Brainstem",
    "BuccalMucosa": "Buccal Mucosa",
    "Cavity_Oral": "Oral Cavity",
    "Cricopharyngeus": "Cricopharyngeal Inlet",
    "Esophagus_S": "Cervical Esophagus",
    "Glottis": "Glottic Larynx",
    "Larynx_SG": "Supraglottic Larynx",
    "Lips": "Lips",
    "OpticChiasm": "Optic Chiasm",
    "Pituitary": "Pituitary Gland",
    "SpinalCord": "Spinal Cord",
}
#: The same, followed by L or R.
PAIRED = {
    "A_Carotid_": "Carotid Artery",
    "Eye_A": "Anterior Eyeball Segment",
    "Eye_P": "Posterior Eyeball Segment",
    "Glnd_Lacrimal_": "Lacrimal Gland",
    "Glnd_Submand_": "Submandibular Gland",
    "OpticNrv_": "Optic Nerve",
    "Parotid_": "Parotid Gland",
}
LABELS = {
    **{name: Label(object=title, above=0) for name, title in SINGLE.items()},
    **{
        name + side[0].upper(): Label(object=title, above=0, instance=side)
        for name, title in PAIRED.items()
        for side in ("left", "right")
    },
}

SOURCE = Source(
    slug="han_seg",
    name="HaN-Seg (Head and Neck Organ-at-Risk CT and MR Segmentation)",
    homepage="https://han-seg2023.grand-challenge.org/",
    licence="CC BY-NC-ND 4.0",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="HaN-Seg.zip",
            url="https://zenodo.org/records/7442914/files/HaN-Seg.zip",
            sha256="20226dd717f334dc1b1afe961b3375f946fa56b64a80bf5349128f90c0bbfa5f",
        ),
    ),
    labelled=42,
    citation="Podobnik et al., HaN-Seg: The head and neck organ-at-risk CT and MR segmentation dataset, "
    "Medical Physics 2023",
    modalities=("CT",),
    objects=(*SINGLE.values(), *PAIRED.values()),
    note="Not every case has every structure. The MR images lie on another grid and have no labels of their "
    "own. Its licence forbids derivatives: rows made of it are not to be passed on.",
)

_CASE = r"**/{patient:case_\d+}/{patient}_"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return gathered(
        root,
        _case,
        image=f"{_CASE}IMG_CT.nrrd",
        each=f"{_CASE}OAR_{{name:{'|'.join(LABELS)}}}.seg.nrrd",
    )


def _case(masks: dict[str, str], match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="CT",
        image=match.files["image"],
        masks=tuple(Mask(file=file, labels=(LABELS[name],)) for name, file in masks.items()),
        view="transverse",
    )
