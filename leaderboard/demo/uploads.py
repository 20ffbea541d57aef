"""Opens what a person brought: told by content, read by the dataset's readers, refused in one sentence."""

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

from cosmos1050k import readers
from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.members import BY_HAND
from cosmos1050k.pairing import natural
from cosmos1050k.readers.messages import shown
from leaderboard.demo import contents
from leaderboard.demo.reading import SMALLER, Brought, Reading, link
from leaderboard.demo.study import Study

#: Room for the voxels at eight bytes each, and for what a zip unpacks to.
MOST_BYTES = 2**31
_MOST_FILES = 10_000
_PICTURES = frozenset({".png", ".jpg", ".bmp", ".gif", ".tif"})
_HEADERS = frozenset({".mhd", ".nhdr", ".hdr"})
_KNOWN = "upload PNG, JPG, TIFF, NIfTI, MetaImage, NRRD or DICOM, or a zip of one study"
#: How a reader's or an archive's remedy for who keeps the dataset begins → one for who brought the file.
_REMEDIES = {
    readers.AGAIN: "upload a sound copy of it",
    readers.TOO_LARGE: SMALLER,
    "put the file there": "upload both files together",
    "put a file in its place": "upload it again",
    "change its permissions": "upload it again",
    "name the segment to read": "upload the images that it was drawn on",
    "check where the archive is from": "pack the pictures alone into a new zip",
    f"remove it, or, if it is sound, {BY_HAND}": "upload what is in it",
    BY_HAND: "unpack it and upload what is in it",
    "make room": "upload a smaller one, or try again later",
}
#: What systems and burners of discs add to a folder.
_CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "dicomdir"})
#: What `zipfile` raises for damaged files.
_BAD_ZIP = (zipfile.BadZipFile, ValueError, LookupError, RuntimeError, OverflowError, EOFError)


def open_upload(files: Sequence[Path], folder: Path, most_bytes: int = MOST_BYTES) -> Study:
    """Opens one picture or volume, whatever its files are called.

    That is one file; header and voxel file of MetaImage, NRRD or Analyze; the files of a DICOM series, or
    pictures to stack in the order of the numbers in their names; or a zip of one of these. Of several DICOM
    series the one of most slices is taken, and the study's note says so.

    Args:
        files: what was uploaded, by the names it had.
        folder: an empty private folder for what is unpacked; it may go when this returns.
        most_bytes: what the voxels may take at eight bytes each, and the files in a zip.

    Raises:
        InputError: one sentence that says which file can't be opened, why, and what to do.
    """
    if not files:
        raise InputError(f"no file was uploaded; {_KNOWN}")
    reading = Reading(folder, most_bytes)
    name = shown(files[0].name)
    try:
        if len(files) > _MOST_FILES:
            raise BadFile(name, f"one of {len(files)} files, more than {_MOST_FILES}", "upload one series")
        brought = [_brought(path, path.name) for path in files]
        return _opened(_unpacked(brought, folder, most_bytes), name, reading)
    except BadFile as error:
        raise _said(error, reading.renamed, folder) from None
    except MemoryError:
        raise BadFile(name, "more than there is memory for", SMALLER) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadFile(name, f"can't be opened here ({reason})", "rename it, or try again later") from None


def _brought(path: Path, name: str) -> Brought:
    return Brought(path, shown(name, 255), contents.ending(path))


def _said(error: BadFile, renamed: dict[str, str], folder: Path) -> BadFile:
    """The same for who brought the files: by their names, without places of this machine, with a remedy that
    is theirs.
    """
    file, problem, remedy = error.file, error.problem.replace(f"{folder}/", ""), error.remedy
    for ours, theirs in renamed.items():
        file, problem = theirs if file == ours else file, problem.replace(ours, theirs)
    told = next((_REMEDIES[known] for known in _REMEDIES if remedy.startswith(known)), remedy)
    return BadFile(shown(file), re.sub(r"\s+", " ", problem), told)


# What was brought


