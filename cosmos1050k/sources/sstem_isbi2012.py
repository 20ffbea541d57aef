"""ssTEM: serial sections of a fly's nerve cord, the stack of the ISBI 2012 challenge or its sister set."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, Stack, matched, stacked
from cosmos1050k.source import Case, Download, Files, Label, Mask, Source

SOURCE = Source(
    slug="sstem_isbi2012",
    name="ssTEM (ISBI 2012 EM segmentation challenge)",
    homepage="https://imagej.net/events/isbi-2012-segmentation-challenge",
    licence="free for research with citation, unconfirmed",
    redistributable=False,
    access="form",
    downloads=(Download(file="train-volume.tif"), Download(file="train-labels.tif")),
    steps="Register at http://brainiac2.mit.edu/isbi_challenge/ and download train-volume.tif and "
    "train-labels.tif; where that server is off, the same files are in the Kaggle data set "
    "https://www.kaggle.com/datasets/soumikrakshit/isbi-challenge-dataset.",
    labelled=1,
    citation="Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms for "
    "connectomics, Frontiers in Neuroanatomy 2015",
    modalities=("Electron Microscopy",),
    objects=("Neural Structures",),
    note="White, the inside of the cells, is labelled, and each 8-connected piece of it is one instance. The "
    "sister set of the same group (stack1, CC BY-NC-SA 3.0) is read where it lies alone; its owner doesn't "
    "say of which values a neurite is made: here of intracellular (255) and of mitochondria (191). Synapses "
    "(223) are left out, since most lie across membranes and would join the neurites that they touch.",
)

INSIDE = Label(object="Neural Structures", value=255, instances="components")
#: Of the sister set's nine grey levels the inside of the cells and, enclosed by it, their mitochondria.
INSIDE_OF_SISTER = Label(object="Neural Structures", value=(191, 255), instances="components")


def cases(root: Path) -> Iterator[Case | BadFile]:
    found = list(matched(root, _challenge, image="**/train-volume.tif", mask="**/train-labels.tif"))
    yield from found or stacked(
        root,
        _sister,
        image=r"**/stack1/raw/{slice:\d\d}.tif",
        mask=r"**/stack1/labels/labels000000{slice:\d\d}.png",
    )


def _challenge(match: Match) -> Case:
    return _case("isbi2012", match.files["image"], match.files["mask"], INSIDE)


def _sister(stack: Stack) -> Case:
    return _case("stack1", stack.files["image"], stack.files["mask"], INSIDE_OF_SISTER)


def _case(specimen: str, image: Files, mask: Files, inside: Label) -> Case:
    return Case(
        case=specimen,
        patient=specimen,
        modality="Electron Microscopy",
        image=image,
        masks=(Mask(file=mask, labels=(inside,)),),
        view="section",
        axis=2,
    )
