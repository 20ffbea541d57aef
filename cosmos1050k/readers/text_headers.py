"""The text headers of MetaImage and NRRD: where the voxels lie, read more strictly than ITK reads it.

ITK is then asked what the rest means. A header that ITK might take otherwise is refused: it could name a file
that was not checked here.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, PARTNERS, voxels
from cosmos1050k.readers.messages import shown
from cosmos1050k.readers.voxels import Stored

#: Headers are a few kilobytes; a 3D Slicer segmentation of 100 structures has 100.
_LONGEST = 2**20
_BINARY = "save it with its voxels raw or gzipped"

_META_LINE = re.compile(rb"([A-Za-z]\w*)[ \t]*=[ \t]*(\S[^\r\n]*?)[ \t]*\r?\n")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
#: Fields of as many numbers as there are dimensions; of MetaIO's, those that aren't must not be short of any.
_META_VECTORS = (
    "Offset", "Position", "Origin", "CenterOfRotation", "ElementSpacing", "ElementSize", "SequenceID",
    "DimSize",
)  # fmt: skip
_META_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
_META_SCALARS = ("NDims", "HeaderSize", "ElementNumberOfChannels", "CompressedDataSize")

_NRRD_MAGIC = re.compile(rb"NRRD000[1-9]\r?\n")
_NRRD_END = re.compile(rb"\n\r?\n")
#: Kinds of axes along which other voxels lie; along any other lie the numbers of one.
_NRRD_DOMAINS = {"domain", "space", "time", "???", "none"}
_NRRD_COLOURS = {"rgb-color", "hsv-color", "xyz-color", "rgba-color", "3-color", "4-color"}
#: The spaces whose axes name the patient's sides.
_NRRD_SPACES = {
    "left-posterior-superior", "right-anterior-superior", "left-anterior-superior", "lps", "ras", "las",
    "left-posterior-superior-time", "right-anterior-superior-time", "left-anterior-superior-time",
    "lpst", "rast", "last",
}  # fmt: skip


@dataclass(frozen=True)
class TextHeader:
    """What is needed to read the voxels.

    Args:
        sizes: of the axes as the voxels lie, the fastest first.
        components: which of the axes holds the numbers of one voxel, if any.
        colour: these are a colour's channels.
        placed: the header says where in the patient's frame the volume lies.
    """

    sizes: tuple[int, ...]
    components: int | None
    colour: bool
    placed: bool
    stored: Stored


def metaimage(path: Path, name: str) -> TextHeader:
    """The header of a .mha or .mhd file.

    Raises:
        BadFile: no MetaImage, damaged, or its voxels are text or not where they may be.
    """
    start = _start(path)
    fields, place = {}, 0
    while "ElementDataFile" not in fields:
        line = _META_LINE.match(start, place)
        if line is None or (key := line[1].decode()) in fields:
            raise _damaged(name, "MetaImage", start[place:])
        fields[key] = line[2].decode("latin-1")
        place = line.end()
    _check_numbers(name, fields)
    if fields.get("ObjectType", "Image") != "Image":
        raise BadFile(name, f"a MetaIO object of type {_quoted(fields['ObjectType'])}, not an image", AGAIN)
    if _flag(fields, "BinaryData", True) is False:
        raise BadFile(name, "voxels written as text", _BINARY)
    data_file = fields["ElementDataFile"]
    local = data_file in ("LOCAL", "Local", "local")
    header_size = int(fields.get("HeaderSize", 0))
    big = _flag(fields, "BinaryDataByteOrderMSB", False) or _flag(fields, "ElementByteOrderMSB", False)
    stored = Stored(
        file=path if local else _partner(path, name, data_file),
        offset=header_size or (place if local else 0),
        compressed=_flag(fields, "CompressedData", False),
        order=">" if big else "<",
    )
    sizes = tuple(int(size) for size in fields["DimSize"].split())
    channels = int(fields.get("ElementNumberOfChannels", 1))
    eight_bits = fields.get("ElementType", "").startswith("MET_UCHAR")
    return TextHeader(
        sizes=sizes if channels == 1 else (channels, *sizes),
        components=None if channels == 1 else 0,
        colour=eight_bits and channels in (3, 4),  # the header has no word for it
        placed=True,
        stored=stored,
    )


def _check_numbers(name: str, fields: dict[str, str]) -> None:
    """MetaIO reads on in the next line where numbers are missing, and from any word it makes a number."""
    dimensions = fields.get("NDims", "")
    if not dimensions.isdecimal() or not 2 <= int(dimensions) <= 5:
        raise BadFile(name, f"NDims is {_quoted(dimensions)}, expected two to four dimensions", AGAIN)
    keys = list(fields)
    if "DimSize" not in fields or keys.index("NDims") > keys.index("DimSize"):
        raise BadFile(name, "damaged MetaImage header (no DimSize behind NDims)", AGAIN)
    counts = dict.fromkeys(_META_VECTORS, int(dimensions))
    counts |= dict.fromkeys(_META_MATRICES, int(dimensions) ** 2) | dict.fromkeys(_META_SCALARS, 1)
    whole = {"DimSize", *_META_SCALARS}
    for key, text in fields.items():
        numbers = text.split()
        if len(numbers) != counts.get(key, len(numbers)) or (
            key in counts and not all(_whole(n) if key in whole else _NUMBER.fullmatch(n) for n in numbers)
        ):
            raise BadFile(name, f"damaged MetaImage header ({key} = {_quoted(text)})", AGAIN)


def _whole(text: str) -> bool:
    return re.fullmatch(r"-?\d{1,18}", text) is not None


def _flag(fields: dict[str, str], key: str, default: bool) -> bool:
    """MetaIO's booleans: by the first letter."""
    return fields[key][0] in "Tt1" if key in fields else default


