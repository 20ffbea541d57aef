"""NIfTI, Analyze, MetaImage and NRRD: sound files to mutate, and what nibabel or ITK reads from a file."""

import gzip
import io
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from cosmos1050k import readers
from cosmos1050k.readers import Volume
from tests.cosmos1050k.itk_files import DATA, GZIP, VOXELS, ZLIB, meta, meta_zlib, nrrd
from tests.cosmos1050k.mutations import Files
from tests.cosmos1050k.nifti_files import nifti


def volume(path: Path) -> Volume:
    return readers.read(path, path.name)


def nifti_files(ending: str) -> list[Files]:
    plain = [
        nifti(VOXELS), nifti(VOXELS, order=">"), nifti(VOXELS.astype("f4"), version=2),
        nifti(VOXELS.astype("u1"), scaling=(2.0, -5.0), extension=b"a note"),
    ]  # fmt: skip
    return [{f"a{ending}": gzip.compress(data, mtime=0) if ending == ".nii.gz" else data} for data in plain]


def by_nibabel(path: Path) -> list[Volume]:
    return [_nibabels(nib.load(path))]


def _nibabels(image: Any) -> Volume:
    """Without a place where its slices have no direction: here a 2D file's gets one."""
    flat = image.ndim < 3 or not image.affine[:3, 2].any()
    return Volume(np.asanyarray(image.dataobj), None if flat else image.affine)


def analyze_files() -> list[Files]:
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


def pair_by_nibabel(path: Path) -> list[Volume]:
    """By the class that the magic calls for: of a bare Analyze header, SPM's would read a scale."""
    is_nifti = path.read_bytes()[344:348] == b"ni1\0"
    voxels = path.with_suffix(".img")
    data = (
        voxels.read_bytes() if voxels.is_file() else gzip.decompress(path.with_suffix(".img.gz").read_bytes())
    )
    kind = nib.Nifti1Pair if is_nifti else nib.AnalyzeImage
    held = kind.make_file_map({"header": io.BytesIO(path.read_bytes()), "image": io.BytesIO(data)})
    return [_nibabels(kind.from_file_map(held))]


def itk_files(ending: str) -> list[Files]:
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


def by_itk(path: Path) -> list[Volume]:
    size = re.search(rb"\nCompressedDataSize = (\d+)", path.read_bytes())
    if path.suffix == ".mhd" and size and path.with_suffix(".zraw").stat().st_size > int(size[1]):
        raise ValueError("MetaIO inflates no more of it, and leaves the rest of the voxels unset")
    io_class = "NrrdImageIO" if path.suffix in (".nrrd", ".nhdr") else "MetaImageIO"
    found = read_by_itk(path, io_class)
    array, axes = sitk.GetArrayFromImage(found), found.GetDimension()
    array = array.transpose(*reversed(range(axes)), *range(axes, array.ndim))
    if axes != 3:
        return [Volume(array)]
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(found.GetDirection(), (3, 3)) * found.GetSpacing()
    affine[:3, 3] = found.GetOrigin()
    return [Volume(array, np.diag([-1, -1, 1, 1]) @ affine)]  # its axes run to the left and to posterior


def read_by_itk(path: Path, io_class: str) -> sitk.Image:
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
