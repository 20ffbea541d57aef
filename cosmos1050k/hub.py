"""Sends releases to repositories of the Hugging Face Hub, in parts, so that a killed run can go on.

Each part is one commit or a few; what the Hub has is not sent again; the version's tag is set last. Tested
with `HF_HUB_DISABLE_XET=1` against a server on this machine that speaks the calls used. The Hub itself, and
uploads through Xet, which `huggingface_hub` takes where it is installed, could not be tested.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cosmos1050k.errors import InputError
from cosmos1050k.publishing import MARK, File, Part, Release

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.hf_api import RepoFile

#: Files of a commit; the Hub asks for fewer than 100.
COMMIT_FILES = 50
_KIND = "dataset"
_MAIN = "main"
#: The Hub's own file, made with the repository: which files are large.
_ATTRIBUTES = ".gitattributes"
_AGAIN = "run the same again: what has arrived stays"


@dataclass(frozen=True)
class _Repository:
    """A repository as it was found: the last commit of `main` and its files, whether the release is there."""

    name: str
    exists: bool = False
    head: str | None = None
    files: Mapping[str, "RepoFile"] = field(default_factory=dict)
    done: bool = False


def checked(repo: str) -> str:
    """The name of a repository, as the Hub takes it: its owner's and its own.

    Raises:
        InputError: it is none.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if repo.count("/") != 1:
        raise InputError(f"--repo {repo}: give an owner and a name, such as lab/cosmos1050k")
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise InputError(f"--repo {repo}: {_one_line(error)}") from None
    return repo


def publish(wanted: Mapping[str, Release], *, private: bool = False) -> Iterator[str]:
    """Sends each release to its repository; yields a line for what was done.

    All repositories are looked at before anything is sent to one. One that holds files is refused if they are
    not marked as a release's of this kind, or are none.
    What was published earlier and is not in the release is removed from `main` first; its tags keep it.

    Args:
        private: a repository that is made is private, and one that is public is refused.

    Raises:
        InputError: there is no token, the Hub can't be asked or refuses, a file is not as it was built, the
            version's tag is there with other content, or a repository is of something else.
    """
    from huggingface_hub import HfApi, get_token

    token = get_token()
    if token is None:
        raise InputError("the Hub asks who you are: run `hf auth login`, or set HF_TOKEN")
    api = HfApi(token=token)
    with _quiet():
        # One without parts would empty its repository.
        whole = {name: release for name, release in wanted.items() if release.parts}
        found = [_look(api, name, release, private) for name, release in whole.items()]
        for repository, release in zip(found, whole.values(), strict=True):
            yield from _Sending(api, repository, release).send(private)


def _look(api: "HfApi", repo: str, release: Release, private: bool) -> _Repository:
    from huggingface_hub.errors import RepositoryNotFoundError

    with _told(api, repo, "asking for it"):
        try:
            refs = api.list_repo_refs(repo, repo_type=_KIND)
        except RepositoryNotFoundError:
            return _Repository(repo)
        if private and not api.dataset_info(repo).private:
            raise InputError(
                f"{repo}: is there, and public; make it private at the Hub, or leave out --private"
            )
    tags = {one.name: one.target_commit for one in refs.tags}
    head = next((one.target_commit for one in refs.branches if one.name == _MAIN), None)
    files = _files(api, repo, head) if head else {}
    # By the mark, not by names: others call theirs `data/…` and `README.md`, too.
    if (held := sorted(files.keys() - {_ATTRIBUTES})) and not _same(release.files[MARK], files.get(MARK)):
        raise InputError(
            f"{repo}: holds {held[0]} and isn't marked as one that this publishes ({MARK}); give another "
            "repository, or empty it there"
        )
    if release.tag in tags:
        if other := _differing(release, _files(api, repo, tags[release.tag])):
            raise InputError(
                f"{repo}: {release.tag} is published already, with other content ({other[0]}"
                f"{f' and {len(other) - 1} more' if other[1:] else ''}); publish this with "
                f"`--edition {_next_edition(release.tag, tags)}`"
            )
        return _Repository(repo, exists=True, done=True)
    if foreign := [name for name in held if not release.owns(name)]:
        raise InputError(
            f"{repo}: holds {foreign[0]}, which is nothing that this publishes; give another repository, or "
            "remove it there"
        )
    return _Repository(repo, exists=True, head=head, files=files)


