"""Parts and wholes: what is gone on with, which version a part is of, where a body ends, its encoding."""

import gzip
import random
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos1050k.fetch.download import Downloader, Patience
from tests.cosmos1050k.fetch.one_file import CONTENT, OTHER, downloader, fetched, refused
from tests.cosmos1050k.fetch.site import File, Handler, Site, running


@pytest.mark.parametrize("more", [{"ranges": False}, {"etag": None}, {"etag": 'W/"1"'}])
def test_what_cannot_be_gone_on_with_is_not_promised(
    site: Site, tmp_path: Path, more: dict[str, object]
) -> None:
    site.put("/a.bin", CONTENT, script=[site.cut(100_000)] * 99, **more)
    assert refused(site, tmp_path).endswith("3 times in a row; fetch again later")


def test_a_server_that_says_that_it_gives_no_parts(site: Site, tmp_path: Path) -> None:
    def cut(handler: Handler, file: File) -> None:
        handler.send_response(200)
        for name, value in (
            ("ETag", '"1"'),
            ("Accept-Ranges", "none"),
            ("Content-Length", str(len(CONTENT))),
        ):
            handler.send_header(name, value)
        handler.end_headers()
        handler.body(CONTENT, 100_000, False)

    site.put("/a.bin", CONTENT, script=[cut] * 99)
    assert "kept" not in refused(site, tmp_path)
    assert {request.range for request in site.requests} == {None}


@pytest.mark.parametrize("more", [{"ranges": False}, {"etag": None}, {"etag": 'W/"1"'}])
def test_where_it_cannot_be_gone_on_with_it_begins_anew(
    site: Site, tmp_path: Path, more: dict[str, object]
) -> None:
    site.put("/a.bin", CONTENT, script=[site.cut(100_000)], **more)
    assert fetched(site, tmp_path) == CONTENT
    assert site.served == [100_000, len(CONTENT)]


def test_the_time_of_the_last_change_serves_too(site: Site, tmp_path: Path) -> None:
    modified = formatdate(1e9, usegmt=True)
    site.put("/a.bin", CONTENT, etag='W/"1"', modified=modified, script=[site.cut(100_000)])
    assert fetched(site, tmp_path) == CONTENT
    assert site.served == [100_000, len(CONTENT) - 100_000]
    assert site.requests[1].if_range == modified


def test_two_versions_are_never_mixed(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT, script=[site.cut(100_000), site.change(OTHER, '"2"')])
    assert fetched(site, tmp_path) == OTHER


MODIFIED = formatdate(1e9, usegmt=True)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"etag": '"1"', "modified": MODIFIED}, {"etag": '"2"', "modified": MODIFIED}),
        ({"etag": None, "modified": MODIFIED}, {"etag": None, "modified": formatdate(2e9, usegmt=True)}),
    ],
)
def test_a_part_of_another_version_is_not_taken_though_the_size_is_the_same(
    site: Site, tmp_path: Path, first: dict[str, str], then: dict[str, str]
) -> None:
    other = random.Random(1).randbytes(len(CONTENT))

    def careless(handler: Handler, file: File) -> None:
        """Gives the part that is asked for, whatever `If-Range` says."""
        site.files["/a.bin"] = file = File(other, **then)  # type: ignore[arg-type]
        handler.asked.if_range = None
        handler.answer(file)

    site.put("/a.bin", CONTENT, script=[site.cut(100_000), careless], **first)
    assert fetched(site, tmp_path) == other
    assert [request.range for request in site.requests] == [None, "bytes=100000-", None]


def test_a_part_that_does_not_say_of_which_version_it_is_is_taken(site: Site, tmp_path: Path) -> None:
    def brief(handler: Handler, file: File) -> None:
        handler.asked.if_range = None
        handler.answer(File(file.content, etag=None))

    site.put("/a.bin", CONTENT, script=[site.cut(100_000), brief])
    assert fetched(site, tmp_path) == CONTENT
    assert sum(site.served) == len(CONTENT)


def test_another_address_begins_anew(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT, script=[site.cut(100_000), *[site.status(500)] * 9])
    refused(site, tmp_path)
    site.put("/b.bin", OTHER)
    assert fetched(site, tmp_path, "/b.bin") == OTHER
    assert site.requests[-1].range is None


def test_a_part_that_was_not_asked_for_is_not_taken(site: Site, tmp_path: Path) -> None:
    def shifted(handler: Handler, file: File) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 50000-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.send_header("Content-Length", str(len(CONTENT) - 50_000))
        handler.end_headers()
        handler.body(CONTENT[50_000:], None, False)

    site.put("/a.bin", CONTENT, script=[site.cut(100_000), shifted])
    assert fetched(site, tmp_path) == CONTENT
    assert site.requests[-1].range is None


