"""One archive into one folder: zip, tar (plain, gzip, bzip2, xz), 7z and rar."""

import bz2
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import py7zr
import rarfile
from isal import igzip, isal_zlib
from py7zr.helpers import get_sanitized_output_path
from py7zr.io import Py7zIO, WriterFactory
from tqdm import tqdm

from cosmos1050k.errors import BadFile
from cosmos1050k.members import BY_HAND, Damaged, Member, Passing, Target, inside, printable
from cosmos1050k.readers import AGAIN
from cosmos1050k.readers.messages import shown

_CHUNK = 2**20
#: No path and no header is longer: what claims to be is not read.
_LONGEST_LINK = 4096
_LONGEST_HEADER = 2**26
#: First bytes of a compressed tar → what opens it.
_COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": igzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
#: What zipfile, tarfile, py7zr, rarfile and their decompressors raise for damaged archives.
_DAMAGED = (
    Damaged, zipfile.BadZipFile, tarfile.TarError, py7zr.exceptions.ArchiveError, rarfile.Error, zlib.error,
    isal_zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, TypeError, LookupError,
    AttributeError, AssertionError, OverflowError, RuntimeError,
)  # fmt: skip


def extract(archive: Path, name: str, folder: Path) -> list[BadFile]:
    """Writes an archive's members into an empty folder, dated like the archive.

    Args:
        archive: its ending says what it is; how a tar is compressed, its first bytes.
        name: what messages call it.

    Returns:
        A line for each member left out; all others are whole.

    Raises:
        Passing: a tool or room on the disk is missing, or the archive can't be read.
        BadFile: damaged, encrypted, or a bomb: what was written of it is of no use.
    """
    ending = archive.name.lower().rpartition(".")[2]
    unpack = {"zip": _zip, "7z": _seven, "rar": _rar}.get(ending, _tar)
    with tqdm(desc=f"unpack {name}", unit="B", unit_scale=True, disable=None) as bar:
        try:
            target = Target(archive, name, folder, bar)
            unpack(archive, target)
            target.settle_links()
        except rarfile.RarCannotExec:
            remedy = f"install unrar, unar, 7z or bsdtar, or {BY_HAND}"
            raise Passing(name, "compressed RAR, for which a tool is needed", remedy) from None
        except _DAMAGED as error:  # type: ignore[misc]  # isal's stub
            raise BadFile(name, f"damaged archive ({shown(error)})", AGAIN) from None
        except OSError as error:
            if error.errno is None:  # of a decompressor
                raise BadFile(name, f"damaged archive ({shown(error)})", AGAIN) from None
            problem = f"can't be unpacked ({error.strerror})"
            raise Passing(name, problem, "make room, or change its permissions") from None
    return target.problems


@contextmanager
def _alone(target: Target, member: Member) -> Iterator[None]:
    """Where each member is packed by itself, a damaged one leaves the others sound."""
    try:
        yield
    except NotImplementedError as error:
        target.leave_out(member.name, f"is packed in an unknown way ({shown(error)})", BY_HAND)
    except rarfile.RarCannotExec:
        raise
    except _DAMAGED as error:  # type: ignore[misc]  # isal's stub
        target.leave_out(member.name, f"is damaged ({shown(error)})", AGAIN)
    except OSError as error:
        if error.errno is not None:
            raise
        target.leave_out(member.name, f"is damaged ({shown(error)})", AGAIN)


def _zip(path: Path, target: Target) -> None:
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if any(info.flag_bits & 1 for info in infos):
            raise target.bad("encrypted", BY_HAND)
        members = [_zip_member(info) for info in infos]
        target.expect(members)
        for info, member in zip(infos, members, strict=True):
            kind = stat.S_IFMT(info.external_attr >> 16)
            with _alone(target, member):
                if kind == stat.S_IFLNK:
                    with archive.open(info) as stream:
                        target.link(member.name, stream.read(_LONGEST_LINK).decode())
                elif kind in (0, stat.S_IFREG):
                    target.copy(member, lambda info=info: archive.open(info))  # type: ignore[misc]
                else:
                    target.leave_out(member.name, "is no file")


def _zip_member(info: zipfile.ZipInfo) -> Member:
    deflated = info.compress_size if info.compress_type == zipfile.ZIP_DEFLATED else None
    return Member(info.filename, info.file_size, deflated)


