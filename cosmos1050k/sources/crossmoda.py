"""crossMoDA: vestibular schwannomas in contrast-enhanced T1-weighted MRI, any of three yearly editions."""

import re
from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, first_of
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="crossmoda",
    name="crossMoDA (Cross-Modality Domain Adaptation Challenge)",
    homepage="https://crossmoda.grand-challenge.org/",
    licence="CC BY-NC-SA 4.0",
    redistributable=True,
    access="direct",
    downloads=(
        Download(
            file="crossmoda2022_training.zip",
            url="https://zenodo.org/records/6504722/files/crossmoda2022_training.zip",
            md5="8d68fcd44eaee6b0a4371ce344e775cd",
            sha256="d3db17e04fd7b4c7bfc8cd569f63e01953cc3a218d5bc754f916729483ef0cdb",
        ),
    ),
    labelled=210,
    citation="Dorent et al., CrossMoDA 2021 challenge: Benchmark of cross-modality domain adaptation "
    "techniques for vestibular schwannoma and cochlea segmentation, Medical Image Analysis 2023",
    modalities=("T1W MRI",),
    objects=("Vestibular Schwannoma",),
    note="Contrast-enhanced, which the paper's table 1 calls T1W MRI. Cochleae are left out, T2 images have "
    "no labels. The editions share patients, so one is read: that of 2022 if there, else 2021, else 2023. "
    "The edition of 2023 gives the tumor in two parts, which are two instances.",
)

TUMOR = (Label(object="Vestibular Schwannoma", value=1),)
PARTS = (
    Label(object="Vestibular Schwannoma", value=1, instance="intra-meatal"),
    Label(object="Vestibular Schwannoma", value=2, instance="extra-meatal"),
)
#: How an edition's files are named, and its labels. That of 2022 names London's patients after 2021.
EDITIONS = {
    r"crossmoda202[12]_[a-z]+_\d+": TUMOR,
    r"crossmoda_\d+": TUMOR,
    r"crossmoda2023_[a-z]+_\d+": PARTS,
}


def cases(root: Path) -> Iterator[Case | BadFile]:
    layouts = (
        {"image": f"**/{{patient:{name}}}_ceT1.nii.gz", "mask": f"**/{{patient:{name}}}_Label.nii.gz"}
        for name in EDITIONS
    )
    return first_of(root, _case, *layouts)


def _case(match: Match) -> Case:
    labels = next(labels for name, labels in EDITIONS.items() if re.fullmatch(name, match["patient"]))
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="T1W MRI",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=labels),),
        view="transverse",
    )
