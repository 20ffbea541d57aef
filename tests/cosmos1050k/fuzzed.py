"""Every reader with sound files to mutate, and what each container's own library reads from a file."""

import csv
import gzip
import io
import os
import re
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import py7zr
import pydicom
import rarfile
import SimpleITK as sitk
import tifffile
from PIL import Image
from py7zr.io import BytesIOFactory
from pydicom import uid
from pydicom.pixels import apply_color_lut
from tifffile import PHOTOMETRIC

from cosmos1050k import readers
from cosmos1050k.members import inside
from cosmos1050k.readers import Volume, rle
from cosmos1050k.readers.dicom_seg import read_segment
from cosmos1050k.readers.stack import read_stack
from cosmos1050k.unpacking import extract
from tests.cosmos1050k.archive_files import archive
from tests.cosmos1050k.bad_input import one_line
from tests.cosmos1050k.dicom_files import (
    CODECS,
    PIXELS,
    SPACING,
    image,
    multiframe,
    placed,
    saved,
    segmentation,
    series,
)
from tests.cosmos1050k.itk_files import DATA, GZIP, VOXELS, ZLIB, meta, meta_zlib, nrrd
from tests.cosmos1050k.mutations import Files
from tests.cosmos1050k.nifti_files import nifti

RNG = np.random.default_rng(1050)
GRAY = RNG.integers(0, 256, (9, 11), np.uint8)
COLOUR = RNG.integers(0, 256, (9, 11, 3), np.uint8)
STACK = RNG.integers(0, 256, (4, 9, 11), np.uint8)
#: The grid of `series`, index → RAS+ mm.
GRID = np.diag([-SPACING[1], -SPACING[0], 2.5, 1])
GRID[:3, 3] = -10, 20, 30


@dataclass(frozen=True)
class Fuzzed:
    """One reader.

    Args:
        sound: cases that it reads.
        read: what it reads of the case whose first file is at a path: a volume, pictures, or an archive's
            members and how many were left out.
        library: what may be found there, any of these; an error where the library reads nothing.
    """

    sound: Callable[[], list[Files]]
    read: Callable[[Path], Any]
    library: Callable[[Path], list[Any]]


def _volume(path: Path) -> Volume:
    return readers.read(path, path.name)


def _pages(path: Path) -> np.ndarray:
    """The slices as pictures, one after the other, colours last."""
    return _turned(readers.read(path, path.name))


def _turned(volume: Volume) -> np.ndarray:
    return volume.array.transpose(2, 1, 0, *range(3, volume.array.ndim)).squeeze()


def _nifti_files(ending: str) -> list[Files]:
    plain = [
        nifti(VOXELS), nifti(VOXELS, order=">"), nifti(VOXELS.astype("f4"), version=2),
        nifti(VOXELS.astype("u1"), scaling=(2.0, -5.0), extension=b"a note"),
    ]  # fmt: skip
    return [{f"a{ending}": gzip.compress(data, mtime=0) if ending == ".nii.gz" else data} for data in plain]


def _by_nibabel(path: Path) -> list[Volume]:
    return [_nibabels(nib.load(path))]


def _nibabels(image: Any) -> Volume:
    """Without a place where its slices have no direction: here a 2D file's gets one."""
    flat = image.ndim < 3 or not image.affine[:3, 2].any()
    return Volume(np.asanyarray(image.dataobj), None if flat else image.affine)


def _analyze_files() -> list[Files]:
    header = nib.AnalyzeHeader()
    header.set_data_dtype(np.int16)
    header.set_data_shape(VOXELS.shape)
    pair = nib.Nifti1Pair(VOXELS, np.eye(4))
    pair.header.set_slope_inter(2.0, -5.0)
    files = {key: holder.fileobj.getvalue() for key, holder in _written_pair(pair).items()}
    return [
        {"a.hdr": header.binaryblock, "a.img": DATA},
        {"a.hdr": header.as_byteswapped().binaryblock, "a.img": VOXELS.astype(">i2").tobytes("F")},
        {"a.hdr": header.binaryblock, "a.img.gz": gzip.compress(DATA, mtime=0)},
        {"a.hdr": files["header"], "a.img": files["image"]},
    ]


