"""How a source is declared: one closed, typed record, and the cases it yields."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cosmos1050k.taxonomy import MODALITIES, pair

Split = Literal["train", "validation", "test"]
#: An anatomical plane, or what else a row shows: a plane of the heart, a section, or a whole picture (2D).
View = Literal["transverse", "sagittal", "coronal", "short-axis", "section", "picture"]
ANATOMICAL: frozenset[str] = frozenset({"transverse", "sagittal", "coronal"})
Access = Literal["package", "direct", "form", "kaggle", "synapse", "grand-challenge", "side-loaded"]
Modality = Literal[MODALITIES]  # type: ignore[valid-type]

Files = str | tuple[str, ...]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Download(_Record):
    """A file of the release: its name in the raw folder, where it comes from, how to know that it is right.

    Args:
        file: relative to the source's folder.
        url: where anybody may fetch it: its address, or its page at a host that `fetch.hosts` knows.
        varies: the owner's server packs it anew for each who asks, so that no sum can hold.
        optional: an addition, or another form of files listed too: welcome, but neither fetched nor missed.
    """

    file: str
    url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    md5: str | None = Field(default=None, pattern="^[0-9a-f]{32}$")
    varies: bool = False
    optional: bool = False

    @field_validator("file")
    @classmethod
    def _below_the_folder(cls, file: str) -> str:
        path = PurePosixPath(file)
        if str(path) != file or path.is_absolute() or any(part.startswith(".") for part in path.parts):
            raise ValueError(f"download {file!r}: give a name relative to the source's folder, none hidden")
        return file

    @model_validator(mode="after")
    def _no_sum_of_what_varies(self) -> "Download":
        if self.varies and (self.sha256 or self.md5):
            raise ValueError(f"download {self.file}: what varies has no sum")
        return self


class Label(_Record):
    """Which pixels of a mask file are an object, by exactly one of three rules, and how they are parted.

    `value`: they hold this value, or one of several. `above`: they hold more than this, and no more than
    `up_to` where given; of a colour file the mean of the channels counts. `colour`: each channel (R, G, B)
    differs from it by at most `within`; black, say, is a colour of gray masks too.

    `instances` (protocol, section 1, step 5): `one` instance, named `instance` where one file holds several;
    `values`, each value one; `components`, each 8-connected component of the picture one; `parts`, each
    8-connected component of each value one; `sides`, the left and the right of a paired organ that the owner
    gives in one value.

    `weight` is what a pixel of `above` or `colour` adds to the sum of the keep rule (protocol, section 1,
    step 3): 255 for a 0/255 mask. A pixel of `value`, or of instances by value, adds its value.
    """

    object: str
    value: int | tuple[int, ...] | None = None
    above: int | None = None
    up_to: int | None = None
    colour: tuple[int, int, int] | None = None
    within: int = 0
    weight: int = 1
    instance: str | None = None
    instances: Literal["one", "values", "components", "parts", "sides"] = "one"

    @model_validator(mode="after")
    def _one_rule(self) -> "Label":
        if sum(rule is not None for rule in (self.value, self.above, self.colour)) != 1:
            raise ValueError(f"label {self.object}: give one of value, above and colour")
        if 0 in self.values or (self.above or 0) < 0:
            raise ValueError(f"label {self.object}: 0 is the background")
        if self.up_to is not None and (self.above is None or self.up_to <= self.above):
            raise ValueError(f"label {self.object}: up_to goes with a smaller above")
        if self.within and self.colour is None:
            raise ValueError(f"label {self.object}: within goes with colour")
        if self.instance is not None and self.instances != "one":
            raise ValueError(f"label {self.object}: its instances name themselves")
        if self.by_value and self.above is None:
            raise ValueError(f"label {self.object}: instances by value need above")
        return self

    @property
    def values(self) -> tuple[int, ...]:
        """The values of a label by `value`; of another none."""
        return () if self.value is None else self.value if isinstance(self.value, tuple) else (self.value,)

    @property
    def by_value(self) -> bool:
        """Whether pixels of different values are different instances."""
        return self.instances in ("values", "parts")


class Mask(_Record):
    """One mask of a case, its file relative to the source's folder, and the labels to take from it.

    Args:
        file: a container; a tuple is a stack, one slice per file in the image's order.
        channel: which volume of a 4D file; which channel (R, G, B) of pictures in colour.
        segment: which segment of a DICOM-SEG object; its pixels have the value 1.
        row: whose rows of a run-length CSV; their pixels have the value 1.
        by_position: the stack's files are DICOM, ordered along their own normal instead.
        others: the values besides 0 and the labels' own that the owner uses; where they are told, a mask with
            any other is refused.
        own_grid: the mask lies on a grid of its own in the image's space; each voxel of the image takes the
            value of the nearest of the mask's.
        annotators: per file whose it is, where several drew the same; pixels that more than half of them
            mark, each in any of their files, have the value 1.
    """

    file: Files
    labels: tuple[Label, ...] = Field(min_length=1)
    channel: int | None = Field(default=None, ge=0)
    segment: int | None = Field(default=None, ge=1)
    row: str | None = None
    by_position: bool = False
    others: tuple[int, ...] | None = None
    own_grid: bool = False
    annotators: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_annotator_per_file(self) -> "Mask":
        if self.annotators and (isinstance(self.file, str) or len(self.file) != len(self.annotators)):
            raise ValueError("annotators: name one for each of several files")
        return self


class Case(_Record):
    """One volume, frame or picture: an image and its masks, files relative to the source's folder.

    Args:
        image: a container; a tuple is a stack, one slice per file, in this order.
        by_position: the stack's files are DICOM, ordered along their normal instead.
        channel: which volume of a 4D file; which plane of a picture that is stored as a volume.
        view: an anatomical plane, found by the affine, or the name of what a slice along `axis` shows.
        axis: slice along this axis of the stored array, rows and columns as stored (see `slicing`).
        slices: keeps a range [start, stop) of stored slices.
        split: given by the source `sample` alone; elsewhere the patient's group decides (`splits`).
        official_test: the owner's own labelled test case.
    """

    case: str = Field(pattern=r"^[A-Za-z0-9._+-]+$")
    patient: str = Field(min_length=1)
    modality: Modality
    image: Files
    masks: tuple[Mask, ...] = Field(min_length=1)
    view: View
    axis: Literal[0, 1, 2] | None = None
    by_position: bool = False
    channel: int | None = Field(default=None, ge=0)
    slices: tuple[int, int] | None = None
    split: Split | None = None
    official_test: bool = False

    @model_validator(mode="after")
    def _one_axis(self) -> "Case":
        if self.view not in ANATOMICAL and self.view != "picture" and self.axis is None:
            raise ValueError(f"case {self.case}: the view {self.view} needs an axis")
        if self.view == "picture" and (self.axis is not None or self.slices is not None):
            raise ValueError(f"case {self.case}: a picture has one slice")
        return self

    @property
    def image_files(self) -> tuple[str, ...]:
        return (self.image,) if isinstance(self.image, str) else self.image

    @property
    def files(self) -> tuple[str, ...]:
        """Every raw file the case names, the image's first, each once."""
        named = list(self.image_files)
        for mask in self.masks:
            named += (mask.file,) if isinstance(mask.file, str) else mask.file
        return tuple(dict.fromkeys(named))


