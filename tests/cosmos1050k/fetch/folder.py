"""A source's raw folder, what is fetched or placed into it, and what lies there afterwards."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

from cosmos1050k import sources
from cosmos1050k.fetch import plan
from cosmos1050k.fetch.download import Patience
from tests.cosmos1050k.fetch.site import zipped

SLUG = "kvasir_seg"
RAW = sources.RAW / SLUG
HASTY = Patience(connect_s=10, stall_s=0.5, tries=2, backoff_s=0.01, longest_s=2)
Declare = Callable[..., None]


def sums(content: bytes) -> dict[str, str]:
    return {name: hashlib.new(name, content).hexdigest() for name in ("sha256", "md5")}


def packed(**files: bytes) -> bytes:
    return zipped(files or {"a": random.Random(0).randbytes(200_000)})


ZIP = packed()


def fetched() -> list[tuple[str, str]]:
    return [(event.file, event.word) for event in plan.fetch(SLUG, HASTY)]


def placed(*files: Path | str, anew: bool = False) -> list[plan.Event]:
    return list(plan.place(SLUG, [Path(file) for file in files], anew))


def the_failure(events: list[plan.Event]) -> str:
    (event,) = events
    assert event.word == "failed"
    assert "\n" not in event.detail
    return f"{event.file}: {event.detail}"


def lying() -> list[str]:
    """All files below data/raw, but for locks."""
    found = (path for path in sources.RAW.rglob("*") if not path.is_dir() and path.suffix != ".lock")
    return sorted(str(path.relative_to(sources.RAW)) for path in found)


def written(path: str, content: bytes) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content)
    return Path(path)