def _written_pair(pair: nib.Nifti1Pair) -> dict[str, Any]:
    held = nib.Nifti1Pair.make_file_map({"header": io.BytesIO(), "image": io.BytesIO()})
    pair.to_file_map(held)
    return held


def _pair_by_nibabel(path: Path) -> list[Volume]:
    """By the class that the magic calls for: of a bare Analyze header, SPM's would read a scale."""
    is_nifti = path.read_bytes()[344:348] == b"ni1\0"
    voxels = path.with_suffix(".img")
    data = (
        voxels.read_bytes() if voxels.is_file() else gzip.decompress(path.with_suffix(".img.gz").read_bytes())
    )
    kind = nib.Nifti1Pair if is_nifti else nib.AnalyzeImage
    held = kind.make_file_map({"header": io.BytesIO(path.read_bytes()), "image": io.BytesIO(data)})
    return [_nibabels(kind.from_file_map(held))]


def _itk_files(ending: str) -> list[Files]:
    raw = {"ElementDataFile": "a.raw"}
    zraw = {"ElementDataFile": "a.zraw"}
    return {
        ".mha": [
            {"a.mha": data} for data in (meta(), meta_zlib(ZLIB), meta(BinaryDataByteOrderMSB="True"))
        ],
        ".mhd": [{"a.mhd": meta(b"", **raw), "a.raw": DATA}],
        ".zraw": [
            {"a.mhd": meta_zlib(b"", **zraw, CompressedDataSize=size), "a.zraw": ZLIB}
            for size in (str(len(ZLIB)), None)
        ],
        ".nrrd": [
            {"a.nrrd": data} for data in (nrrd(), nrrd(GZIP, encoding="gzip"), nrrd(endian="big"))
        ],
        ".nhdr": [
            {"a.nhdr": nrrd(b"", data_file="a.raw"), "a.raw": DATA},
            {"a.nhdr": nrrd(b"", data_file="a.raw.gz", encoding="gzip"), "a.raw.gz": GZIP},
        ],
    }[ending]  # fmt: skip


def _by_itk(path: Path) -> list[Volume]:
    size = re.search(rb"\nCompressedDataSize = (\d+)", path.read_bytes())
    if path.suffix == ".mhd" and size and path.with_suffix(".zraw").stat().st_size > int(size[1]):
        raise ValueError("MetaIO inflates no more of it, and leaves the rest of the voxels unset")
    io_class = "NrrdImageIO" if path.suffix in (".nrrd", ".nhdr") else "MetaImageIO"
    found = _read_by_itk(path, io_class)
    array, axes = sitk.GetArrayFromImage(found), found.GetDimension()
    array = array.transpose(*reversed(range(axes)), *range(axes, array.ndim))
    if axes != 3:
        return [Volume(array)]
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(found.GetDirection(), (3, 3)) * found.GetSpacing()
    affine[:3, 3] = found.GetOrigin()
    return [Volume(array, np.diag([-1, -1, 1, 1]) @ affine)]  # its axes run to the left and to posterior


