"""What of a build may be passed on, as the files of a repository, and the recipe for what may not.

Only what a manifest lists goes: no stray file, no source whose licence forbids it, nothing synthetic.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

from cosmos1050k import card, sources
from cosmos1050k.errors import InputError
from cosmos1050k.shards import CASES, Manifest, dataset_version, load_manifest
from cosmos1050k.source import Source
from cosmos1050k.units import MANIFEST

PAGE = "README.md"
RECIPES = "RECIPES.md"
#: In a repository that holds something: only with this file, as `mark` writes it, is it one of ours.
MARK = "cosmos1050k.json"
#: What goes along as it lies beside the card: the loading script, what it imports, the works to cite.
_BESIDE = ("CITATIONS.bib", "loading_script.py", "schema.py")
#: Before this heading of a card stands what is said of the repository alone.
_LOADING = "\n## Loading\n"
#: An absolute path, up to what ends a phrase: it may hold spaces. No address, and not the rest of `a/b`.
_PATH = re.compile(r"(?:\bfile://|(?<![\w./]))/(?=[^\s/])(?:(?!: )[^;,)'\"])*")


@dataclass(frozen=True)
class File:
    """A file of a repository: its name there, what it holds, how many bytes, and their sha256."""

    name: str
    content: Path | bytes
    size: int
    sha256: str

    def opened(self) -> io.BytesIO | io.BufferedReader:
        """What it holds now.

        Raises:
            InputError: it can't be read.
        """
        return io.BytesIO(self.content) if isinstance(self.content, bytes) else _opened(self.content)

    def check(self) -> None:
        """That it still holds what it should.

        Raises:
            InputError: it does not, or can't be read.
        """
        with self.opened() as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != self.sha256:
                raise InputError(f"{self.content!s}: damaged, or changed meanwhile; make it again")


@dataclass(frozen=True)
class Part:
    """Files that belong together: a source's, a model's, or the card and what stands beside it."""

    name: str
    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Stays:
    """What does not go, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Release:
    """A repository's whole content, in the order in which it is sent: the mark first, the card last. Without
    parts there is nothing to send. `pattern`: the names of what any release of this kind may hold below its
    top.
    """

    tag: str
    pattern: str
    parts: tuple[Part, ...]
    stays: tuple[Stays, ...]

    def owns(self, name: str) -> bool:
        """Whether a file of this name is of this release or of another of its kind."""
        return name in self.files or re.fullmatch(self.pattern, name) is not None

    @cached_property
    def files(self) -> dict[str, File]:
        return {file.name: file for part in self.parts for file in part.files}

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)


def mark(holds: str) -> Part:
    """What tells a repository that this made from any other; the same for all versions of what it `holds`."""
    told = {"made_by": "cosmos publish", "holds": holds, "next_version": "removes files that it has not"}
    return Part("mark", (written(MARK, json.dumps(told, indent=1) + "\n"),))


def without_paths(text: str) -> str:
    """A text without the absolute paths in it, which say whose machine it is of."""
    return _PATH.sub("…", text)


def tag(manifests: Mapping[str, Manifest], edition: int = 1) -> str:
    """What a published version is called: the version of the real sources of a build, those that stay
    included, with `.2` and so on for its further editions.
    """
    version = dataset_version({slug: one.version for slug, one in manifests.items() if not one.phantom})
    return version if edition == 1 else f"{version}.{edition}"


def dataset(slugs: Sequence[str], data: Path, repo: str, edition: int = 1) -> Release:
    """What goes of the built sources `slugs`, whose folders lie in `data`, to the repository `repo`.

    Raises:
        InputError: one of them is not built or damaged, or none may go.
    """
    manifests = {slug: load_manifest(data / slug) for slug in slugs}
    stays = {slug: reason for slug, one in manifests.items() if (reason := _reason(one))}
    goes = [slug for slug in slugs if slug not in stays]
    if not goes:
        first = "; ".join(f"{slug}: {reason}" for slug, reason in stays.items())
        raise InputError(f"nothing may be published ({first}); build a source that may be passed on")
    name = tag(manifests, edition)
    parts = [Part(slug, tuple(_built(data / slug, manifests[slug]))) for slug in goes]
    real = [slug for slug in stays if not manifests[slug].phantom]
    page = inserted(_card(goes, data, manifests), _here(repo, name, real))
    beside = [placed(one, card.CARD.with_name(one)) for one in _BESIDE]
    beside += [made(one, content) for one, content in card.beside(goes, data).items()]
    texts = [written(PAGE, page), written(RECIPES, _recipes(goes, manifests))]
    return Release(
        name,
        rf"(data/[a-z0-9_]+|{card.ASSETS})/.+",
        (mark("images of COSMOS 1050K"), *parts, Part("card", (*beside, *texts))),
        tuple(Stays(slug, reason) for slug, reason in stays.items()),
    )


