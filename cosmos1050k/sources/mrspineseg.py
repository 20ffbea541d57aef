"""MRSpineSeg: vertebrae, sacrum and discs in sagittal MRI of the lumbar spine, a value per level."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Label, Mask, Source

SOURCE = Source(
    slug="mrspineseg",
    name="MRSpineSeg Challenge",
    homepage="https://www.spinesegmentation-challenge.com/",
    licence="the owner's agreement (Southern Medical University): research only, not to be passed on",
    redistributable=False,
    access="form",
    steps="Sign the data agreement at https://www.spinesegmentation-challenge.com/?page_id=1162; the link to "
    "the training set, folders train/MR and train/Mask, comes by e-mail. Download it.",
    labelled=172,
    citation="Pang et al., SpineParseNet: Spine Parsing for Volumetric MR Image by a Two-Stage Segmentation "
    "Framework with Semantic Image Representation, IEEE Transactions on Medical Imaging 2021",
    modalities=("MRI",),
    objects=("Spine", "Intervertebral Disc"),
    note="Spine is the vertebrae and the sacrum, each an instance. The two test sets have no labels: images "
    "and masks are taken from folders MR and Mask below one named train.",
)

#: From the sacrum up; the values of the discs go on where those of the vertebrae end.
VERTEBRAE = ("S", "L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10", "T9")
DISCS = ("L5/S", "L4/L5", "L3/L4", "L2/L3", "L1/L2", "T12/L1", "T11/T12", "T10/T11", "T9/T10")
LABELS = (
    *(Label(object="Spine", value=value, instance=level) for value, level in enumerate(VERTEBRAE, 1)),
    *(
        Label(object="Intervertebral Disc", value=value, instance=level)
        for value, level in enumerate(DISCS, 1 + len(VERTEBRAE))
    ),
)


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root,
        _case,
        image=r"**/train/MR/Case{number:\d+}.nii.gz",
        mask=r"**/train/Mask/mask_case{number:\d+}.nii.gz",
    )


def _case(match: Match) -> Case:
    name = f"Case{match['number']}"
    return Case(
        case=name,
        patient=name,
        modality="MRI",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="sagittal",
    )