def _read_by_itk(path: Path, io_class: str) -> sitk.Image:
    """MetaIO gives memory that it never filled where zlib fails, and says so on the standard error alone."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            found = sitk.ReadImage(str(path), imageIO=io_class)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        said.seek(0)
        if b"ncompress" in said.read():
            raise ValueError("not decompressed")
    return found


def _dicom_bytes(data: pydicom.Dataset) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return saved(data, Path(folder) / "a.dcm").read_bytes()


def _dicom_files() -> list[Files]:
    frames = np.stack([PIXELS, PIXELS[::-1]])
    data = [
        image(PIXELS, **placed((1, 2, 3)), RescaleSlope=1, RescaleIntercept=-1024),
        image(PIXELS, bits=12, PhotometricInterpretation="MONOCHROME1"),
        image(PIXELS, syntax=uid.ImplicitVRLittleEndian, RescaleSlope=0.5, RescaleIntercept=3),
        multiframe(frames, [(0, 0, 0), (0, 0, 4)]),
        image(COLOUR),
    ]
    return [{"a.dcm": _dicom_bytes(one)} for one in data]


def _coded_dicom_files() -> list[Files]:
    small = PIXELS.astype(np.uint8)
    coded = [image(small, syntax=syntax, coded=[encode(small)]) for syntax, encode in CODECS.values()]
    coded.append(image(small))
    coded[-1].compress(uid.RLELossless, generate_instance_uid=False)
    return [{"a.dcm": _dicom_bytes(one)} for one in coded]


def _shown(data: pydicom.Dataset, pixels: np.ndarray) -> np.ndarray:
    """Stored pixels inverted, coloured and rescaled as the standard says."""
    if data.PhotometricInterpretation == "MONOCHROME1":
        signed = bool(data.PixelRepresentation)
        pixels = (-1 if signed else (1 << int(data.BitsStored)) - 1) - pixels.astype(np.int64)
    if data.PhotometricInterpretation == "PALETTE COLOR":
        return apply_color_lut(pixels, data)
    if int(data.SamplesPerPixel) > 1:
        return pixels
    return pixels * float(data.get("RescaleSlope", 1)) + float(data.get("RescaleIntercept", 0))


def _by_pydicom(path: Path) -> list[np.ndarray]:
    data = pydicom.dcmread(path)
    return [_shown(data, data.pixel_array).squeeze()]


def _by_pydicom_or_gdcm(path: Path) -> list[np.ndarray]:
    """GDCM where pydicom has no decoder; of equal code they decode the same."""
    data = pydicom.dcmread(path)
    try:
        pixels = data.pixel_array
    except RuntimeError:
        pixels = sitk.GetArrayFromImage(_read_by_itk(path, "GDCMImageIO"))
    return [_shown(data, pixels).squeeze()]


def _segmentation_files() -> list[Files]:
    masks = np.random.default_rng(8).integers(0, 2, (3, 6, 5, 2)).astype(np.uint8)
    source = series(np.zeros(masks.shape[:3], np.uint16))
    data = [
        segmentation(source, masks),
        segmentation(source, masks / 2, "FRACTIONAL", max_fractional_value=200),
        segmentation(source, masks[..., 0] + 2 * masks[..., 1] * (1 - masks[..., 0]), "LABELMAP"),
    ]
    return [{"a.dcm": _dicom_bytes(one)} for one in data]


def _segment(path: Path) -> np.ndarray:
    return read_segment(path, path.name, 1, Volume(np.zeros((5, 6, 3), np.uint16), GRID)).array


def _segment_by_pydicom(path: Path) -> list[np.ndarray]:
    """Each frame of the segment at the place that it states, on the grid of `series`."""
    data = pydicom.dcmread(path)
    pixels = data.pixel_array.reshape(-1, int(data.Rows), int(data.Columns))
    found = np.zeros((5, 6, 3), np.uint8)
    kind = data.SegmentationType
    for frame, group in zip(pixels, data.PerFrameFunctionalGroupsSequence, strict=True):
        if kind == "LABELMAP":
            frame = frame == 1
        elif group.SegmentIdentificationSequence[0].ReferencedSegmentNumber != 1:
            continue
        elif kind == "FRACTIONAL":
            frame = frame >= int(data.MaximumFractionalValue) / 2
        x, y, z = map(float, group.PlanePositionSequence[0].ImagePositionPatient)
        column, row, place = np.linalg.solve(GRID, [-x, -y, z, 1])[:3].round().astype(int)
        ys, xs = np.nonzero(frame)
        found[xs + column, ys + row, place] = 1
    return [found]


def _stack_files() -> list[Files]:
    data = [_dicom_bytes(one) for one in series(np.stack([PIXELS, PIXELS[::-1], PIXELS // 2]))]
    return [{"b.dcm": data[1], "a.dcm": data[0], "c.dcm": data[2]}]


def _slices(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.dcm"))


def _stacked(path: Path) -> np.ndarray:
    return _turned(read_stack([(one, one.name) for one in _slices(path)], by_position=True)[0])


def _stacked_by_pydicom(path: Path) -> list[np.ndarray]:
    """By the place along the slices' normal."""
    slices = [pydicom.dcmread(one) for one in _slices(path)]
    turn = np.array(slices[0].ImageOrientationPatient, float)
    across = np.cross(turn[:3] / np.linalg.norm(turn[:3]), turn[3:] / np.linalg.norm(turn[3:]))
    slices.sort(key=lambda one: float(np.dot(across, np.array(one.ImagePositionPatient, float))))
    return [np.stack([_shown(one, one.pixel_array) for one in slices])]


