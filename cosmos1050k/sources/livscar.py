"""LiVScar: infarcts of the left ventricle in late gadolinium MRI, in files that one names oneself."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, gathered
from cosmos1050k.source import Case, Label, Mask, Source

SOURCE = Source(
    slug="livscar",
    name="LiVScar (Left Ventricular Scar)",
    homepage="https://figshare.com/articles/figure/Left_ventricular_LV_scar_dataset/4214622?file=6875637",
    licence="unclear",
    redistributable=False,
    access="side-loaded",
    steps="What is in the owner's archive is described nowhere. Download it from "
    "https://figshare.com/articles/figure/Left_ventricular_LV_scar_dataset/4214622?file=6875637 and give "
    "each study a folder with its image, lge.nii.gz, and on the same grid a mask of the infarct, "
    "infarct.nii.gz, or one per observer, infarct_1.nii.gz, infarct_2.nii.gz; .nii, .nrrd, .mha and .mhd "
    "will do as well.",
    citation="Karim et al., Evaluation of state-of-the-art segmentation algorithms for left ventricle "
    "infarct from late Gadolinium enhancement MR images, Medical Image Analysis 2016",
    modalities=("CMR",),
    objects=("Left Ventricular Infarct",),
    note="Nobody knows its layout today: files named as the steps say are read, and no other. The folder's "
    "name is the patient. Of several observers' masks the majority counts, unless there is one named "
    "infarct: then it alone is taken. Sliced along the stack, which must be the last axis.",
)

LABELS = (Label(object="Left Ventricular Infarct", above=0),)
_ENDING = r"(?:nii\.gz|nii|nrrd|mha|mhd)"
#: The name of a mask that its observers agree on.
AGREED = "infarct"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return gathered(
        root,
        _case,
        image=f"**/{{patient}}/lge.{{_image:{_ENDING}}}",
        each=rf"**/{{patient}}/{{name:{AGREED}(?:_\w+)?}}.{{_mask:{_ENDING}}}",
    )


def _case(masks: dict[str, str], match: Match) -> Case:
    observers = tuple(name for name in masks if name != AGREED)
    if AGREED in masks:
        mask = Mask(file=masks[AGREED], labels=LABELS)
    else:
        mask = Mask(file=tuple(masks[name] for name in observers), annotators=observers, labels=LABELS)
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="CMR",
        image=match.files["image"],
        masks=(mask,),
        view="short-axis",
        axis=2,
    )
