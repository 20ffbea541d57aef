"""How the address of a file's page becomes that of the file, at the hosts where releases lie."""

import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urljoin, urlsplit, urlunsplit

from cosmos1050k.errors import InputError

_DRIVE = "https://drive.usercontent.google.com/download"


def plain(url: str) -> str:
    """The address that answers with the file itself; one of an unknown host stays as it is.

    Known are Zenodo, figshare, GitHub (a file, or a whole repository as a zip), public files of Google Drive,
    Dropbox and Hugging Face.

    Raises:
        InputError: a page of such a host that is no single file's.
    """
    host = (urlsplit(url).hostname or "").removeprefix("www.")
    for known, rule in _RULES.items():
        if host == known or host.endswith(f".{known}"):
            return rule(url)
    return url


def _zenodo(url: str) -> str:
    path = urlsplit(url).path
    if match := re.fullmatch(r"/records?/(\d+)/files/([^/]+)", path):
        return f"https://zenodo.org/records/{match[1]}/files/{match[2]}?download=1"
    if re.fullmatch(r"/api/records/\d+/files/[^/]+/content", path):
        return url
    raise _no_file(url)


def _figshare(url: str) -> str:
    parts = urlsplit(url)
    number = parse_qs(parts.query).get("file", [""])[0]
    if match := re.fullmatch(r"(?:/ndownloader)?/files/(\d+)", parts.path):
        number = match[1]
    if not number.isdecimal():
        raise _no_file(url)
    return f"https://ndownloader.figshare.com/files/{number}"


def _github(url: str) -> str:
    path = urlsplit(url).path.removesuffix("/").removesuffix(".git")
    if match := re.fullmatch(r"(/[^/]+/[^/]+)/(?:blob|raw)/(.+)", path):
        return f"https://github.com{match[1]}/raw/{match[2]}"  # which leads on, also to what Git LFS keeps
    if match := re.fullmatch(r"(/[^/]+/[^/]+)(?:/tree/([^/]+))?", path):
        return f"https://github.com{match[1]}/archive/{match[2] or 'HEAD'}.zip"
    if re.fullmatch(r"/[^/]+/[^/]+/(?:archive|releases/download)/.+", path):
        return url
    raise _no_file(url)


def _drive(url: str) -> str:
    parts = urlsplit(url)
    match = re.search(r"/file/d/([\w-]+)", parts.path)
    number = match[1] if match else parse_qs(parts.query).get("id", [""])[0]
    if not number or "/folders/" in parts.path:
        raise _no_file(url)
    return f"{_DRIVE}?{urlencode({'id': number, 'export': 'download', 'confirm': 't'})}"


def _dropbox(url: str) -> str:
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), "dl": "1"}
    return urlunsplit(parts._replace(query=urlencode(query)))


def _hugging_face(url: str) -> str:
    parts = urlsplit(url)
    match = re.fullmatch(r"((?:/datasets|/spaces)?/[^/]+/[^/]+)/(?:blob|resolve)/(.+)", parts.path)
    if match is None:
        raise _no_file(url)
    return f"https://huggingface.co{match[1]}/resolve/{match[2]}"


_RULES = {
    "zenodo.org": _zenodo,
    "figshare.com": _figshare,
    "github.com": _github,
    "drive.google.com": _drive,
    "docs.google.com": _drive,
    "drive.usercontent.google.com": _drive,
    "dropbox.com": _dropbox,
    "huggingface.co": _hugging_face,
}


def _no_file(url: str) -> InputError:
    return InputError(f"{url}: no address of one file; open it in a browser and download from there")


class _Page(HTMLParser):
    """A page's title, and the form of Google Drive that asks whether to download what it did not scan."""

    def __init__(self) -> None:
        super().__init__()
        self.title, self.action, self.fields = "", "", dict[str, str]()
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._in_title = tag == "title"
        if tag == "form" and given.get("id") == "download-form":
            self.action = given.get("action", "")
        if tag == "input" and self.action and given.get("type") == "hidden":
            self.fields[given.get("name", "")] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data


def title(page: str) -> str:
    """The title of a page, on one line; empty if it has none."""
    parser = _Page()
    parser.feed(page)
    return " ".join(parser.title.split())[:100]


def confirmed(page: str, url: str) -> str | None:
    """Where the button "download anyway" of Google Drive's page at `url` leads; None of any other page."""
    parser = _Page()
    parser.feed(page)
    if not parser.action:
        return None
    action = urljoin(url, parser.action)
    if urlsplit(action).netloc != urlsplit(url).netloc:
        return None
    return f"{action}?{urlencode(parser.fields, quote_via=quote)}"
