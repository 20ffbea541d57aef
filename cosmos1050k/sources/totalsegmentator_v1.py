"""TotalSegmentator, version 1: 104 structures of the whole body in CT, each a file of its own."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cosmos1050k import release
from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, find, matched, table
from cosmos1050k.source import Case, Download, Label, Mask, Source

#: File → object.
SINGLE = {
    "spleen": "Spleen",
    "gallbladder": "Gall Bladder",
    "liver": "Liver",
    "stomach": "Stomach",
    "aorta": "Aorta",
    "inferior_vena_cava": "Inferior Vena Cava",
    "portal_vein_and_splenic_vein": "Portal and Splenic Vein",
    "pancreas": "Pancreas",
    "esophagus": "Esophagus",
    "trachea": "Trachea",
    "heart_myocardium": "Left Ventricular Myocardium",
    "heart_atrium_left": "Left Atrium",
    "heart_ventricle_left": "Left Ventricle",
    "heart_atrium_right": "Right Atrium",
    "heart_ventricle_right": "Right Ventricle",
    "pulmonary_artery": "Pulmonary Artery",
    "brain": "Brain",
    "sacrum": "Sacrum",
    "face": "Face",
    "urinary_bladder": "Bladder",
}
#: The same, followed by the side.
PAIRED = {
    "kidney": "Kidney",
    "adrenal_gland": "Adrenal Gland",
    "iliac_artery": "Iliac Artery",
    "iliac_vena": "Iliac Vein",
    "humerus": "Humerus",
    "scapula": "Scapula",
    "clavicula": "Clavicle",
    "femur": "Femur",
    "hip": "Hip",
    "gluteus_maximus": "Gluteus Maximus",
    "gluteus_medius": "Gluteus Medius",
    "gluteus_minimus": "Gluteus Minimus",
    "autochthon": "Autochthon",
    "iliopsoas": "Iliopsoas",
}
LOBES = (("upper", "left"), ("lower", "left"), ("upper", "right"), ("middle", "right"), ("lower", "right"))
LEVELS = [f"{part}{n}" for part, count in (("C", 7), ("T", 12), ("L", 5)) for n in range(1, count + 1)]
SIDES = ("left", "right")
#: File → object and instance.
CLASSES: dict[str, tuple[str, str | None]] = {
    **{name: (title, None) for name, title in SINGLE.items()},
    **{f"{name}_{side}": (title, side) for name, title in PAIRED.items() for side in SIDES},
    **{f"lung_{lobe}_lobe_{side}": ("Lung", f"{side} {lobe} lobe") for lobe, side in LOBES},
    **{f"vertebrae_{level}": ("Vertebra", level) for level in LEVELS},
    **{f"rib_{side}_{n}": ("Rib", f"{side} {n}") for side in SIDES for n in range(1, 13)},
}
#: Intestine, which the protocol leaves out.
EXCLUDED = ("small_bowel", "duodenum", "colon")
_MASK = r"**/{patient:s\d{4}}/segmentations/{name}.nii.gz"

SOURCE = Source(
    slug="totalsegmentator_v1",
    name="TotalSegmentator (dataset v1, 104 classes)",
    homepage="https://github.com/wasserth/TotalSegmentator",
    licence="CC BY 4.0",
    redistributable=True,
    access="direct",
    downloads=(
        Download(
            file="Totalsegmentator_dataset.zip",
            url="https://zenodo.org/records/6802614/files/Totalsegmentator_dataset.zip",
            md5="f0fbb3f91d9d99f2169863545f577b30",
        ),
    ),
    labelled=1204,
    citation="Wasserthal et al., TotalSegmentator: Robust Segmentation of 104 Anatomic Structures in CT "
    "Images, Radiology: Artificial Intelligence 2023",
    modalities=("CT",),
    objects=tuple(dict.fromkeys(title for title, _ in CLASSES.values())),
    note="Version 1 (zenodo.org/records/6802614), not 2. Its case s0864 is damaged and skipped. The labels "
    "are partly a model's; the lobes are instances of Lung. The owner's test cases are those of meta.csv.",
)


def cases(root: Path) -> Iterator[Case | BadFile]:
    found = Counter(match.files[""].rpartition("/")[0] for match in find(release.files(root), _MASK))
    for folder, count in found.items():
        if count > len(CLASSES) + len(EXCLUDED):
            problem = f"{count} classes, as in version 2 of the dataset"
            yield BadFile(folder, problem, "fetch version 1, zenodo.org/records/6802614")
            return
    tests: set[str] = set()
    try:
        tests = _official_tests(root)
    except BadFile as problem:
        yield problem
    yield from matched(root, partial(_case, tests), image=r"**/{patient:s\d{4}}/ct.nii.gz")


def _case(tests: set[str], match: Match) -> Case:
    folder = match.files["image"].rpartition("/")[0]
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="CT",
        image=match.files["image"],
        masks=tuple(
            Mask(
                file=f"{folder}/segmentations/{name}.nii.gz",
                labels=(Label(object=title, above=0, instance=instance),),
            )
            for name, (title, instance) in CLASSES.items()
        ),
        view="transverse",
        official_test=match["patient"] in tests,
    )


def _official_tests(root: Path) -> set[str]:
    listed = table(root, "**/meta.csv", "image_id", "split", delimiter=";")
    if listed is None:
        raise BadFile(
            "meta.csv", "missing, so the owner's test cases are not known", "put it beside the cases"
        )
    return {row["image_id"] for row in listed[1] if row["split"] == "test"}
