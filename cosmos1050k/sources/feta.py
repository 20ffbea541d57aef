"""FeTA: seven tissues of the fetal brain in T2-weighted MRI, reconstructed from several stacks."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="feta",
    name="FeTA (Fetal Tissue Annotation and Segmentation Challenge)",
    homepage="https://feta.grand-challenge.org/",
    licence="the owner's data use agreement, research only",
    redistributable=False,
    access="synapse",
    downloads=(Download(file="feta_2.1.zip"),),
    steps="Join the challenge at https://feta.grand-challenge.org/, sign the access request at "
    "https://www.synapse.org/Synapse:syn25649159 and download feta_2.1.zip there. The 40 cases of Vienna, "
    "sub-081 to sub-120 of the release of 2022, need a second request, which the same page explains.",
    labelled=80,
    citation="Payette et al., An automatic multi-tissue human fetal brain segmentation benchmark using the "
    "Fetal Tissue Annotation Dataset, Scientific Data 2021",
    modalities=("T2W MRI",),
    objects=(
        "External Cerebrospinal Fluid",
        "Gray Matter",
        "White Matter",
        "Ventricles",
        "Cerebellum",
        "Deep Gray Matter",
        "Brainstem",
    ),
    note="Releases 2.1 (80 cases), 2.2 (120 with those of Vienna) and 2.3 have the same files; give one. "
    "Transverse by the header, though some reconstructions are not aligned to the head.",
)

LABELS = tuple(Label(object=name, value=value) for value, name in enumerate(SOURCE.objects, start=1))


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root,
        _case,
        image=r"**/{patient:sub-\d+}_{reconstruction:rec-[^/_]+}_T2w.nii.gz",
        mask="**/{patient}_{reconstruction}_dseg.nii.gz",
    )


def _case(match: Match) -> Case:
    return Case(
        case=f"{match['patient']}_{match['reconstruction']}",
        patient=match["patient"],
        modality="T2W MRI",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="transverse",
    )