def _unpacked(brought: list[Brought], folder: Path, most_bytes: int) -> list[Brought]:
    """The files themselves, or those of the one zip."""
    archive = next((one for one in brought if one.kind == ".zip"), None)
    if archive is None:
        return brought
    if len(brought) > 1:
        raise BadFile(archive.name, "a zip beside other files", "upload the zip alone")
    found = _members(archive, folder, most_bytes)
    if not found:
        raise BadFile(archive.name, "a zip without a file in it", _KNOWN)
    if nested := next((one for one in found if one.kind == ".zip"), None):
        raise BadFile(archive.name, f"its member {nested.name} is a zip too", "upload that one alone")
    return found


def _members(archive: Brought, folder: Path, most_bytes: int) -> list[Brought]:
    from cosmos1050k.unpacking import extract  # loads the archive formats' libraries

    _refuse_zip(archive, most_bytes)
    into = folder / "unpacked"
    into.mkdir()
    if problems := extract(link(archive.path, folder / "archive.zip"), archive.name, into):
        raise problems[0]
    places = sorted(path.relative_to(into) for path in into.rglob("*") if path.is_file())
    return [_brought(into / place, place.as_posix()) for place in places if not _is_clutter(place)]


def _refuse_zip(archive: Brought, most_bytes: int) -> None:
    """Refuses what would unpack to too much, before any of it is."""
    try:
        with zipfile.ZipFile(archive.path) as opened:
            sizes = [info.file_size for info in opened.infolist()]
    except _BAD_ZIP:
        raise BadFile(archive.name, "a damaged or truncated zip", "pack it again") from None
    if len(sizes) > _MOST_FILES:
        raise BadFile(archive.name, f"{len(sizes)} files, more than {_MOST_FILES}", "pack one series alone")
    if sum(sizes) > most_bytes:
        raise BadFile(archive.name, f"{sum(sizes)} bytes unpacked, more than {most_bytes}", SMALLER)


def _is_clutter(place: Path) -> bool:
    return any(part.startswith(".") or part.lower() in _CLUTTER for part in place.parts)


# What of it is opened


def _opened(brought: list[Brought], name: str, reading: Reading) -> Study:
    """The one study among the files; what is of no known kind beside it is left aside, says the note."""
    volumes = [one for one in brought if one.kind and one.kind not in _PICTURES]
    flat = [one for one in brought if one.kind in _PICTURES]
    if dicom := [one for one in volumes if one.kind == ".dcm"]:
        aside = _aside(len(brought) - len(dicom))
        return _series(dicom, name, aside, reading) if len(dicom) > 1 else reading.one(dicom[0], note=aside)
    if len(volumes) > 1:
        raise BadFile(volumes[0].name, f"one of {len(volumes)} volumes", "upload one at a time")
    if volumes:
        (volume,) = volumes
        others = [one for one in brought if one is not volume]
        voxels = _voxels(volume, others) if volume.kind in _HEADERS else None
        return reading.one(volume, voxels, _aside(len(others) - (voxels is not None)))
    if flat:
        flat.sort(key=lambda one: natural(one.name))
        aside = _aside(len(brought) - len(flat))
        if len(flat) == 1:
            return reading.one(flat[0], note=aside)
        return reading.stack(flat, name, _joined(f"{len(flat)} pictures, in the order of their names", aside))
    raise BadFile(brought[0].name, contents.described(brought[0].path), _KNOWN)


def _series(files: list[Brought], name: str, aside: str, reading: Reading) -> Study:
    from leaderboard.demo import series  # loads pydicom

    by_path = {one.path: one for one in files}
    found = series.largest([(one.path, one.name) for one in files])
    slices = [by_path[one.path] for one in found.slices]
    note = _joined(found.note, aside)
    if len(slices) == 1:
        return reading.one(slices[0], note=note)
    return reading.stack(slices, found.name or name, note, found.by_position)


def _voxels(header: Brought, others: list[Brought]) -> Brought:
    """The voxel file of a header: the one that it names, or the only one beside it.

    Raises:
        BadFile: there is none.
    """
    said = contents.voxel_file(header.path) if header.kind != ".hdr" else None
    named = next((one for one in others if one.base == said), None)
    if named is None and len(others) == 1:
        named = others[0]
    if named is None:
        what = f"its voxel file {shown(said)}" if said else "its voxel file"
        raise BadFile(header.name, f"a header without {what}", "upload both files together")
    return named


def _aside(count: int) -> str:
    return f"{count} other file{'s' if count > 1 else ''} left aside" if count else ""


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
