"""The downloader against a server that cuts, stalls, lies and changes its mind: the bytes come out right."""

import socket
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.cosmos1050k.fetch.one_file import CONTENT, HASTY, fetched, refused
from tests.cosmos1050k.fetch.site import File, Handler, Site


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
        (404, "/a.bin; look for where it lies now, and get it by hand"),
        (404, "127.0.0.1 has it no longer (404 Not Found)"),
        (410, "no longer (410 Gone)"),
        (403, "refuses it (403 Forbidden); it may want an account: get it by hand"),
        (401, "refuses it (401 Unauthorized)"),
        (400, "answers 400 Bad Request; get it by hand"),
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


def test_a_redirect_to_what_is_no_address(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", b"", script=[site.status(302, Location="http://[::bad")])
    said = f"{site.url('/a.bin')} leads on to what is no address (Invalid IPv6 URL); get it by hand"
    assert said in refused(site, tmp_path)


def test_a_circle_of_redirects(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", b"", script=[site.status(302, Location="/a.bin")] * 99)
    assert "redirected in a circle" in refused(site, tmp_path)


PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in\n &amp; agree</title></head><body>Who?</body></html>"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "text/html; charset=utf-8",
            "answers with a web page titled 'Sign in & agree', not with the file; get it by hand",
        ),
        ("application/octet-stream", "the answer is a web page, not the file; get it by hand"),
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


def test_a_file_that_the_disk_cannot_hold(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT, script=[lambda handler, file: handler.answer(file, 0, 10**18)])
    assert "needs 931322574.6 GiB of disk, but" in refused(site, tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_is_full(site: Site, tmp_path: Path) -> None:
    site.put("/a.bin", CONTENT)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/a.bin.part").symlink_to("/dev/full")
    message = refused(site, tmp_path)
    assert "can't be written (No space left on device); make room" in message
    assert "kept" not in message


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
