"""The downloader against a server that cuts, stalls, lies and changes its mind: the bytes come out right."""

import gzip
import random
import socket
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos1050k.errors import InputError
from cosmos1050k.fetch.download import Downloader, Patience
from tests.cosmos1050k.fetch.site import File, Handler, Site, running

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


def test_a_whole_file_takes_one_request_and_a_second_call_none(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT)
    assert fetched(site, tmp_path) == CONTENT
    assert fetched(site, tmp_path) == CONTENT  # the part is there, whole: as after a kill before the check
    assert site.served == [len(CONTENT)]


def test_a_cut_file_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT, script=[site.cut(100_000), site.cut(0), site.cut(50_001)])
    assert fetched(site, tmp_path) == CONTENT
    assert sum(site.served) == len(CONTENT)  # no byte twice
    assert [request.range for request in site.requests] == [
        None, "bytes=100000-", "bytes=100000-", "bytes=150001-",
    ]  # fmt: skip
    assert {request.if_range for request in site.requests[1:]} == {'"1"'}


def test_progress_makes_patience_anew(site: Site, tmp_path: Path) -> None:
    cuts = 10 * HASTY.tries
    site.put("/a.bin", CONTENT, script=[site.cut(1000)] * cuts)
    assert fetched(site, tmp_path) == CONTENT
    assert len(site.requests) == cuts + 1


def test_without_progress_patience_ends_and_what_came_is_kept(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT, script=[site.cut(100_000), *[site.cut(0)] * 10])
    message = refused(site, tmp_path)
    assert "3 times in a row; 100000 bytes are kept, and the next fetch goes on from there" in message
    assert len(site.requests) == 1 + HASTY.tries - 1
    site.files["/a.bin"].script.clear()
    assert fetched(site, tmp_path) == CONTENT
    assert sum(site.served) == len(CONTENT)


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


def test_a_server_that_falls_silent(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT, script=[site.stall(131_072), site.stall(0)])
    assert fetched(site, tmp_path) == CONTENT
    assert sum(site.served) == len(CONTENT)


def test_a_server_that_is_slow_but_not_silent(site: Site, tmp_path: Path) -> None:
    pieces = 5

    def dribble(handler: Handler, file: File) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        for place in range(0, len(CONTENT), len(CONTENT) // pieces):
            handler.body(CONTENT[place : place + len(CONTENT) // pieces], None, False)
            time.sleep(0.4 * HASTY.stall_s)

    site.put("/a.bin", CONTENT, script=[dribble])
    assert fetched(site, tmp_path) == CONTENT
    assert site.served == [len(CONTENT)]


def test_a_server_that_says_no_length_and_hangs_up_at_the_end(site: Site, tmp_path: Path) -> None:
    def old(handler: Handler, file: File) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.body(CONTENT, len(CONTENT), False)

    site.put("/a.bin", CONTENT, script=[old])
    assert fetched(site, tmp_path) == CONTENT
    assert len(site.requests) == 1


def test_errors_that_pass(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT, script=[site.status(500), site.status(503)])
    assert fetched(site, tmp_path) == CONTENT


def test_errors_that_stay(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT, script=[site.status(502)] * 99)
    assert "127.0.0.1: the answer is 502 Bad Gateway, 3 times in a row" in refused(site, tmp_path)
    assert len(site.requests) == HASTY.tries


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (404, "127.0.0.1 has it no longer (404 Not Found)"),
        (410, "no longer (410 Gone)"),
        (403, "refuses it (403 Forbidden); it may want an account"),
        (401, "refuses it (401 Unauthorized)"),
        (400, "answers 400 Bad Request"),
    ],
)
def test_what_will_not_pass_is_asked_once(site: Site, tmp_path: Path, code: int, said: str) -> None:
    site.put("/a.bin", CONTENT, script=[site.status(code)] * 9)
    assert said in refused(site, tmp_path)
    assert len(site.requests) == 1


@pytest.mark.parametrize("code", [429, 503])
def test_a_server_s_wish_to_be_left_alone(site: Site, tmp_path: Path, code: int) -> None:
    site.put("/a.bin", CONTENT, script=[site.status(code, Retry_After="1")])
    assert fetched(site, tmp_path) == CONTENT
    assert site.requests[1].at - site.requests[0].at >= 1


def test_a_wish_for_a_date_and_one_too_long(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT, script=[site.status(429, Retry_After=formatdate(0, usegmt=True))])
    assert fetched(site, tmp_path) == CONTENT  # that date is past
    site.put("/b.bin", CONTENT, script=[site.status(429, Retry_After="3600")])
    assert "wants to be left for 3600 s; fetch again then" in refused(site, tmp_path, "/b.bin", "b.bin")


def test_redirects_are_followed_on_going_on_too(site: Site, tmp_path: Path) -> None:
    for code, path, to in ((301, "/a.bin", "/2"), (302, "/2", "/3"), (307, "/3", "/4"), (308, "/4", "/end")):
        site.put(path, b"", script=[site.status(code, Location=to)] * 2)
    site.put("/end", CONTENT, script=[site.cut(100_000)])
    assert fetched(site, tmp_path) == CONTENT
    assert sum(site.served) == len(CONTENT)
    assert site.requests[-1].range == "bytes=100000-"


def test_a_circle_of_redirects(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", b"", script=[site.status(302, Location="/a.bin")] * 99)
    assert "redirected in a circle" in refused(site, tmp_path)


PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in\n &amp; agree</title></head><body>Who?</body></html>"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text/html; charset=utf-8", "answers with a web page titled 'Sign in & agree', not with the file"),
        ("application/octet-stream", "the answer is a web page, not the file"),
    ],
)
def test_a_page_is_not_the_file(site: Site, tmp_path: Path, kind: str, said: str) -> None:
    site.put("/a.bin", PAGE, kind=kind)
    assert said in refused(site, tmp_path)
    part = tmp_path / "parts/a.bin.part"
    assert not part.exists() or not part.read_bytes()
    assert len(site.requests) == 1