def _rar(path: Path, target: Target) -> None:
    with rarfile.RarFile(path, errors="strict") as archive:
        if archive.needs_password():
            raise target.bad("encrypted", BY_HAND)
        infos = [info for info in archive.infolist() if not info.is_dir()]
        members = [Member(info.filename, info.file_size) for info in infos]
        target.expect(members)
        for info, member in zip(infos, members, strict=True):
            with _alone(target, member):
                if info.is_symlink():
                    target.link(member.name, _rar_link(archive, info))
                elif info.is_file():
                    target.copy(member, lambda info=info: archive.open(info))  # type: ignore[misc]
                else:
                    target.leave_out(member.name, "is no file")


def _rar_link(archive: rarfile.RarFile, info: rarfile.RarInfo) -> str:
    """Where a link leads: version 5 says it in the header, earlier ones in the content."""
    if info.file_redir:
        return str(info.file_redir[2])
    with archive.open(info) as stream:
        return str(stream.read(_LONGEST_LINK).decode())


class _Watched:
    """A stream that gives tarfile no more at once than a header can need, and knows what it gave last."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.tell, self.seek, self._read, self.last = stream.tell, stream.seek, stream.read, b""

    def read(self, size: int) -> bytes:
        if size > _LONGEST_HEADER:
            raise Damaged(f"a header of {size} bytes")
        self.last = self._read(size)
        return self.last


def _tar(path: Path, target: Target) -> None:
    with path.open("rb") as file:
        start = file.read(6)
        file.seek(0)
        opened = next((_COMPRESSED[magic] for magic in _COMPRESSED if start.startswith(magic)), None)
        stream = opened(file) if opened else file
        watched: Any = _Watched(stream)
        with tarfile.open(fileobj=watched, mode="r:") as archive:
            for info in archive:
                _tar_member(archive, info, target)
        # To tarfile the end of the data is the end of the archive, and so is a damaged header.
        if len(watched.last) != tarfile.BLOCKSIZE or any(watched.last):
            raise Damaged("truncated: nothing marks its end")
        while stream.read(_CHUNK):  # the checksum comes last
            pass


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo, target: Target) -> None:
    name = info.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if info.isdir():
        return
    if info.issym() or info.islnk():
        target.link(name, info.linkname, hard=info.islnk())
    elif info.isfile():
        member = Member(name, info.size)
        target.expect([member])
        target.copy(member, lambda: archive.extractfile(info) or io.BytesIO())
    else:
        target.leave_out(name, "is no file")


def _seven(path: Path, target: Target) -> None:
    with path.open("rb") as file:
        try:
            archive = py7zr.SevenZipFile(file)  # of an open file it makes no threads
        except py7zr.exceptions.PasswordRequired:
            raise target.bad("encrypted", BY_HAND) from None
        if archive.password_protected:
            raise target.bad("encrypted", BY_HAND)
        infos = [info for info in archive.files if not info.is_directory]
        target.expect([Member(info.filename, info.uncompressed) for info in infos])
        folder = target.folder.absolute()
        wanted: dict[str, Any] = {}
        for info in infos:
            if inside(info.filename) is None:
                target.leave_out(info.filename, "leads out of the archive")
            elif not (info.is_file or info.is_symlink):
                target.leave_out(info.filename, "is no file")
            else:
                place = get_sanitized_output_path(info.filename, folder).as_posix()
                if wanted.setdefault(place, info) is not info:
                    raise Damaged(f"its member {printable(info.filename)} is in it twice")
        names = {info.filename for info in wanted.values()}
        archive.extract(folder, names, factory=_SevenFactory(target, wanted))


class _SevenFactory(WriterFactory):
    """Gives py7zr, member after member, what it writes to."""

    def __init__(self, target: Target, wanted: dict[str, Any]) -> None:
        self._target, self._wanted = target, wanted

    def create(self, filename: str) -> Py7zIO:
        return _SevenMember(self._target, self._wanted[filename])


class _SevenMember(Py7zIO):
    """A file or link that py7zr writes in pieces and closes only if its checksum is right."""

    def __init__(self, target: Target, info: Any) -> None:
        self._target, self._info = target, info
        self._to = b""
        self._writer = None if info.is_symlink else target.open(Member(info.filename, info.uncompressed))

    def write(self, s: bytes | bytearray) -> int:
        if self._info.is_symlink:
            self._to = (self._to + s)[:_LONGEST_LINK]
        elif self._writer is not None:
            self._writer.write(bytes(s))
        return len(s)

    def close(self) -> None:
        if self._info.is_symlink:
            self._target.link(self._info.filename, self._to.decode())
        elif self._writer is not None:
            self._writer.close()

    def read(self, size: int | None = None) -> bytes:
        return b""  # nobody reads what was written

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset  # called before closing

    def flush(self) -> None:
        """All is written at once."""

    def size(self) -> int:
        return 0
