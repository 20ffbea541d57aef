"""A file's first bytes against its name: files of the formats' own libraries pass, others don't."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import py7zr
import pytest
import tifffile
from PIL import Image

from cosmos1050k.fetch import kinds
from tests.cosmos1050k import archive_files


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
NOISE = random.Random(0).randbytes(100_000)


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


@pytest.mark.parametrize("ending", [".zip", ".7z", ".rar", ".tar", ".tar.gz"])
@pytest.mark.parametrize("members", [{"a": NOISE}, {"a": NOISE, "b": b"1", "c": bytes(4096)}])
def test_an_archive_comes_to_its_end_or_is_cut(
    tmp_path: Path, ending: str, members: dict[str, bytes]
) -> None:
    path, content = tmp_path / "file", archive_files.archive(ending, members)
    path.write_bytes(content)
    assert kinds.ends(path) is True
    for cut in (500, len(content) // 2, 60_000, 99_000):
        path.write_bytes(content[:cut])
        assert kinds.ends(path) is False


def test_what_marks_no_end_is_not_known_to_be_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (NOISE, b"", FILES[".csv"], FILES[".png"], FILES[".bz2"]):
        path.write_bytes(content)
        assert kinds.ends(path) is None
    old = archive_files.rar({"a": NOISE})
    path.write_bytes(old[: -len(b"\x1d\x77\x56\x51\x03\x05\x04\x00")])  # as before version 3
    assert kinds.ends(path) is None


def test_a_gzip_file_that_is_damaged_has_no_end(tmp_path: Path) -> None:
    path, content = tmp_path / "file", bytearray(gzip.compress(NOISE))
    for place in (len(content) // 2, -6):
        spoilt = content.copy()
        spoilt[place] ^= 255
        path.write_bytes(spoilt)
        assert kinds.ends(path) is False
