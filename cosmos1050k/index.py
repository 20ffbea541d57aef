"""What lies in a source's raw folder: `data/raw/<slug>.json`, on which its build depends."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from tqdm import tqdm

from cosmos1050k import archives, disk, release, sources
from cosmos1050k.errors import InputError
from cosmos1050k.source import Source


class RawFile(BaseModel):
    """One raw file: its name relative to the source's folder, its size in bytes and its sha256."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    size: int
    sha256: str


#: A file of this name, anywhere in a release, marks it as synthetic.
PHANTOM = "PHANTOM"


class RawIndex(BaseModel):
    """All raw files of a source, sorted by name, and of those that can't be read, why. Without place or time:
    equal files give equal indices.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: str
    files: tuple[RawFile, ...]
    unreadable: dict[str, str] = {}

    @cached_property
    def sums(self) -> dict[str, str]:
        return {file.name: file.sha256 for file in self.files}

    @property
    def phantom(self) -> bool:
        return any(Path(file.name).name == PHANTOM for file in self.files)

    @cached_property
    def sizes(self) -> dict[str, int]:
        return {file.name: file.size for file in self.files}


#: Of a file: its size, its modification time in ns, its sha256.
Look = tuple[int, int, str]
#: Absolute path → what need not be hashed again.
_Seen = TypeAdapter(dict[str, Look])
_UNSEEN = (-1, 0, "")


def path_of(slug: str) -> Path:
    return sources.RAW / f"{slug}.json"


def load(slug: str) -> RawIndex:
    """The written index of a source.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = path_of(slug)
    try:
        return RawIndex.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: missing; run `cosmos index {slug}`") from None
    except ValidationError:
        raise InputError(f"{path}: damaged; run `cosmos index {slug}` to write it again") from None


def write(slug: str) -> RawIndex:
    """Indexes a source's folder and writes `data/raw/<slug>.json` where its content changed."""
    found = scan(sources.get(slug).SOURCE)
    disk.replace_text(path_of(slug), found.model_dump_json(indent=1) + "\n")
    return found


def scan(source: Source, raw: Path | None = None, memory: Path | None = None) -> RawIndex:
    """Indexes the files of a source; one is hashed only if its size or time changed since it was last seen.

    Args:
        raw: the folder, if it is not the source's usual one.
        memory: what was seen before, by default `data/raw/.<slug>.seen`.
    """
    root = sources.raw_root(source, raw)
    if source.package is not None and raw is None:
        found = _shipped(source, root)
    else:
        archives.unpack(root)
        found = release.files(root)
    memory = memory or _memory_of(source.slug)
    known = _remembered(memory)

    def look(name: str) -> tuple[RawFile | OSError, tuple[str, Look]]:
        try:
            look = looked(found[name], known)
        except OSError as error:  # costs the cases that need it, and no other
            return error, (str(found[name].absolute()), _UNSEEN)
        return RawFile(name=name, size=look[0], sha256=look[2]), (str(found[name].resolve()), look)

    with ThreadPoolExecutor() as threads:
        looks = list(
            tqdm(threads.map(look, found), total=len(found), desc=f"index {source.slug}", disable=None)
        )
    disk.replace_text(memory, _Seen.dump_json({**known, **dict(entry for _, entry in looks)}).decode())
    return RawIndex(
        source=source.slug,
        files=tuple(file for file, _ in looks if isinstance(file, RawFile)),
        unreadable={
            name: str(error.strerror)
            for name, (error, _) in zip(found, looks, strict=True)
            if isinstance(error, OSError)
        },
    )


def looked(path: Path, known: dict[str, Look]) -> Look:
    """Looks at a file, which is hashed only if its size or time is not as known.

    Raises:
        OSError: it can't be read.
    """
    path = path.resolve()  # not by way of a link, which may lead elsewhere next time
    stat = path.stat()
    look = known.get(str(path))
    if look and look[:2] == (stat.st_size, stat.st_mtime_ns):
        return look
    with path.open("rb") as stream:
        return stat.st_size, stat.st_mtime_ns, hashlib.file_digest(stream, "sha256").hexdigest()


def seen(slug: str) -> dict[str, Look]:
    """Absolute path → what the last index of a source saw there."""
    return _remembered(_memory_of(slug))


def _memory_of(slug: str) -> Path:
    return sources.RAW / f".{slug}.seen"


def _shipped(source: Source, root: Path) -> dict[str, Path]:
    """A package holds other things too, so only what the source names."""
    named = sorted(download.file for download in source.downloads)
    return {name: root / name for name in named if (root / name).is_file()}


def _remembered(memory: Path) -> dict[str, Look]:
    try:
        return _Seen.validate_json(memory.read_bytes())
    except (FileNotFoundError, ValidationError):  # a lost memory costs hashing, nothing else
        return {}
