"""Small MetaImage and NRRD files by hand, sound and damaged, as bytes."""

import gzip
import zlib
from pathlib import Path

import numpy as np

VOXELS = np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4)
DATA = VOXELS.tobytes("F")


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def header(start: dict[str, str], separator: str, changes: dict[str, str | None]) -> bytes:
    """The fields with some changed, added or, by None, left out; the last stays last."""
    *_, last = start
    fields = start | changes
    fields[last] = fields.pop(last)
    return "".join(f"{key}{separator}{text}\n" for key, text in fields.items() if text is not None).encode()


def meta(data: bytes = DATA, **changes: str | None) -> bytes:
    fields = {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False", "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "10 20 30",
        "ElementSpacing": "2 3 4", "DimSize": "6 5 4", "ElementType": "MET_SHORT", "ElementDataFile": "LOCAL",
    }  # fmt: skip
    return header(fields, " = ", changes) + data


def meta_zlib(data: bytes, **changes: str | None) -> bytes:
    return meta(data, **{"CompressedData": "True", "CompressedDataSize": str(len(data)), **changes})


def nrrd(data: bytes = DATA, **changes: str | None) -> bytes:
    """Underscores in the names of fields are spaces."""
    fields = {
        "type": "short", "dimension": "3", "space": "left-posterior-superior", "sizes": "6 5 4",
        "space directions": "(2,0,0) (0,3,0) (0,0,4)", "kinds": "domain domain domain", "endian": "little",
        "space origin": "(10,20,30)", "encoding": "raw",
    }  # fmt: skip
    renamed = {key.replace("_", " "): text for key, text in changes.items()}
    return b"NRRD0004\n# by hand\n" + header(fields, ": ", renamed) + b"\n" + data


ZLIB, GZIP = zlib.compress(DATA), gzip.compress(DATA, mtime=0)
NO_DATA_FILE = "as the file of its voxels"

