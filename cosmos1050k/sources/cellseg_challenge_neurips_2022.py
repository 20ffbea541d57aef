"""CellSeg, NeurIPS 2022: cells in four kinds of microscopy, each cell a value of a TIFF label image."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="cellseg_challenge_neurips_2022",
    name="CellSeg Challenge-NeurIPS 2022",
    homepage="https://neurips22-cellseg.grand-challenge.org/",
    licence="CC BY-NC-ND 4.0",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="Training-labeled.zip",
            url="https://zenodo.org/records/10719375/files/Training-labeled.zip",
            sha256="b2383929eb8e99b2716fa0d4e2f6e03983e626a57cf00fe85175869c54aa3592",
        ),
        Download(
            file="Tuning.zip",
            url="https://zenodo.org/records/10719375/files/Tuning.zip",
            sha256="849423d36bb8fcc2d91a5b189a3b6d93c3d4071c9701eaaa44ba393a510459c4",
        ),
        Download(
            file="Testing.zip",
            url="https://zenodo.org/records/10719375/files/Testing.zip",
            sha256="3379730221f43830d30fddf131750e967c9c9bdf04f98811e852a050eb659ccc",
        ),
    ),
    labelled=1151,
    citation="Ma et al., The multimodality cell segmentation challenge: toward universal solutions, "
    "Nature Methods 2024",
    modalities=("Microscopy",),
    objects=("Cell",),
    note="An image with more than 255 cells is cut into tiles; the paper does so too, and gives no rule. The "
    "public test images are test cases; of the hidden ones a winner's predictions are public, and not used.",
)

#: Folder of a subset, at the challenge's time or now → its name in a case: each numbers its files from 1.
SUBSETS = {
    "Training-labeled": "training",
    "Train_Labeled": "training",
    "Tuning": "tuning",
    "Testing/Public": "test",
}
FOLDER = f"**/{{subset:{'|'.join(SUBSETS)}}}"
CELLS = Label(object="Cell", above=0, instances="values")


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root,
        _case,
        image=f"{FOLDER}/images/{{stem}}.{{ending:(?i:png|bmp|tiff?)}}",
        mask=f"{FOLDER}/labels/{{stem}}_label.tiff",
    )


def _case(match: Match) -> Case:
    subset = SUBSETS[match["subset"]]
    name = f"{subset}_{match['stem']}"
    return Case(
        case=name,
        patient=name,
        modality="Microscopy",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(CELLS,)),),
        view="picture",
        official_test=subset == "test",
    )
