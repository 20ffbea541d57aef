"""Montgomery County CXR Set: chest radiographs with a mask for either lung."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="montgomery_cxr",
    name="Montgomery County CXR Set",
    homepage="https://data.lhncbc.nlm.nih.gov/public/Tuberculosis-Chest-X-ray-Datasets/"
    "Montgomery-County-CXR-Set/MontgomerySet/index.html",
    licence="none named; the owner asks to be cited and acknowledged, unconfirmed",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="NLM-MontgomeryCXRSet.zip",
            url="http://openi.nlm.nih.gov/imgs/collections/NLM-MontgomeryCXRSet.zip",
            sha256="54601e952315d8f67383e9202a6e145997ade429f54f7e0af44b4e158714f424",
        ),
    ),
    labelled=138,
    citation="Jaeger et al., Two public chest X-ray datasets for computer-aided screening of pulmonary "
    "diseases, Quantitative Imaging in Medicine and Surgery 2014",
    modalities=("X-ray",),
    objects=("Lung",),
    note="Each lung is an instance, by the patient's side as the owner's folders name it.",
)

_NAME = r"{patient:MCUCXR_\d{4}}_{finding:[01]}.png"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root,
        _case,
        image=f"**/CXR_png/{_NAME}",
        left=f"**/ManualMask/leftMask/{_NAME}",
        right=f"**/ManualMask/rightMask/{_NAME}",
    )


def _case(match: Match) -> Case:
    return Case(
        case=f"{match['patient']}_{match['finding']}",
        patient=match["patient"],
        modality="X-ray",
        image=match.files["image"],
        masks=tuple(
            Mask(
                file=match.files[side],
                labels=(Label(object="Lung", above=0, weight=255, instance=side),),
            )
            for side in ("left", "right")
        ),
        view="picture",
    )
