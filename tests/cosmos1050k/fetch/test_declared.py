"""What a source declares of its files: closed, complete, and over the registry such that a user gets them."""

from typing import Any

import pytest
from pydantic import ValidationError

from cosmos1050k import sources
from cosmos1050k.source import Download, Source


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        *(({"file": file}, "none hidden") for file in ("", "/a", "../a", "a//b", "./a", "a/.b")),
        ({"url": "ftp://a.b/c.zip"}, "url"),
        ({"url": "https://a.b/c d.zip"}, "url"),
        ({"sha256": "12"}, "sha256"),
        ({"varies": True, "md5": "0" * 32}, "what varies has no sum"),
        ({"size": 3}, "size"),
    ],
)  # fmt: skip
def test_a_download_with_a_mistake_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Download(**{"file": "a/b.zip", **wrong})


@pytest.mark.parametrize(
    ("downloads", "steps", "message"),
    [
        ((), "", "say in steps how to get"),
        (({"file": "a"},), "", "say in steps how to get"),
        (({"file": "a", "url": "https://b.c/a"}, {"file": "b"}), "", "say in steps how to get"),
        (({"file": "a", "optional": True, "url": "https://b.c/a"},), "", "say in steps how to get"),
        (({"file": "a"}, {"file": "a"}), "Ask.", "its download a is listed twice"),
        (({"file": "a", "url": "https://b.c/a"}, {"file": "b", "optional": True}), "", None),
        ((), "Ask.", None),
    ],
)
def test_a_source_says_how_it_is_had(downloads: tuple[Any, ...], steps: str, message: str | None) -> None:
    given = {**sources.get("drive").SOURCE.model_dump(), "downloads": downloads, "steps": steps}
    if message is None:
        assert all(download.url for download in Source(**given).needed)
    else:
        with pytest.raises(ValidationError, match=message):
            Source(**given)


@pytest.mark.parametrize("slug", sources.slugs())
def test_access_fits_the_files(slug: str) -> None:
    source = sources.get(slug).SOURCE
    addressed = any(download.url for download in source.downloads)
    if source.access == "direct":
        assert addressed
    elif source.access == "package":
        assert source.needed
        assert not addressed
    else:
        assert source.steps
    if source.steps:
        assert source.steps[0].isupper()
        assert source.steps.endswith(".")
        assert "--from" not in source.steps  # which `cosmos fetch` adds
