"""`POST /prompt`: a model's masks for prompts on a picture that is sent along."""

import base64
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from fastapi import File, Form, HTTPException, UploadFile
from pydantic import Field, StrictInt, TypeAdapter, ValidationError
from pydantic.json_schema import SkipJsonSchema

from app.api_models import Candidate, Prompted
from cosmos1050k import pictures
from cosmos1050k.errors import InputError
from leaderboard.demo.engine import Engine
from leaderboard.demo.notice import NOTICE
from leaderboard.demo.outlines import outlines
from leaderboard.demo.prompting import MOST_POINTS, Found, Picture, Prompt
from leaderboard.demo.study import Study
from leaderboard.demo.uploads import open_upload
from leaderboard.demo.windows import Window

#: Pictures that are opened and answered at once; others wait for their turn.
_AT_ONCE = 2
#: Pixels of a picture: a model's masks of a larger one would not fit into memory.
_MOST_PIXELS = 4096 * 4096
#: Characters of a file's name that are kept, its end: a file system takes 255 bytes.
_LONGEST_NAME = 60

Point = tuple[StrictInt, StrictInt, Literal[0, 1]]
_POINTS = TypeAdapter(Annotated[list[Point], Field(max_length=MOST_POINTS)])
_BOX = TypeAdapter(tuple[StrictInt, StrictInt, StrictInt, StrictInt])
_POINTS_FORM = f"[[x, y, label], …] of whole numbers, label 1 or 0, {MOST_POINTS} at most"
_BOX_FORM = "[x0, y0, x1, y1] of whole numbers"

Images = Annotated[
    list[UploadFile],
    File(
        description="A PNG, JPG, TIFF, NIfTI, MetaImage, NRRD or DICOM file, a zip of a DICOM series, or the "
        "files of one series or of one header with its voxels",
        max_length=1000,
    ),
]
ModelName = Annotated[str, Form(description="Name of a model that is here", max_length=64)]
Points = Annotated[
    str | SkipJsonSchema[None],
    Form(description=f"JSON {_POINTS_FORM}: pixels of the picture; 1 inside the object, 0 outside"),
]
Box = Annotated[
    str | SkipJsonSchema[None],
    Form(description=f"JSON {_BOX_FORM}: pixels of the picture, both ends inside"),
]
Plane = Annotated[
    str | SkipJsonSchema[None],
    Form(description="Of a volume: transverse, coronal or sagittal, or stored; by default the file's own"),
]
Slice = Annotated[
    int | SkipJsonSchema[None],
    Form(alias="slice", description="Of a volume: which slice of the plane, from 0"),
]
WindowName = Annotated[
    str | SkipJsonSchema[None],
    Form(description="Of a CT: what the model is shown, by the name of a window; by default the min–max"),
]


Parsed = TypeVar("Parsed")


class Prompting:
    """The route's answer, with what it needs; it is given in a thread.

    Args:
        folder: gives a new private folder, which is removed before the answer.
    """

    def __init__(self, engine: Engine, folder: Callable[[], Path]) -> None:
        self._engine, self._folder = engine, folder
        self._turn = threading.BoundedSemaphore(_AT_ONCE)

    def ask(
        self,
        image: Images,
        model: ModelName,
        points: Points = None,
        box: Box = None,
        plane: Plane = None,
        index: Slice = None,
        window: WindowName = None,
    ) -> Prompted:
        """Asks a model for the object that points and a box mark."""
        prompt = _prompt(points, box)
        offered = [offer.name for offer in self._engine.offers()]
        if model not in offered:
            raise HTTPException(404, f"There is no model {model!r} here; there are {', '.join(offered)}.")
        with self._turn, self._opened(image) as study:
            shown = _plane(study, plane)
            index = _slice(study, shown, index)
            height, width = study.size(shown)
            _check_inside(prompt, height, width)
            picture = Picture(study.picture(shown, index, _window(study, window)))
            try:
                found = self._engine.ask(model, picture, prompt)
            except InputError as error:
                raise HTTPException(422, sentence(error)) from None
            return Prompted(
                notice=NOTICE,
                note=study.note,
                model=model,
                width=width,
                height=height,
                plane=shown,
                slice=index,
                slices=study.depth(shown),
                spacing_mm=study.spacing(shown),
                candidates=_candidates(found),
                best=found.best,
                milliseconds=found.milliseconds,
            )

    @contextmanager
    def _opened(self, files: Sequence[UploadFile]) -> Iterator[Study]:
        """What copies of the files hold, as long as it is asked; the copies have names without folders."""
        folder = self._folder()
        try:
            (folder / "opened").mkdir()
            paths = [_copied(file, folder / f"{number:05d}") for number, file in enumerate(files)]
            try:
                study = open_upload(paths, folder / "opened")
            except InputError as error:
                raise HTTPException(415, f"{line(error)}.") from None
            yield study
        finally:
            shutil.rmtree(folder)


