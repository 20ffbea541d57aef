"""How a source is declared: one closed, typed record, and the cases it yields."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cosmos1050k.taxonomy import MODALITIES, pair

Split = Literal["train", "validation", "test"]
View = Literal["transverse", "sagittal", "coronal"]
Access = Literal["package", "direct", "form", "kaggle", "synapse", "grand-challenge", "side-loaded"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Download(_Record):
    """A file of the release: its name in the raw folder and how to know that it is the right one."""

    file: str
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class Label(_Record):
    """The pixels of one instance of an object in a mask file: of one `value`, or `at_least` so large.

    `counts_as` is what such a pixel adds to the sum of the keep rule (protocol, section 1, step 3).
    """

    object: str
    value: int | None = None
    at_least: int | None = None
    instance: str | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> "Label":
        if (self.value is None) == (self.at_least is None):
            raise ValueError(f"label {self.object}: give either value or at_least")
        if self.value == 0 or self.at_least == 0:
            raise ValueError(f"label {self.object}: 0 is the background")
        return self

    @property
    def counts_as(self) -> int:
        return self.value if self.value is not None else 1


class Mask(_Record):
    """One mask file of a case, relative to the source's folder, and the labels to take from it."""

    file: str
    labels: tuple[Label, ...] = Field(min_length=1)


class Case(_Record):
    """One volume, frame or picture: an image file and its mask files, relative to the source's folder.

    `view` names the anatomical plane to slice along; `slices` keeps a range [start, stop) of stored slices.
    `split` is given by the source `sample` alone; elsewhere the patient's group decides (`splits`).
    """

    case: str = Field(pattern=r"^[A-Za-z0-9._+-]+$")
    patient: str
    modality: Literal[MODALITIES]  # type: ignore[valid-type]
    image: str
    masks: tuple[Mask, ...] = Field(min_length=1)
    view: View
    slices: tuple[int, int] | None = None
    split: Split | None = None
    official_test: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """Every raw file the case is made of, the image first, each once."""
        return tuple(dict.fromkeys((self.image, *(mask.file for mask in self.masks))))


class Source(_Record):
    """One of the dataset's sources. Its file in `cosmos1050k/sources/` declares it and pairs its files.

    `package` is a folder inside an installed Python package ("nilearn/datasets/data") for a source that needs
    no download; every other source lies in `data/raw/<slug>`.
    """

    slug: str = Field(pattern="^[a-z0-9_]+$")
    name: str
    homepage: str
    licence: str
    redistributable: bool
    access: Access
    package: str | None = None
    downloads: tuple[Download, ...] = ()
    citation: str
    modalities: tuple[Literal[MODALITIES], ...] = Field(min_length=1)  # type: ignore[valid-type]
    objects: tuple[str, ...] = Field(min_length=1)
    note: str = ""

    @property
    def checksums(self) -> Mapping[str, str]:
        """File name → sha256, for the files whose sum is known."""
        return {download.file: download.sha256 for download in self.downloads if download.sha256}

    @property
    def pairs(self) -> tuple[str, ...]:
        """Every object–modality pair the source can have."""
        return tuple(pair(name, modality) for modality in self.modalities for name in self.objects)