def _picture(array: np.ndarray, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, form, **options)
    return file.getvalue()


def _picture_files(ending: str) -> list[Files]:
    palette = Image.fromarray(COLOUR).quantize(16)
    files = {form: io.BytesIO() for form in ("PNG", "GIF", "BMP")}
    for form, file in files.items():
        palette.save(file, form)
    netpbm = b"P6 11 9 255\n" + COLOUR.tobytes()
    data = {
        "png": [
            _picture(COLOUR, "PNG"), _picture(GRAY, "PNG"), _picture(GRAY > 99, "PNG"),
            _picture(GRAY.astype(np.uint16) * 257, "PNG"), files["PNG"].getvalue(),
            cv2.imencode(".png", COLOUR.astype(np.uint16) * 257)[1].tobytes(),
        ],
        "jpg": [
            _picture(np.kron(COLOUR, np.ones((4, 4, 1), np.uint8)), "JPEG"),
            _picture(np.kron(GRAY, np.ones((4, 4), np.uint8)), "JPEG", progressive=True),
        ],
        "bmp": [_picture(COLOUR, "BMP"), _picture(GRAY > 99, "BMP"), files["BMP"].getvalue()],
        "gif": [_picture(GRAY, "GIF"), files["GIF"].getvalue()],
        "ppm": [
            netpbm, b"P5 11 9 255\n" + GRAY.tobytes(), b"P3 2 1 255\n 1 2 3 44 55 66\n",
            b"P4 11 9\n" + bytes(18),
        ],
        "ppm.gz": [gzip.compress(netpbm, mtime=0)],
    }[ending]  # fmt: skip
    return [{f"a.{ending}": one} for one in data]


def _by_pillow(path: Path) -> list[np.ndarray]:
    """As it is, and with its palette, levels or alpha made gray or RGB; deep colours by OpenCV."""
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    found = []
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        if data[:4] == b"\x89PNG" and data[24] == 16 and not picture.mode.startswith("I"):
            deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            return [deep[..., 0].squeeze(), deep[..., 2::-1].squeeze()]
        if picture.mode in ("L", "RGB", "I", "I;16", "I;16B"):
            found.append(np.asarray(picture).squeeze())
        elif picture.mode in ("1", "LA", "P"):
            found.append(np.asarray(picture.convert("L")).squeeze())
        if picture.mode in ("P", "RGBA", "CMYK", "YCbCr"):
            found.append(np.asarray(picture.convert("RGB")).squeeze())
    if data[:1] == b"P" and data.split()[3:4] not in ([b"255"], [b"65535"]) and data[1:2] not in b"14":
        raise ValueError("Pillow rescales it")
    return found