def _copied(file: UploadFile, folder: Path) -> Path:
    folder.mkdir()
    path = folder / base_name(file.filename or "")
    with path.open("wb") as copy:
        shutil.copyfileobj(file.file, copy)
    return path


def base_name(name: str) -> str:
    """A file's name as a client gives it, without folders and without what a file system might not take."""
    base = name.replace("\\", "/").rpartition("/")[2]
    return re.sub(r"[^\w.()\[\] -]", "_", base)[-_LONGEST_NAME:].strip(". ") or "upload"


def _prompt(points: str | None, box: str | None) -> Prompt:
    found = _parsed(_POINTS, points, f"points: JSON {_POINTS_FORM}") if points else []
    corners = _parsed(_BOX, box, f"box: JSON {_BOX_FORM}") if box else None
    return Prompt(tuple((x, y, label == 1) for x, y, label in found), corners)


def _parsed(form: TypeAdapter[Parsed], text: str, wanted: str) -> Parsed:
    try:
        return form.validate_json(text)
    except ValidationError:
        raise HTTPException(422, f"Give {wanted}.") from None


def _plane(study: Study, asked: str | None) -> str:
    if asked is not None and asked not in study.planes:
        raise HTTPException(
            422, f"There is no plane {asked[:40]!r} of it; there is {', '.join(study.planes)}."
        )
    return asked or study.planes[0]


def _slice(study: Study, plane: str, asked: int | None) -> int:
    depth = study.depth(plane)
    if asked is None and depth == 1:
        return 0
    if asked is None:
        raise HTTPException(422, f"It has {depth} slices ({plane}): say which by `slice`, 0 to {depth - 1}.")
    if not 0 <= asked < depth:
        raise HTTPException(422, f"There is no such slice: `slice` goes from 0 to {depth - 1}.")
    return asked


def _window(study: Study, asked: str | None) -> Window | None:
    known = {window.name: window for window in study.windows}
    if asked is not None and asked not in known:
        has = f"there are {', '.join(known)}" if known else "it has none, since it does not look like a CT"
        raise HTTPException(422, f"There is no window {asked[:40]!r}: {has}.")
    return known[asked] if asked else None


def _check_inside(prompt: Prompt, height: int, width: int) -> None:
    if height * width > _MOST_PIXELS:
        raise HTTPException(413, f"It has {width} × {height} pixels: at most {_MOST_PIXELS:,} are taken.")
    corners = [prompt.box[:2], prompt.box[2:]] if prompt.box else []
    for x, y in [*(point[:2] for point in prompt.points), *corners]:
        if not (0 <= x < width and 0 <= y < height):
            raise HTTPException(422, f"A point or a corner lies outside of {width} × {height} pixels.")


def _candidates(found: Found) -> list[Candidate]:
    return [
        Candidate(
            predicted_iou=float(rating),
            area=int(mask.sum()),
            png=base64.b64encode(pictures.encode(mask.astype(np.uint8) * np.uint8(255))).decode(),
            outlines=[[(x, y) for x, y in line] for line in outlines(mask)],
        )
        for mask, rating in zip(found.masks, found.predicted_iou, strict=True)
    ]


def sentence(error: InputError) -> str:
    """An error's line as a sentence."""
    text = line(error)
    return f"{text[:1].upper()}{text[1:]}."


def line(error: InputError) -> str:
    """An error's text, which may begin with a file's name, on one line and without a full stop."""
    return " ".join(str(error).split()).removesuffix(".")
