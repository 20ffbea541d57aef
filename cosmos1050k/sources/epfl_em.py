"""EPFL-EM: mitochondria in two stacks of electron microscopy, cut from one block of the hippocampus."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, Stack, matched, stacked
from cosmos1050k.source import Case, Download, Files, Label, Mask, Source

FOLDER = "https://documents.epfl.ch/groups/c/cv/cvlab-unit/www/data/%20ElectronMicroscopy_Hippocampus"
FILES = ("training.tif", "training_groundtruth.tif", "testing.tif", "testing_groundtruth.tif")

SOURCE = Source(
    slug="epfl_em",
    name="EPFL-EM (CA1 hippocampus)",
    homepage="https://www.epfl.ch/labs/cvlab/data/data-em/",
    licence="public with citation, no licence text found",
    redistributable=False,
    access="direct",
    downloads=tuple(Download(file=file, url=f"{FOLDER}/{file}") for file in FILES),
    labelled=2,
    citation="Lucchi et al., Supervoxel-Based Segmentation of Mitochondria in EM Image Stacks With Learned "
    "Shape Features, IEEE Transactions on Medical Imaging 2012",
    modalities=("Electron Microscopy",),
    objects=("Mitochondria",),
    note="Each 8-connected piece of a mitochondrion in a section is one instance. Both stacks are of one "
    "animal, and the owner tests on one of them: all is test. The synapses of the paper's table have no "
    "labels here. The re-annotation Lucchi++ is read where it lies alone.",
)

MITOCHONDRIA = Label(object="Mitochondria", above=0, instances="components", weight=255)


def cases(root: Path) -> Iterator[Case | BadFile]:
    found = list(
        matched(
            root,
            _owners,
            image="**/{part:training|testing}.tif",
            mask="**/{part:training|testing}_groundtruth.tif",
        )
    )
    yield from found or stacked(
        root,
        _lucchi_plus,
        by_place=True,
        image=r"**/{part:Train|Test}_In/mask{slice:\d+}.png",
        mask=r"**/{part:Train|Test}_Out/{slice:\d+}.png",
    )


def _owners(match: Match) -> Case:
    return _case(match["part"], match.files["image"], match.files["mask"])


def _lucchi_plus(stack: Stack) -> Case:
    return _case(f"{stack['part'].lower()}ing", stack.files["image"], stack.files["mask"])


def _case(part: str, image: Files, mask: Files) -> Case:
    return Case(
        case=part,
        patient="ca1",
        modality="Electron Microscopy",
        image=image,
        masks=(Mask(file=mask, labels=(MITOCHONDRIA,)),),
        view="section",
        axis=2,
        official_test=part == "testing",
    )
