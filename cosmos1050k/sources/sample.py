"""The ICBM MNI152 T1 template that the package nilearn ships: real, small, no download; one head."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.source import Case, Download, Label, Mask, Source

_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
T1, GRAY, WHITE = (_FILE.format(part) for part in ("t1", "gm", "wm"))

SOURCE = Source(
    slug="sample",
    name="ICBM MNI152 2009a (sample)",
    homepage="https://www.bic.mni.mcgill.ca/ServicesAtlases/ICBM152NLin2009",
    licence="use, copy, modify and distribute with this notice: Copyright (C) 1993-2004 Louis Collins, "
    "McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill University",
    redistributable=True,
    access="package",
    package="nilearn/datasets/data",
    downloads=(
        Download(file=T1, sha256="421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6"),
        Download(file=GRAY, sha256="97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed"),
        Download(file=WHITE, sha256="382d92812de4744f9c86c7a0e4f680dc317a0a50e4da1f0153618a6798c7b7db"),
    ),
    labelled=7,
    citation="Fonov et al., Unbiased average age-appropriate atlases for pediatric studies, NeuroImage 2011",
    modalities=("T1W MRI",),
    objects=("Brain", "Gray Matter", "White Matter"),
    note="One head, cut into slabs of 20 slices with 5 dropped between them: for a first run and for tests. "
    "It is not part of COSMOS 1050K.",
)

#: The template's maps hold probabilities as 0…255; its T1 is zero outside the brain.
MASKS = (
    Mask(file=T1, labels=(Label(object="Brain", above=0),)),
    Mask(file=GRAY, labels=(Label(object="Gray Matter", above=127),)),
    Mask(file=WHITE, labels=(Label(object="White Matter", above=127),)),
)

#: First slice of a slab → its split. One patient has one split elsewhere; this head alone is cut.
SLABS = {
    0: "train", 25: "train", 50: "test", 75: "train", 100: "validation", 125: "test", 150: "train",
}  # fmt: skip
SLAB_SLICES = 20


def cases(root: Path) -> Iterator[Case]:
    for start, split in SLABS.items():
        yield Case(
            case=f"slab_{start:03d}",
            patient="mni152",
            modality="T1W MRI",
            image=T1,
            masks=MASKS,
            view="transverse",
            slices=(start, start + SLAB_SLICES),
            split=split,
        )