def _reason(manifest: Manifest) -> str:
    """Why a built source stays; empty: it goes."""
    source = sources.get(manifest.source).SOURCE
    if manifest.phantom:
        return "a phantom: its files are synthetic"
    return "" if source.redistributable else f"may not be passed on ({source.licence})"


def _built(folder: Path, manifest: Manifest) -> Iterator[File]:
    """The files of a built source."""
    for shard in manifest.shards:
        file = placed(f"data/{folder.name}/{shard.file}", folder / shard.file, shard.sha256)
        if file.size != shard.bytes:
            raise InputError(f"{folder / shard.file}: damaged; build the source again")
        yield file
    yield placed(f"data/{folder.name}/{CASES}", folder / CASES)
    told = _told(manifest)
    name = f"data/{folder.name}/{MANIFEST}"
    as_it_is = placed(name, folder / MANIFEST)
    yield as_it_is if told == manifest else written(name, told.model_dump_json(indent=1) + "\n")


def _told(manifest: Manifest) -> Manifest:
    """A manifest whose reasons name no place on the machine that built it."""
    skipped = [
        one.model_copy(update={"case": without_paths(one.case), "reason": without_paths(one.reason)})
        for one in manifest.skipped
    ]
    excluded = [one.model_copy(update={"reason": without_paths(one.reason)}) for one in manifest.excluded]
    return manifest.model_copy(update={"skipped": tuple(skipped), "excluded": tuple(excluded)})


def _card(slugs: Sequence[str], data: Path, manifests: Mapping[str, Manifest]) -> str:
    """The card, its reasons told as the manifests that go tell them."""
    page = card.render(slugs, data)
    for manifest in (manifests[slug] for slug in slugs):
        told = _told(manifest)
        for one, other in zip(manifest.skipped, told.skipped, strict=True):
            page = page.replace(_shown(f"{one.case}: {one.reason}"), _shown(f"{other.case}: {other.reason}"))
        for was, now in zip(manifest.excluded, told.excluded, strict=True):
            page = page.replace(_shown(was.reason), _shown(now.reason))
    return page


def _shown(text: str) -> str:
    return escape(text, quote=False)  # as the card writes it


def placed(name: str, path: Path, sha256: str | None = None) -> File:
    """A file that lies at `path`; without its sum, as it is now.

    Raises:
        InputError: it can't be read.
    """
    with _opened(path) as stream:
        found = sha256 or hashlib.file_digest(stream, "sha256").hexdigest()
        return File(name, path, os.fstat(stream.fileno()).st_size, found)


def written(name: str, text: str) -> File:
    return made(name, text.encode())


def made(name: str, content: bytes) -> File:
    """A file of these bytes."""
    return File(name, content, len(content), hashlib.sha256(content).hexdigest())


def _opened(path: Path) -> io.BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); make it again") from None


def inserted(page: str, section: str) -> str:
    """A card with a section of its repository's own before `Loading`."""
    before, heading, after = page.partition(_LOADING)
    return f"{before}\n{section}{heading}{after}"


def _here(repo: str, name: str, stays: Sequence[str]) -> str:
    left = (
        f" Of the same version are {', '.join(f'`{slug}`' for slug in stays)}, whose images are not here."
        if stays
        else ""
    )
    return f"""## This repository

It holds the sources above, at the tag `{name}`.{left} [{RECIPES}]({RECIPES}) says of each source of the
paper that is not here how to get its files and build it.

```python
from datasets import load_dataset

dataset = load_dataset("{repo}", revision="{name}")
```

Or take a copy, for the lines below:

```bash
hf download {repo} --repo-type dataset --revision {name} --local-dir cosmos1050k
```
"""


def _recipes(goes: Sequence[str], manifests: Mapping[str, Manifest]) -> str:
    """How to build each source that is not in the repository."""
    real = [found for slug in sources.slugs() if (found := sources.get(slug).SOURCE).package is None]
    sections = [_recipe(source, manifests.get(source.slug)) for source in real if source.slug not in goes]
    head = (
        "# What is not here\n\nEach owner's terms hold. Get the files as said, then build the source with "
        "the project. A version is a checksum over the rows' content: where it is equal, rows are equal.\n"
    )
    return "\n".join([head, *sections])


def _recipe(source: Source, manifest: Manifest | None) -> str:
    passed = "may be passed on" if source.redistributable else "may not be passed on"
    lines = [
        f"licence: {source.licence}; its images {passed}",
        *([source.steps] if source.steps else []),
        *(f"<{download.url}>" for download in source.needed if download.url),
        f"`cosmos fetch {source.slug}` gets the files, or says how and places those that you downloaded",
        f"`cosmos build {source.slug}`",
        *([f"version `{manifest.version}`"] if manifest and not manifest.phantom else []),
        f"to cite: {source.citation}",
    ]
    steps = "\n".join(f"- {line}" for line in lines)
    return f"## {source.name}: `{source.slug}`\n\n<{source.homepage}>\n\n{steps}\n"
