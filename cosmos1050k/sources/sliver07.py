"""SLIVER07: livers in contrast CT, twenty training scans in MetaImage files."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

RECORD = "https://zenodo.org/records/2597908/files"

SOURCE = Source(
    slug="sliver07",
    name="SLIVER07 (Segmentation of the Liver Competition 2007)",
    homepage="https://sliver07.grand-challenge.org/",
    licence="the owner's license.txt: liver segmentation research only, not to be passed on",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="training-scans.zip",
            url=f"{RECORD}/training-scans.zip",
            sha256="caf4e43650050543ec59a07c2cb983faa023696dbe3f958019bfa025f13dc6c3",
        ),
        Download(
            file="training-labels.zip",
            url=f"{RECORD}/training-labels.zip",
            sha256="72c41c299ce1392cf810424268186518157c14c361e7dc2220657b1cf7173d78",
        ),
    ),
    labelled=20,
    citation="Heimann et al., Comparison and Evaluation of Methods for Liver Segmentation From CT Datasets, "
    "IEEE Transactions on Medical Imaging 2009",
    modalities=("CT",),
    objects=("Liver",),
    note="The headers give spacing alone, and some scans lie mirrored or upside down: rows show them as "
    "stored. The test scans have no labels and the training scans' names: those below a folder whose name "
    "begins with `test` are passed over.",
)

LABELS = (Label(object="Liver", above=0),)
_FILE = r"{{_{kind}:(?:(?!test)[^/]+/)*}}liver-{kind}{{patient:\d{{3}}}}.mhd"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(root, _case, image=_FILE.format(kind="orig"), mask=_FILE.format(kind="seg"))


def _case(match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="CT",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="transverse",
        axis=2,
    )