class _Sending:
    """One release on its way to one repository."""

    def __init__(self, api: "HfApi", repository: _Repository, release: Release) -> None:
        self._api, self._release = api, release
        self._repo, self._found = repository.name, repository
        self._head = repository.head

    def send(self, private: bool) -> Iterator[str]:
        tag = self._release.tag
        if self._found.done:
            yield f"{self._repo}: {tag} is there already; nothing was sent"
            return
        if not self._found.exists:
            yield self._make(private)
        there = self._found.files
        yield from self._remove(sorted(there.keys() - self._release.files.keys() - {_ATTRIBUTES}))
        for part in self._release.parts:
            yield self._part(part, there)
        self._verify()
        with _told(self._api, self._repo, f"setting the tag {tag}"):
            self._api.create_tag(self._repo, tag=tag, revision=self._head, repo_type=_KIND)
        yield f"{self._repo}: complete, tag {tag}"

    def _make(self, private: bool) -> str:
        with _told(self._api, self._repo, "making it"):
            # Without a word the Hub decides as its owner set it: public, for most.
            self._api.create_repo(self._repo, repo_type=_KIND, private=private or None)
            refs = self._api.list_repo_refs(self._repo, repo_type=_KIND)
        self._head = next((one.target_commit for one in refs.branches if one.name == _MAIN), None)
        return f"{self._repo}: made{', private' if private else ''}"

    def _remove(self, names: Sequence[str]) -> Iterator[str]:
        from huggingface_hub import CommitOperationDelete

        for place in range(0, len(names), COMMIT_FILES):
            few = names[place : place + COMMIT_FILES]
            self._commit([CommitOperationDelete(name) for name in few], "removing files")
        if names:
            yield f"{self._repo}: files removed {len(names)}; earlier commits keep them"

    def _part(self, part: Part, there: Mapping[str, "RepoFile"]) -> str:
        from huggingface_hub import CommitOperationAdd

        lacking = [file for file in part.files if not _same(file, there.get(file.name))]
        for place in range(0, len(lacking), COMMIT_FILES):
            few = lacking[place : place + COMMIT_FILES]
            for file in few:
                file.check()
            added = [CommitOperationAdd(file.name, file.content) for file in few]
            self._commit(added, f"sending {part.name}")
        size = sum(file.size for file in lacking)
        return f"{self._repo}: {part.name}: files sent {len(lacking)} of {len(part.files)}, bytes {size:,}"

    def _commit(self, operations: Sequence["CommitOperationAdd | CommitOperationDelete"], doing: str) -> None:
        with _told(self._api, self._repo, doing):
            # Named, its parent makes the Hub refuse where somebody else committed meanwhile.
            done = self._api.create_commit(
                self._repo,
                list(operations),
                commit_message=f"{self._release.tag}: {doing}",
                repo_type=_KIND,
                parent_commit=self._head,
            )
        self._head = done.oid

    def _verify(self) -> None:
        if other := _differing(self._release, _files(self._api, self._repo, self._head)):
            raise InputError(f"{self._repo}: {other[0]} is not there as it was sent; {_AGAIN}")


def _files(api: "HfApi", repo: str, revision: str | None) -> dict[str, "RepoFile"]:
    """Name → file of a repository at a commit."""
    from huggingface_hub.hf_api import RepoFile

    with _told(api, repo, "listing its files"):
        tree = api.list_repo_tree(repo, recursive=True, revision=revision, repo_type=_KIND)
        return {one.path: one for one in tree if isinstance(one, RepoFile)}


def _differing(release: Release, there: Mapping[str, "RepoFile"]) -> list[str]:
    """The names of files that are not there, are others, or should not be there."""
    files = release.files
    other = [name for name, file in files.items() if not _same(file, there.get(name))]
    return other + sorted(there.keys() - files.keys() - {_ATTRIBUTES})


def _same(file: File, there: "RepoFile | None") -> bool:
    from huggingface_hub.utils.sha import git_hash

    if there is None or there.size != file.size:
        return False
    if there.lfs:
        return there.lfs.sha256 == file.sha256
    with file.opened() as stream:  # small: the Hub keeps it as it is
        return there.blob_id == git_hash(stream.read())


def _next_edition(tag: str, tags: Mapping[str, str]) -> int:
    version = tag.partition(".")[0]
    found = (re.fullmatch(rf"{version}(?:\.(\d+))?", name) for name in tags)
    return 1 + max(int(match[1] or 1) for match in found if match)


@contextmanager
def _told(api: "HfApi", repo: str, doing: str) -> Iterator[None]:
    """Turns what the Hub and the way to it can raise into one line, without the token."""
    from httpx2 import HTTPError

    try:
        yield
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        # The library wraps an upload's own error into one that only names the file.
        reason = _one_line(error.__cause__ or error if type(error) is RuntimeError else error)
        reason = reason.replace(str(api.token), "…")
        raise InputError(f"{repo}: {doing} failed ({reason}); {_AGAIN}") from None


def _one_line(error: BaseException) -> str:
    """Its text on one line; of addresses without the query, which may be signed."""
    text = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]*", r"\1", text)[:300]


@contextmanager
def _quiet() -> Iterator[None]:
    """The library's remarks on each try are not shown, and its bars only on a terminal."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
        logging,
    )

    level, bars = logging.get_verbosity(), not are_progress_bars_disabled()
    logging.set_verbosity_error()
    if bars and not sys.stderr.isatty():
        disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars and not sys.stderr.isatty():
            enable_progress_bars()
