"""A study's folder: where its files lie, and what `study.json` says."""

import hashlib
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cosmos1050k.errors import InputError

STUDY, GUIDE, OBJECTS, TIMES = "study.json", "README.md", "objects.csv", "times.csv"
#: Keeps the folder out of git: it may hold images that may not be passed on.
IGNORE, IGNORED = ".gitignore", "*\n"
IMAGES, PRESEGMENTED, ANNOTATIONS = "images", "presegmented", "annotations"

Task = Literal["scratch", "corrected"]
#: What people do, as a heading.
TASKS: dict[Task, str] = {"scratch": "from scratch", "corrected": "adjusting the model's masks"}
#: Of studies, and of those who annotate.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
TIME_COLUMNS = ("annotator", "task", "image", "seconds")


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StudyObject(_Closed):
    """An object to annotate.

    Args:
        mask: the name of its file, before and after; `sha256`: of the model's.
        index: its place in the row's `objects`.
        box: [x0, y0, x1, y1], both ends inside.
    """

    mask: str = Field(pattern=r"^\d+_\d+\.png$")
    index: int = Field(ge=0)
    box: tuple[int, int, int, int]
    object: str
    instance: str | None
    pair: str
    sha256: str


class StudyImage(_Closed):
    """An image by the name of its file and by that of its row; `sha256`: of the file."""

    file: str = Field(pattern=r"^\d+\.png$")
    image_id: str
    case: str
    height: int
    width: int
    sha256: str
    objects: tuple[StudyObject, ...] = Field(min_length=1)


class AnnotationStudy(_Closed):
    """Of which model, weights and data a folder is, and how its images were chosen.

    Args:
        version: of the model. device, numerics: of the run that made the masks here.
        sources: slug → version, of the images' sources; phantoms, closed: those of them that are synthetic,
            and whose images may not be passed on.
        band: how far from the model's means in its pairs an image's DICE (0…1) may be.
    """

    model: str
    version: int
    weights_sha256: str | None
    device: str
    numerics: str
    strategy: str
    selection: str
    protocol_version: int
    dataset_version: str
    sources: dict[str, str]
    phantoms: tuple[str, ...]
    closed: tuple[str, ...]
    seed: int
    band: float
    images: tuple[StudyImage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _of_its_sources(self) -> "AnnotationStudy":
        if {image.image_id.split("/")[0] for image in self.images} != set(self.sources):
            raise ValueError("sources are not those of its images")
        for name, every in (
            ("file", [image.file for image in self.images]),
            ("image_id", [image.image_id for image in self.images]),
            ("mask", [one.mask for image in self.images for one in image.objects]),
        ):
            if len(set(every)) < len(every):
                raise ValueError(f"a {name} is there twice")
        if not {*self.phantoms, *self.closed} <= set(self.sources):
            raise ValueError("phantoms or closed are none of its sources")
        return self

    @property
    def objects(self) -> int:
        return sum(len(image.objects) for image in self.images)


def name_of(folder: Path) -> str:
    """What a folder's study is called.

    Raises:
        InputError: its name can't be a study's.
    """
    name = folder.resolve().name
    if not NAME.fullmatch(name):
        raise InputError(f"{folder}: a study is called as its folder; name it with letters, digits, - and _")
    return name


def load(folder: Path) -> tuple[AnnotationStudy, str]:
    """A folder's `study.json`, and the sha256 of the file.

    Raises:
        InputError: it is missing or damaged.
    """
    path = folder / STUDY
    try:
        content = path.read_bytes()
        return AnnotationStudy.model_validate_json(content), hashlib.sha256(content).hexdigest()
    except OSError as error:
        problem = f"can't be read ({error.strerror})"
        raise InputError(f"{path}: {problem}; give a folder of `cosmos export-annotation`") from None
    except ValidationError:
        raise InputError(
            f"{path}: damaged or of another release; take it from the folder as exported"
        ) from None
