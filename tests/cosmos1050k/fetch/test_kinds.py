"""A file's first bytes against its name: files of the formats' own libraries pass, others don't."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import py7zr
import pytest
import tifffile
from PIL import Image

from cosmos1050k.fetch import kinds


def written() -> dict[str, bytes]:
    """Ending → a small file of that kind."""
    text, pixels = b"a,b\n1,2\n", np.arange(64, dtype=np.uint8).reshape(8, 8)
    files = {".csv": text, ".txt": text, ".json": b"{}"}
    files |= {".gz": gzip.compress(text), ".nii.gz": gzip.compress(text)}
    files |= {".bz2": bz2.compress(text), ".xz": lzma.compress(text)}
    for ending, kind in ((".png", "PNG"), (".jpg", "JPEG"), (".gif", "GIF"), (".bmp", "BMP")):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind)
        files[ending] = stream.getvalue()
    for ending, big in ((".tif", False), (".tiff", True)):
        stream = io.BytesIO()
        tifffile.imwrite(stream, pixels, bigtiff=big)
        files[ending] = stream.getvalue()
    for ending, mode in ((".tar", "w"), (".tgz", "w:gz"), (".tar.bz2", "w:bz2"), (".tar.xz", "w:xz")):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
            member = tarfile.TarInfo("a.csv")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
        files[ending] = stream.getvalue()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.csv", text)
    files[".zip"] = stream.getvalue()
    stream = io.BytesIO()
    with py7zr.SevenZipFile(stream, "w") as seven:
        seven.writestr(text.decode(), "a.csv")
    files[".7z"] = stream.getvalue()
    return files


FILES = written()


@pytest.mark.parametrize("ending", FILES)
def test_a_file_is_what_its_name_says(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[ending])
    assert kinds.problem(path, f"a{ending}") is None
    assert kinds.problem(path, f"A{ending.upper()}") is None


@pytest.mark.parametrize("ending", FILES)
def test_a_page_and_an_empty_file_are_nothing(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbf \n<!doctype HTML><html>")
    assert kinds.problem(path, f"a{ending}") == "it is a web page"
    path.write_bytes(b"")
    assert kinds.problem(path, f"a{ending}") == "it is empty"


@pytest.mark.parametrize(
    ("ending", "other", "said"),
    [
        (".zip", ".7z", "it is no zip archive"),
        (".7z", ".zip", "it is no 7z archive"),
        (".rar", ".zip", "it is no rar archive"),
        (".tar", ".zip", "it is no tar archive"),
        (".nii.gz", ".zip", "it is no gzip file"),
        (".png", ".jpg", "it is no PNG picture"),
        (".csv", ".zip", "it is no text"),
    ],
)
def test_one_kind_is_not_another(tmp_path: Path, ending: str, other: str, said: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[other])
    assert kinds.problem(path, f"a{ending}") == said


def test_a_compressed_tar_may_be_called_tar(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[".tgz"])
    assert kinds.problem(path, "a.tar") is None


def test_a_zip_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[".zip"][:-30])
    assert kinds.problem(path, "a.zip") == "it is cut off: a zip archive without its end"