class Source(_Record):
    """One of the dataset's sources. Its file in `cosmos1050k/sources/` declares it and pairs its files.

    `package` is a folder inside an installed Python package ("nilearn/datasets/data") for a source that needs
    no download; every other source lies in `data/raw/<slug>`. `only` lists (object, modality) where not every
    object occurs in every modality.

    `steps` says how a person gets what has no `url`, in sentences that end where the files are downloaded.
    `labelled` is how many cases the whole release has, each name once whatever its modalities, as the owner
    counts them; the paper prints no number per source.
    """

    slug: str = Field(pattern="^[a-z0-9_]+$")
    name: str
    homepage: str
    licence: str
    redistributable: bool
    access: Access
    package: str | None = None
    downloads: tuple[Download, ...] = ()
    steps: str = ""
    labelled: int | None = Field(default=None, ge=1)
    citation: str
    modalities: tuple[Modality, ...] = Field(min_length=1)
    objects: tuple[str, ...] = Field(min_length=1)
    only: tuple[tuple[str, str], ...] = ()
    note: str = ""

    @model_validator(mode="after")
    def _can_be_had(self) -> "Source":
        files = [download.file for download in self.downloads]
        if twice := sorted({file for file in files if files.count(file) > 1}):
            raise ValueError(f"source {self.slug}: its download {twice[0]} is listed twice")
        direct = bool(self.needed) and all(download.url for download in self.needed)
        if self.package is None and not direct and not self.steps:
            raise ValueError(f"source {self.slug}: say in steps how to get what has no url")
        return self

    @property
    def needed(self) -> tuple[Download, ...]:
        """The files of the release without the optional ones."""
        return tuple(download for download in self.downloads if not download.optional)

    @property
    def checksums(self) -> Mapping[str, str]:
        """File name → sha256, for the files whose sum is known."""
        return {download.file: download.sha256 for download in self.downloads if download.sha256}

    @property
    def pairs(self) -> tuple[str, ...]:
        """Every object–modality pair the source can have."""
        every = tuple((name, modality) for modality in self.modalities for name in self.objects)
        return tuple(pair(name, modality) for name, modality in self.only or every)
