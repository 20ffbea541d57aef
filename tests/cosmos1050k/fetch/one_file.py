"""One file from a server by the downloader: what comes of it, or the line that says why it does not."""

import random
from pathlib import Path

import pytest

from cosmos1050k.errors import InputError
from cosmos1050k.fetch.download import Downloader, Patience
from tests.cosmos1050k.fetch.site import Site

CONTENT = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(250_000)
HASTY = Patience(connect_s=10, stall_s=0.5, tries=3, backoff_s=0.01, longest_s=2)


def downloader(tmp_path: Path, name: str = "a.bin") -> Downloader:
    return Downloader(name, tmp_path / "parts" / f"{name}.part", HASTY)


def fetched(site: Site, tmp_path: Path, path: str = "/a.bin", name: str = "a.bin") -> bytes:
    out = tmp_path / f"out-{name}"
    downloader(tmp_path, name)(site.url(path), out)
    return out.read_bytes()


def refused(site: Site, tmp_path: Path, path: str = "/a.bin", name: str = "a.bin") -> str:
    """The message of a download that can't be had: one line that begins with the file."""
    with pytest.raises(InputError) as error:
        fetched(site, tmp_path, path, name)
    assert not (tmp_path / f"out-{name}").exists()
    message = str(error.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    return message