def test_the_form_of_google_drive_is_answered(site: Site, tmp_path: Path) -> None:
    form = (
        '<html><head><title>Google Drive - Virus scan warning</title></head><body><form id="download-form" '
        'action="{}" method="get"><input type="submit" value="Download anyway"/>'
        '<input type="hidden" name="id" value="1a-B"><input type="hidden" name="uuid" value="{}"></form>'
    )
    asks = [form.format("/download", number).encode() for number in (1, 2)]

    def ask(handler: Handler, file: File) -> None:
        handler.answer(File(asks.pop(0), kind="text/html", ranges=False))

    site.put("/a.bin", b"", script=[ask, ask])
    site.put("/download", CONTENT, script=[site.cut(100_000)])
    assert fetched(site, tmp_path) == CONTENT
    assert [request.path for request in site.requests] == [
        "/a.bin", "/download?id=1a-B&uuid=1", "/a.bin", "/download?id=1a-B&uuid=2",
    ]  # fmt: skip
    assert site.served[1] + site.served[3] == len(CONTENT)
    site.put("/b.bin", form.format("http://elsewhere.invalid/", 1).encode(), kind="text/html")
    assert "titled 'Google Drive - Virus scan warning'" in refused(site, tmp_path, "/b.bin", "b.bin")


def test_an_encoding_is_undone_but_for_a_file_s_own(site: Site, tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT)
    site.put("/a.csv", packed, encoding="gzip")
    assert fetched(site, tmp_path, "/a.csv", "a.csv") == CONTENT
    site.put("/a.nii.gz", packed, encoding="gzip")
    assert fetched(site, tmp_path, "/a.nii.gz", "a.nii.gz") == packed


def test_a_file_that_the_disk_cannot_hold(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT, script=[lambda handler, file: handler.answer(file, 0, 10**18)])
    assert "needs 931322574.6 GiB of disk, but" in refused(site, tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_is_full(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/a.bin.part").symlink_to("/dev/full")
    assert "can't be written (No space left on device), 0 bytes are kept; make room" in refused(
        site, tmp_path
    )


def test_nobody_answers(tmp_path: Path) -> None:
    with socket.socket() as held:  # bound, so that nobody else takes the port, but not listening
        held.bind(("127.0.0.1", 0))
        closed = Site(f"http://127.0.0.1:{held.getsockname()[1]}")
        assert "127.0.0.1: Connection refused, 3 times in a row" in refused(closed, tmp_path)


def test_what_is_no_address(tmp_path: Path) -> None:
    assert "leads nowhere" in refused(Site("http://"), tmp_path)


def test_a_server_that_closes_without_an_answer(site: Site, tmp_path: Path) -> None:
    def hang_up(handler: Handler, file: File) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    site.put("/a.bin", CONTENT, script=[hang_up, site.cut(70_000), hang_up])
    assert fetched(site, tmp_path) == CONTENT
    assert sum(site.served) == len(CONTENT)


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