#: What is wrong → the file's ending, its bytes, and what the message must say of it.
DAMAGED: dict[str, tuple[str, bytes, str]] = {
    "mha empty": (".mha", b"", "not a MetaImage file"),
    "mha text": (".mha", b"patient,age\n1,50\n" * 40, "not a MetaImage file"),
    "mha of a NRRD": (".mha", nrrd(), "not a MetaImage file"),
    "mha half a header": (".mha", meta(b"")[:100], "header is damaged"),
    "mha no data": (".mha", meta(b""), "truncated: at most 0 of 240 bytes"),
    "mha all but a byte": (".mha", meta(DATA[:-1]), "truncated: at most 239 of 240 bytes"),
    "mha 10^12 voxels": (".mha", meta(DimSize="10000 10000 10000"), "promises 1000000000000 bytes, more"),
    "mha 10^18 voxels": (".mha", meta(DimSize="1000000 1000000 1000000"), "bytes, more than"),
    "mha overflow": (".mha", meta(DimSize="4294967296 4294967296 16"), "bytes, more than"),
    "mha 7·10^8 voxels": (".mha", meta(DimSize="1000 1000 700"), "truncated: at most"),
    "mha no voxel": (".mha", meta(DimSize="6 0 4"), "of shape (6, 0, 4)"),
    "mha negative": (".mha", meta(DimSize="6 -5 4"), "of shape (6, -5, 4)"),
    "mha half a voxel": (".mha", meta(DimSize="6 5.5 4"), "DimSize = '6 5.5 4'"),
    "mha a size too few": (".mha", meta(DimSize="6 5"), "DimSize = '6 5'"),
    "mha an offset too few": (".mha", meta(Offset="0 0"), "Offset = '0 0'"),
    "mha no number": (".mha", meta(Offset="0 x 0"), "Offset = '0 x 0'"),
    "mha 1D": (".mha", meta(NDims="1", DimSize="120"), "NDims is '1', expected two to four"),
    "mha 99D": (".mha", meta(NDims="99"), "NDims is '99', expected two to four"),
    "mha 5D": (
        ".mha",
        meta(
            bytes(480), NDims="5", DimSize="6 5 4 1 2", TransformMatrix=None, Offset=None, ElementSpacing=None
        ),
        "shape (6, 5, 4, 1, 2), expected two to four",
    ),
    "mha no NDims": (".mha", meta(NDims=None), "NDims is"),
    "mha no DimSize": (".mha", meta(DimSize=None), "no DimSize"),
    "mha twice": (".mha", meta().replace(b"NDims = 3\n", b"NDims = 3\nNDims = 3\n"), "header is damaged"),
    "mha tube": (".mha", meta(ObjectType="Tube"), "object of type 'Tube'"),
    "mha text voxels": (".mha", meta(BinaryData="False"), "voxels written as text"),
    "mha no type": (".mha", meta(ElementType="MET_FOO"), "damaged header (Unknown PixelType"),
    "mha RGB": (".mha", meta(bytes(360), ElementNumberOfChannels="3", ElementType="MET_UCHAR"), "a colour"),
    "mha RGBA": (".mha", meta(bytes(480), ElementNumberOfChannels="4", ElementType="MET_UCHAR"), "a colour"),
    "mha flat": (".mha", meta(TransformMatrix="1 0 0 1 0 0 0 0 1"), "don't span the space"),
    "mha no spacing": (".mha", meta(ElementSpacing="0 1 1"), "don't span the space"),
    "mha spacing nan": (".mha", meta(ElementSpacing="nan 1 1"), "ElementSpacing = 'nan 1 1'"),
    "mha not compressed": (".mha", meta_zlib(DATA), "damaged compressed voxels"),
    "mha zlib cut": (".mha", meta_zlib(ZLIB[:-20]), "damaged compressed voxels (they end too early)"),
    "mha zlib sum cut": (".mha", meta_zlib(ZLIB[:-1]), "damaged compressed voxels (they end too early)"),
    "mha zlib sum": (".mha", meta_zlib(ZLIB[:-1] + bytes([ZLIB[-1] ^ 1])), "damaged compressed voxels"),
    "mha zlib short": (".mha", meta_zlib(zlib.compress(DATA[:-1])), "truncated: 239 of 240 bytes"),
    "mha zlib bomb": (".mha", meta_zlib(ZLIB, DimSize="1000 1000 700"), "truncated: at most"),
    "mha data elsewhere": (".mha", meta(b"", ElementDataFile="a.raw"), NO_DATA_FILE),
    "mhd up": (".mhd", meta(b"", ElementDataFile="../a.raw"), NO_DATA_FILE),
    "mhd here": (".mhd", meta(b"", ElementDataFile="./a.raw"), NO_DATA_FILE),
    "mhd absolute": (".mhd", meta(b"", ElementDataFile="/etc/passwd"), NO_DATA_FILE),
    "mhd list": (".mhd", meta(b"/etc/passwd\n", ElementDataFile="LIST"), NO_DATA_FILE),
    "mhd pattern": (".mhd", meta(b"", ElementDataFile="a%d.raw 1 4 1"), NO_DATA_FILE),
    "mhd other": (".mhd", meta(b"", ElementDataFile="b.raw"), NO_DATA_FILE),
    "mhd itself": (".mhd", meta(b"", ElementDataFile="a.mhd"), NO_DATA_FILE),
    "mhd absent": (".mhd", meta(b"", ElementDataFile="a.raw"), "voxel file a.raw is not beside it"),
    "nrrd empty": (".nrrd", b"", "not a NRRD file"),
    "nrrd text": (".nrrd", b"patient,age\n1,50\n" * 40, "not a NRRD file"),
    "nrrd of a MetaImage": (".nrrd", meta(), "not a NRRD file"),
    "nrrd magic": (".nrrd", nrrd().replace(b"NRRD0004", b"NRRD0000"), "not a NRRD file"),
    "nrrd magic alone": (".nrrd", b"NRRD0004\n", "header is damaged"),
    "nrrd half a header": (".nrrd", nrrd(b"")[:100], "header is damaged"),
    "nrrd no data": (".nrrd", nrrd(b""), "truncated: at most 0 of 240 bytes"),
    "nrrd all but a byte": (".nrrd", nrrd(DATA[:-1]), "truncated: at most 239 of 240 bytes"),
    "nrrd 10^12 voxels": (".nrrd", nrrd(sizes="10000 10000 10000"), "promises 1000000000000 bytes, more"),
    "nrrd 10^18 voxels": (".nrrd", nrrd(sizes="1000000 1000000 1000000"), "bytes, more than"),
    "nrrd 7·10^8 voxels": (".nrrd", nrrd(sizes="1000 1000 700"), "truncated: at most"),
    "nrrd no voxel": (".nrrd", nrrd(sizes="6 0 4"), "of shape (6, 0, 4)"),
    "nrrd negative": (".nrrd", nrrd(sizes="6 -5 4"), "header is damaged ('sizes: 6 -5 4')"),
    "nrrd a size too few": (".nrrd", nrrd(sizes="6 5", kinds="domain domain"), "damaged header"),
    "nrrd 1D": (".nrrd", nrrd(sizes="120", dimension="1", kinds="domain"), "header is damaged"),
    "nrrd twice": (".nrrd", nrrd().replace(b"type:", b"type: short\ntype:"), "header is damaged"),
    "nrrd no colon": (".nrrd", nrrd().replace(b"type:", b"type"), "header is damaged"),
    "nrrd no such type": (".nrrd", nrrd(type="quaternion"), "damaged header"),
    "nrrd block": (".nrrd", nrrd(type="block", block_size="2"), "damaged header"),
    "nrrd no encoding": (".nrrd", nrrd(encoding=None), "voxels encoded as ''"),
    "nrrd ascii": (".nrrd", nrrd(encoding="ascii"), "voxels encoded as 'ascii'"),
    "nrrd hex": (".nrrd", nrrd(encoding="hex"), "voxels encoded as 'hex'"),
    "nrrd bzip2": (".nrrd", nrrd(encoding="bzip2"), "voxels encoded as 'bzip2'"),
    "nrrd line skip": (".nrrd", nrrd(line_skip="1"), "bytes to skip"),
    "nrrd byte skip": (".nrrd", nrrd(byte_skip="7"), "bytes to skip"),
    "nrrd RGB": (
        ".nrrd",
        nrrd(bytes(360), type="uchar", dimension="4", sizes="3 6 5 4", kinds="RGB-color domain domain domain",
             space_directions="none (2,0,0) (0,3,0) (0,0,4)"),
        "a colour volume",
    ),
    "nrrd kinds": (".nrrd", nrrd(kinds="list list domain"), "axes of the kinds 'list list domain'"),
    "nrrd flat": (".nrrd", nrrd(space_directions="(1,0,0) (1,0,0) (0,0,1)"), "don't span the space"),
    "nrrd gzip cut": (".nrrd", nrrd(GZIP[:-30], encoding="gzip"), "damaged compressed voxels"),
    "nrrd gzip sum cut": (".nrrd", nrrd(GZIP[:-6], encoding="gzip"), "damaged compressed voxels"),
    "nrrd gzip length cut": (".nrrd", nrrd(GZIP[:-1], encoding="gzip"), "damaged compressed voxels"),
    "nrrd not gzip": (".nrrd", nrrd(encoding="gzip"), "damaged compressed voxels"),
    "nrrd gzip short": (".nrrd", nrrd(gzip.compress(DATA[1:]), encoding="gzip"), "truncated: 239 of 240"),
    "nrrd gzip bomb": (".nrrd", nrrd(GZIP, sizes="1000 1000 700", encoding="gzip"), "truncated: at most"),
    "nrrd data elsewhere": (".nrrd", nrrd(b"", data_file="a.raw"), NO_DATA_FILE),
    "nhdr up": (".nhdr", nrrd(b"", data_file="../a.raw"), NO_DATA_FILE),
    "nhdr absolute": (".nhdr", nrrd(b"", datafile="/etc/passwd"), NO_DATA_FILE),
    "nhdr list": (".nhdr", nrrd(b"/etc/passwd\n", data_file="LIST"), NO_DATA_FILE),
    "nhdr pattern": (".nhdr", nrrd(b"", data_file="a%d.raw 1 4 1"), NO_DATA_FILE),
    "nhdr other": (".nhdr", nrrd(b"", data_file="b.raw"), NO_DATA_FILE),
    "nhdr absent": (".nhdr", nrrd(b"", data_file="a.raw"), "voxel file a.raw is not beside it"),
}  # fmt: skip
