"""Which DICOM files of many are the slices of one volume."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import natural
from cosmos1050k.readers import AGAIN, dicom, dicom_header, geometry
from cosmos1050k.readers.messages import shown

#: Slices whose distances differ by more than this part of the least are spaced unevenly.
_UNEVEN = 0.01


#: What all slices of a volume have in common.
_LIKE = ("SeriesInstanceUID", "Rows", "Columns", "SamplesPerPixel")


@dataclass(frozen=True)
class Slice:
    """A DICOM image as its header has it.

    Args:
        like: its fields `_LIKE`.
        affine: where its first frame lies, if it says so.
        number: its place in the series as the scanner counted.
        instance: its identifier.
        description: the series', for show.
    """

    path: Path
    name: str
    like: tuple[str, ...]
    affine: NDArray[np.float64] | None
    frames: int
    number: int
    instance: str
    description: str


@dataclass(frozen=True)
class Series:
    """The slices of one volume: `by_position` if each has a place of its own, else in the order given. The
    note says what was left aside, and what is wrong with their places.
    """

    slices: list[Slice]
    by_position: bool
    note: str

    @property
    def name(self) -> str:
        return self.slices[0].description


def largest(files: Sequence[tuple[Path, str]]) -> Series:
    """The volume of most slices among DICOM files. What holds no image (reports, contours, segmentations) is
    left aside.

    Raises:
        BadFile: one of them is damaged, or none is an image.
    """
    slices = _images(files)
    if not slices:
        raise BadFile(files[0][1], f"not one image in {len(files)} DICOM files", "give the files of images")
    groups = _groups(slices)
    chosen = max(groups, key=lambda group: sum(one.frames for one in group))
    notes = []
    if len(groups) > 1:
        of = sum(one.frames for one in chosen)
        which = f" ({chosen[0].description})" if chosen[0].description else ""
        notes.append(f"{len(groups)} series were found: this is the one of most slices, {of}{which}")
    chosen, by_position, more = _one_volume(chosen)
    return Series(chosen, by_position, "; ".join(notes + more))


def _images(files: Sequence[tuple[Path, str]]) -> list[Slice]:
    """Each image once, in the order of names."""
    found: dict[tuple[object, ...], Slice] = {}
    for path, name in sorted(files, key=lambda file: natural(file[1])):
        header = dicom_header.read_dataset(path, name)
        try:
            one = _slice(header, path, name)
        except BadFile:
            raise
        except Exception as error:
            raise dicom_header.damaged(name, error) from error
        if one is not None:
            place = None if one.affine is None else one.affine.tobytes()
            found.setdefault((one.instance or name, one.number, place), one)
    return list(found.values())


def _slice(header: pydicom.Dataset, path: Path, name: str) -> Slice | None:
    """None of what is no image.

    Raises:
        BadFile: an image without pixels.
        Exception: pydicom's, of any kind, where fields are damaged or contradict each other.
    """
    if not header.get("Rows") or header.get("SOPClassUID") in dicom.SEGMENTATIONS:
        return None
    if "PixelData" not in header:
        raise BadFile(name, "truncated: an image without pixels", AGAIN)
    planes = dicom_header.planes(header, [0])
    said = str(header.get("SeriesDescription") or "").strip()
    return Slice(
        path,
        name,
        like=tuple(str(header.get(field)) for field in _LIKE),
        affine=planes[0] if planes else None,
        frames=int(header.get("NumberOfFrames") or 1),
        number=int(header.get("InstanceNumber") or 0),
        instance=str(header.get("SOPInstanceUID") or ""),
        description=shown(said) if said else "",
    )


def _groups(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Slices of the same series, size and direction; a file of several frames stands alone."""
    groups: list[list[Slice]] = []
    for one in slices:
        fitting = (group for group in groups if _fits(group[0], one))
        if (group := next(fitting, None)) is None:
            groups.append([one])
        else:
            group.append(one)
    return groups


def _fits(first: Slice, other: Slice) -> bool:
    if first.like != other.like or first.frames > 1 or other.frames > 1:
        return False
    if first.affine is None or other.affine is None:
        return first.affine is other.affine
    return geometry.parallel(first.affine, other.affine)


def _one_volume(group: Sequence[Slice]) -> tuple[list[Slice], bool, list[str]]:
    """The slices to take of a series, whether their places order them, and notes.

    Where a series has the same number of slices at each of its places (phases, diffusion weights), the first
    of each is taken. A film, all at one place, is a stack in its own order.
    """
    ordered = sorted(group, key=lambda one: one.number)
    if len(group) == 1 or group[0].affine is None:
        return ordered, False, []
    across = geometry.normal(group[0].affine)
    placed = [(float(one.affine[:3, 3] @ across), one) for one in ordered if one.affine is not None]
    places: list[list[tuple[float, Slice]]] = []
    for height, one in sorted(placed, key=lambda pair: pair[0]):
        if places and height - places[-1][0][0] < geometry.SAME_PLACE_MM:
            places[-1].append((height, one))
        else:
            places.append([(height, one)])
    if len(places) == 1:
        return ordered, False, ["all slices lie in one place: they are shown one after the other"]
    times = len(places[0])
    if any(len(place) != times for place in places):
        return ordered, True, []
    notes = [f"the series holds {times} volumes: this is the first"] if times > 1 else []
    steps = [there[0][0] - here[0][0] for here, there in itertools.pairwise(places)]
    if max(steps) > min(steps) * (1 + _UNEVEN):
        between = f"{min(steps):.2f} to {max(steps):.2f} mm"
        notes.append(f"its slices lie {between} apart: across them lengths and places are not exact")
    return [min((one for _, one in place), key=lambda one: one.number) for place in places], True, notes
