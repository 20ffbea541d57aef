"""BrainPTM 2021: two white matter tracts of either side, and the brain, in T1 and in diffusion MRI."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, gathered, text
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="brainptm_2021",
    name="BrainPTM 2021 (Brain Pre-surgical white matter Tractography Mapping)",
    homepage="https://brainptm-2021.grand-challenge.org/",
    licence="challenge terms: no sharing, no commercial use, two papers to cite",
    redistributable=False,
    access="grand-challenge",
    downloads=(Download(file="sheba75_data_train.zip"), Download(file="sheba75_tracts_train.zip")),
    steps="Join the challenge at https://brainptm-2021.grand-challenge.org/ and download the two files from "
    "its page Dataset. The streamlines are not needed; the test cases have no labels, and the file of "
    "dummies holds none either.",
    labelled=60,
    citation="Nelkenbaum et al., Automatic Segmentation of White Matter Tracts Using Multiple Brain MRI "
    "Sequences, ISBI 2020",
    modalities=("T1W MRI", "DW MRI"),
    objects=("Brain", "Optic Radiation", "Corticospinal Tract"),
    note="Of the 65 diffusion volumes the first without weighting is taken, told by the b-values. Four cases "
    "have no corticospinal tract.",
)

BRAIN = (Label(object="Brain", above=0),)
#: First part of a mask's name → object.
TRACTS = {"OR": "Optic Radiation", "CST": "Corticospinal Tract"}

_FOLDER = r"**/sheba75_data_train/**/{patient:case_\d+}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return gathered(
        root,
        partial(_cases, root),
        each=r"**/sheba75_tracts_train/**/{patient:case_\d+}/{name:(?:OR|CST)_(?:left|right)}.nii.gz",
        t1=f"{_FOLDER}/T1.nii.gz",
        diffusion=f"{_FOLDER}/Diffusion.nii.gz",
        weights=f"{_FOLDER}/Diffusion.bvals",
        brain=f"{_FOLDER}/brain_mask.nii.gz",
    )


def _cases(root: Path, masks: dict[str, str], match: Match) -> Iterator[Case]:
    tracts = []
    for name, file in masks.items():
        tract, side = name.split("_")
        tracts.append(Mask(file=file, labels=(Label(object=TRACTS[tract], above=0, instance=side),)))
    unweighted = _unweighted(root, match.files["weights"])
    for modality, role, channel in (("T1W MRI", "t1", None), ("DW MRI", "diffusion", unweighted)):
        yield Case(
            case=match["patient"],
            patient=match["patient"],
            modality=modality,
            image=match.files[role],
            channel=channel,
            masks=(Mask(file=match.files["brain"], labels=BRAIN), *tracts),
            view="transverse",
        )


def _unweighted(root: Path, name: str) -> int:
    """The first volume with the lowest b-value; some of the files have further lines below these."""
    _, content = text(root, name) or (name, "")
    try:
        weights = [float(word) for word in content.split("\n", 1)[0].split()]
        return weights.index(min(weights))
    except ValueError:
        raise BadFile(name, "its first line is no list of b-values", "fetch it again") from None
