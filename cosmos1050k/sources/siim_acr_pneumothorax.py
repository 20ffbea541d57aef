"""SIIM-ACR Pneumothorax: chest radiographs in DICOM with run lengths in a CSV, or the PNG copy of both."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k import release
from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, find, matched, matches
from cosmos1050k.readers import guarded
from cosmos1050k.readers.rle import have_runs
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="siim_acr_pneumothorax",
    name="SIIM-ACR Pneumothorax Segmentation",
    homepage="https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation",
    licence="Kaggle competition rules, for non-commercial research",
    redistributable=False,
    access="kaggle",
    downloads=(
        Download(file="stage_2_train.csv", optional=True),
        Download(
            file="pneumothorax-chest-xray-images-and-masks.zip",
            sha256="1ade68d31adb996c531bb686fb9d02fe11876ddf6f25594ab725e18c69d81538",
        ),
    ),
    steps="With a Kaggle account, download https://www.kaggle.com/datasets/vbookshelf/"
    "pneumothorax-chest-xray-images-and-masks as pneumothorax-chest-xray-images-and-masks.zip. Who has the "
    "owner's folders dicom-images-train and dicom-images-test accepts the rules of "
    "https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation instead, downloads stage_2_train.csv there, "
    "puts all three into one folder, and uses `cosmos link`.",
    labelled=2669,
    citation="Zawacki et al., SIIM-ACR Pneumothorax Segmentation, Kaggle 2019",
    modalities=("X-ray",),
    objects=("Pneumothorax",),
    note="Reads the owner's DICOM folders with the CSV of stage 2 (or of stage 1), or else the PNG copy. "
    "Images without a pneumothorax are passed over. The test images of stage 1, labelled later, are test "
    "cases.",
)

DICOM = "**/dicom-images-{set:train|test}/{study}/{series}/{image}.dcm"
#: Stage 2's table covers both folders, stage 1's the first alone.
TABLES = ("**/stage_2_train.csv", "**/train-rle.csv")
#: In the copy a file's name says whether there is a pneumothorax: 1.
PNG = "**/png_{}/{{number}}_{{set:train|test}}_1_.png"


def cases(root: Path) -> Iterator[Case | BadFile]:
    images = list(matches(root, image=DICOM))
    if not images:
        yield from matched(root, _copy, image=PNG.format("images"), mask=PNG.format("masks"))
        return
    paths = release.files(root)
    tables = (hit.files[""] for template in TABLES for hit in find(paths, template))
    name = next(tables, None)
    if name is None:
        first = next(match.files["image"] for match in images if isinstance(match, Match))
        yield BadFile(first, "its table stage_2_train.csv or train-rle.csv is missing", "fetch it too")
        return
    runs = guarded(have_runs, paths[name], name)
    labelled = {image for image, any_run in runs.items() if any_run}
    for match in images:
        if isinstance(match, BadFile):
            yield match
        elif match["image"] in labelled:
            yield _case(match, name)
    for image in sorted(labelled - {match["image"] for match in images if isinstance(match, Match)}):
        yield BadFile(name, f"its image {image} is missing", "fetch the source again")


def _case(match: Match, table_name: str) -> Case:
    mask = Mask(file=table_name, row=match["image"], labels=(Label(object="Pneumothorax", value=1),))
    return Case(
        case=match["image"],
        patient=match["study"],
        modality="X-ray",
        image=match.files["image"],
        masks=(mask,),
        view="picture",
        official_test=match["set"] == "test",
    )


def _copy(match: Match) -> Case:
    name = f"{match['set']}_{match['number']}"
    label = Label(object="Pneumothorax", above=127, weight=255)
    return Case(
        case=name,
        patient=name,
        modality="X-ray",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(label,)),),
        view="picture",
        official_test=match["set"] == "test",
    )