def _tiff(array: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def _tiff_files() -> list[Files]:
    data = [
        _tiff(GRAY, metadata=None),
        _tiff(STACK, photometric="minisblack"),
        _tiff(STACK, photometric="minisblack", compression="deflate", metadata=None),
        _tiff(COLOUR, compression="lzw", predictor=True),
        _tiff(np.kron(GRAY, np.ones((4, 4), np.uint8)), tile=(16, 16), compression="deflate"),
        _tiff(GRAY, rowsperstrip=2, byteorder=">"),
        _tiff(STACK, imagej=True, metadata={"axes": "ZYX"}),
        _tiff(STACK, ome=True, metadata={"axes": "ZYX"}, compression="packbits"),
        _tiff(np.kron(COLOUR, np.ones((4, 4, 1), np.uint8)), compression="jpeg"),
        _tiff(GRAY, photometric="palette", colormap=np.arange(768, dtype="u2").reshape(3, 256) * 85),
        _tiff(GRAY > 99),
        _tiff(GRAY.astype("f4"), bigtiff=True),
    ]
    return [{"a.tif": one} for one in data]


def _by_tifffile(path: Path) -> list[np.ndarray]:
    """As stored, of any axis as channels; few bits, palettes and white that is zero by Pillow.

    Where nothing says what zero is, tifffile and Pillow take it for white; here it is black.
    """
    with tifffile.TiffFile(path) as opened:
        page = opened.series[0].keyframe
        gray = page.photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
        array = opened.series[0].asarray().squeeze()
    if page.bitspersample == 1:
        array = array.astype(np.uint8) * 255
    if (
        gray and page.bitspersample != 2 and page.bitspersample != 4
    ) or "PhotometricInterpretation" not in page.tags:
        found = [array]
        for axis in range(array.ndim if array.ndim > 2 else 0):
            last = np.moveaxis(array, axis, -1)
            found += [last, last[..., :3], last[..., 0], np.pad(last, [(0, 0)] * (array.ndim - 1) + [(0, 1)])]
        return found
    with Image.open(path) as picture:
        return [np.asarray(picture.convert(mode)).squeeze() for mode in ("L", "RGB")]


def _rle_files() -> list[Files]:
    others = "".join(f"image{number}, -1\n" for number in range(20))
    texts = [
        f"{header}\na, 2 3 4 1\n{others}a, 0 1\n"
        for header in ("ImageId, EncodedPixels", "ImageId,EncodedPixels")
    ]
    return [{"a.csv": text.encode()} for text in [*texts, texts[0].replace("\n", "\r\n")]]


def _drawn_here(path: Path) -> np.ndarray:
    rle._parsed.cache_clear()  # files of one size, written within a tick of the clock
    return rle.read_rows(path, path.name, "a", (4, 5)).array[:, :, 0].T


def _drawn_literally(path: Path) -> list[np.ndarray]:
    """A pixel at a time, down the columns, over what Python's csv reads."""
    rows = list(
        csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), skipinitialspace=True)
    )
    picture = np.zeros((4, 5), np.uint8)
    for row in rows:
        fields = {(key or "").strip(): value for key, value in row.items() if key}
        if (fields["ImageId"] or "").strip() != "a" or fields["EncodedPixels"].strip() == "-1":
            continue
        numbers, place = [int(text) for text in fields["EncodedPixels"].split()], 0
        while numbers:
            place += numbers.pop(0)
            for _ in range(numbers.pop(0)):
                picture[place % 4, place // 4] = 1
                place += 1
    return [picture]


def _archive_files(ending: str) -> list[Files]:
    members = {"a.txt": b"first", "f/b.bin": RNG.bytes(300), "f/c.txt": bytes(200)}
    return [{f"a{ending}": archive(ending, one)} for one in (members, {"x/y.nii": RNG.bytes(90), **members})]


def _unpacked(path: Path) -> tuple[dict[str, bytes], int]:
    """The members that came out sound, and how many were left out, with a line for each."""
    folder = path.parent / "out"
    folder.mkdir()
    problems = extract(path, path.name, folder)
    for problem in problems:
        one_line(problem, path.name)
    found = {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}
    return found, len(problems)


def _members_by_library(path: Path) -> list[dict[str, bytes]]:
    """All that the format's own library reads of it, the first where a name comes twice."""
    reads = {".zip": _zip_members, ".7z": _seven_members, ".rar": _rar_members}.get(path.suffix, _tar_members)
    found: dict[str, bytes] = {}
    for name, read in reads(path):
        place = inside(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        try:
            content = read()
        except Exception:  # noqa: BLE001 (what the library can't read says nothing)
            continue
        if place:
            found.setdefault(place, content)
    return [found]


Members = Iterator[tuple[str, Callable[[], bytes]]]


def _zip_members(path: Path) -> Members:
    with zipfile.ZipFile(path) as opened:
        for info in opened.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise ValueError("zipfile follows no links")
            if not info.is_dir():
                yield info.filename, lambda info=info: opened.read(info)  # type: ignore[misc]


def _tar_members(path: Path) -> Members:
    with tarfile.open(path) as opened:
        for info in opened:
            if not info.isdir():
                yield info.name, lambda info=info: opened.extractfile(info).read()  # type: ignore[misc]


def _rar_members(path: Path) -> Members:
    with rarfile.RarFile(path) as opened:
        for info in opened.infolist():
            if info.is_symlink():
                raise ValueError("rarfile follows no links")
            if info.is_file():
                yield info.filename, lambda info=info: opened.read(info)  # type: ignore[misc]


def _seven_members(path: Path) -> Members:
    factory = BytesIOFactory(2**20)
    with py7zr.SevenZipFile(path) as opened:
        opened.extractall(factory=factory)
    for name, content in factory.products.items():
        yield name, content.read


def _fuzzed() -> dict[str, Fuzzed]:
    found = {
        "nifti": Fuzzed(lambda: _nifti_files(".nii"), _volume, _by_nibabel),
        "nifti gz": Fuzzed(lambda: _nifti_files(".nii.gz"), _volume, _by_nibabel),
        "analyze": Fuzzed(_analyze_files, _volume, _pair_by_nibabel),
        "dicom": Fuzzed(_dicom_files, _pages, _by_pydicom),
        "dicom coded": Fuzzed(_coded_dicom_files, _pages, _by_pydicom_or_gdcm),
        "dicom_seg": Fuzzed(_segmentation_files, _segment, _segment_by_pydicom),
        "stack": Fuzzed(_stack_files, _stacked, _stacked_by_pydicom),
        "tiff": Fuzzed(_tiff_files, _pages, _by_tifffile),
        "rle": Fuzzed(_rle_files, _drawn_here, _drawn_literally),
    }
    for ending in (".mha", ".mhd", ".zraw", ".nrrd", ".nhdr"):
        found[f"itk {ending}"] = Fuzzed(partial(_itk_files, ending), _volume, _by_itk)
    for ending in ("png", "jpg", "bmp", "gif", "ppm", "ppm.gz"):
        found[f"picture {ending}"] = Fuzzed(partial(_picture_files, ending), _pages, _by_pillow)
    for ending in (".zip", ".tar", ".tar.gz", ".7z", ".rar"):
        found[f"archive {ending}"] = Fuzzed(partial(_archive_files, ending), _unpacked, _members_by_library)
    return found


#: Reader and container → how it is tested.
FUZZED = _fuzzed()


def same(found: Any, allowed: list[Any]) -> bool:
    """Whether it is one of what is allowed: the same numbers, of a volume also in the same type and place; of
    members whether each is the library's and none is lost.
    """
    if isinstance(found, tuple):
        members, left_out = found
        known = allowed[0]
        return len(known) <= len(members) + left_out and all(known.get(n) == members[n] for n in members)
    if isinstance(found, Volume):
        return any(
            _equal(found.array.squeeze(), one.array.squeeze()) and _alike(found, one) for one in allowed
        )
    return any(_equal(found, one) for one in allowed)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f" == other.dtype.kind)


def _alike(one: Volume, other: Volume) -> bool:
    if one.array.dtype != other.array.dtype:
        return False
    return (
        one.affine is None
        or other.affine is None
        or np.allclose(one.affine, other.affine, rtol=1e-6, atol=1e-3)
    )