def test_chunks_without_a_length(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT, chunked=True, script=[site.cut(100_000)])
    assert fetched(site, tmp_path) == CONTENT
    assert sum(site.served) == len(CONTENT)
    assert fetched(site, tmp_path) == CONTENT  # its size was not said: the server must say that it is whole
    assert site.requests[-1].range == f"bytes={len(CONTENT)}-"
    assert site.served[-1] == 0


def test_a_server_that_says_no_length_and_hangs_up_at_the_end(site: Site, tmp_path: Path) -> None:
    def old(handler: Handler, file: File) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.body(CONTENT, len(CONTENT), False)

    site.put("/a.bin", CONTENT, script=[old])
    one = downloader(tmp_path)
    one(site.url("/a.bin"), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert len(site.requests) == 1
    assert not one.sure


@pytest.mark.parametrize("more", [{}, {"chunked": True}, {"encoding": "gzip", "chunked": True}])
def test_where_a_server_tells_the_end_it_is_known(
    site: Site, tmp_path: Path, more: dict[str, object]
) -> None:
    site.put("/a.bin", gzip.compress(CONTENT) if "encoding" in more else CONTENT, **more)
    one = downloader(tmp_path)
    one(site.url("/a.bin"), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert one.sure


def test_an_encoding_is_undone_but_for_a_file_s_own(site: Site, tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT)
    site.put("/a.csv", packed, encoding="gzip")
    assert fetched(site, tmp_path, "/a.csv", "a.csv") == CONTENT
    site.put("/a.nii.gz", packed, encoding="gzip")
    assert fetched(site, tmp_path, "/a.nii.gz", "a.nii.gz") == packed


def test_an_encoded_body_without_its_end_is_not_taken(site: Site, tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT[:100_000]) + gzip.compress(
        CONTENT[100_000:]
    )  # of two members, as is allowed

    def old(handler: Handler, most: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        handler.body(packed, most, False)

    for most in (150_000, 250_000, len(packed) - 1):
        site.put("/a.bin", b"", script=[lambda handler, _, most=most: old(handler, most)] * 9)
        assert refused(site, tmp_path).endswith("the answer is cut off, 3 times in a row; fetch again later")
    site.files["/a.bin"].script[:] = [lambda handler, _: old(handler, 150_000)]
    site.files["/a.bin"].script.append(lambda handler, _: old(handler, len(packed)))
    assert fetched(site, tmp_path) == CONTENT


def test_an_encoding_that_is_none_or_unknown(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT, encoding="gzip")
    assert "incorrect header check, 3 times in a row" in refused(site, tmp_path)
    site.put("/a.bin", CONTENT, encoding="br")
    assert "sends it as br, which was not asked for; get it by hand" in refused(site, tmp_path)
    site.put("/a.bin", CONTENT, encoding="aws-chunked", script=[site.cut(100_000)])
    assert fetched(site, tmp_path) == CONTENT
    assert site.served[-1] == len(CONTENT) - 100_000


FAULTS = st.lists(
    st.one_of(
        st.integers(0, 3000).map(lambda most: ("cut", most)),
        st.sampled_from([500, 503, 429]).map(lambda code: ("status", code)),
        st.integers(0, 2).map(lambda version: ("change", version)),
        st.sampled_from([("forget", 0), ("page", 0)]),
    ),
    max_size=8,
)


@given(FAULTS, st.booleans())
@settings(max_examples=40)
def test_whatever_happens_one_version_comes_out_whole(
    tmp_path_factory: pytest.TempPathFactory, faults: list[tuple[str, int]], chunked: bool
) -> None:
    versions = [bytes([65 + version]) * (5000 + version) for version in range(3)]
    folder, out = tmp_path_factory.mktemp("any"), tmp_path_factory.mktemp("out") / "a.bin"
    with running() as site:

        def step(fault: str, number: int) -> object:
            def forget(handler: Handler, file: File) -> None:
                file.etag = None
                handler.answer(file, 1000)

            if fault == "change":
                return site.change(versions[number], f'"{number}"')
            if fault == "cut":
                return site.cut(number)
            return forget if fault == "forget" else site.status(number or 500)

        script = [step(*fault) for fault in faults]
        file = site.put("/a.bin", versions[0], etag='"0"', chunked=chunked, script=script)
        patience = Patience(tries=20, backoff_s=0.001, longest_s=0.01)
        Downloader("a.bin", folder / "part", patience)(site.url("/a.bin"), out)
        assert out.read_bytes() == file.content