def nrrd(path: Path, name: str) -> TextHeader:
    """The header of a .nrrd or .nhdr file.

    Raises:
        BadFile: no NRRD, damaged, or its voxels are text or not where they may be.
    """
    start = _start(path)
    magic = _NRRD_MAGIC.match(start)
    if magic is None:
        raise BadFile(name, "not a NRRD file", AGAIN)
    end = _NRRD_END.search(start, magic.end() - 1)
    body = start[magic.end() : end.start() if end else None]
    fields = _nrrd_fields(name, body)
    if end is None and "datafile" not in fields:
        raise _damaged(name, "NRRD", b"no end of it")
    encoding = fields.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise BadFile(name, f"voxels encoded as {_quoted(encoding)}", _BINARY)
    if fields.get("lineskip", "0") != "0" or fields.get("byteskip", "0") not in ("0", "-1"):
        raise BadFile(name, "bytes to skip before its voxels", _BINARY)
    if not re.fullmatch(r"\d{1,18}( +\d{1,18}){1,5}", fields.get("sizes", "")):
        raise _damaged(name, "NRRD", b"sizes: " + fields.get("sizes", "").encode())
    sizes = tuple(int(size) for size in fields["sizes"].split())
    kinds = fields.get("kinds", "").lower().split() or ["domain"] * len(sizes)
    ranges = [axis for axis, kind in enumerate(kinds) if kind not in _NRRD_DOMAINS]
    if len(kinds) != len(sizes) or len(ranges) > 1:
        raise BadFile(name, f"axes of the kinds {_quoted(' '.join(kinds))}", "give one volume")
    detached, from_end = "datafile" in fields, fields.get("byteskip") == "-1"
    return TextHeader(
        sizes=sizes,
        components=ranges[0] if ranges else None,
        colour=bool(ranges) and kinds[ranges[0]] in _NRRD_COLOURS,
        placed=fields.get("space", "").lower() in _NRRD_SPACES,
        stored=Stored(
            file=_partner(path, name, fields["datafile"]) if detached else path,
            offset=-1 if from_end else 0 if detached or end is None else end.end(),
            compressed=encoding != "raw",
            order=">" if fields.get("endian", "little").lower() == "big" else "<",
        ),
    )


def _nrrd_fields(name: str, body: bytes) -> dict[str, str]:
    """Field → text, fields in lower case without spaces. Comments and keys (`key:=text`) are passed over."""
    fields: dict[str, str] = {}
    for line in body.decode("latin-1").split("\n"):
        field, colon, text = line.rstrip("\r").partition(":")
        if not line.strip() or line.startswith("#") or text.startswith("="):
            continue
        field = field.replace(" ", "").lower()
        if not colon or field in fields:
            raise _damaged(name, "NRRD", line.encode("latin-1"))
        fields[field] = text.strip()
    return fields


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_LONGEST)


def _partner(path: Path, name: str, data_file: str) -> Path:
    """The voxel file beside the header: of its own name, with an ending known to `PARTNERS`."""
    allowed = [path.stem + ending for ending in PARTNERS.get(Path(name).suffix.lower(), ())]
    if data_file not in allowed:
        problem = f"its header names {_quoted(data_file)} as the file of its voxels"
        raise BadFile(name, problem, f"only {' or '.join(allowed) or 'its own file'} is read")
    return voxels.beside(path, name, data_file)


def _damaged(name: str, kind: str, rest: bytes) -> BadFile:
    where = rest[:60].partition(b"\n")[0].decode("latin-1")
    return BadFile(name, f"not a {kind} file, or its header is damaged ({_quoted(where)})", AGAIN)


def _quoted(text: str) -> str:
    return f"'{shown(text[:60])}'" if text else "''"
