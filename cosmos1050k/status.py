"""Where a source stands: what it is, what of it is here, what was built, whether that is the reference."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cosmos1050k import reference, sources
from cosmos1050k.errors import InputError
from cosmos1050k.shards import DATA, load_manifest
from cosmos1050k.source import Access, Source


class Status(BaseModel):
    """One source.

    Args:
        labelled: cases of the whole release, as the owner counts them.
        present: whether any raw file is there, as it was downloaded or unpacked.
        downloads_present: how many of the `downloads` files to download are there; unpacked ones are not.
        images: rows of the build; 0 if there is none.
        masks: instances of objects in these.
        version: of the build; empty if there is none.
        verdict: how the build stands to the reference version.
        problem: why the raw files or the build can't be read; mostly empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    slug: str
    name: str
    homepage: str
    licence: str
    redistributable: bool
    access: Access
    modalities: tuple[str, ...]
    pairs: tuple[str, ...]
    labelled: int | None
    note: str
    steps: str
    citation: str
    present: bool
    downloads: int
    downloads_present: int
    images: int
    masks: int
    version: str
    phantom: bool
    verdict: reference.Verdict
    problem: str


def status(slug: str, data: Path = DATA) -> Status:
    """Where one source stands; its raw files are neither read nor counted, which could take minutes."""
    source = sources.get(slug).SOURCE
    present, here, manifest, problem = False, 0, None, ""
    try:
        root = sources.raw_root(source)
        here = sum((root / download.file).is_file() for download in source.needed)
        present = here == len(source.needed) if source.package else _any_file(root)
    except InputError as error:
        problem = str(error)
    except OSError as error:
        problem = f"{error.filename}: can't be read ({error.strerror})"
    if (data / slug).is_dir():
        try:
            manifest = load_manifest(data / slug)
        except InputError as error:
            problem = str(error)
    return Status(
        slug=slug,
        name=source.name,
        homepage=source.homepage,
        licence=source.licence,
        redistributable=source.redistributable,
        access=source.access,
        modalities=source.modalities,
        pairs=source.pairs,
        labelled=source.labelled,
        note=source.note,
        steps=source.steps,
        citation=source.citation,
        present=present,
        downloads=len(source.needed),
        downloads_present=here,
        images=manifest.rows if manifest else 0,
        masks=sum(count.instances for count in manifest.pairs.values()) if manifest else 0,
        version=manifest.version if manifest else "",
        phantom=bool(manifest and manifest.phantom),
        verdict=reference.verdict(slug, manifest),
        problem=problem,
    )


def _any_file(root: Path) -> bool:
    """Whether any file lies below a folder that is not hidden, nor in a hidden folder."""

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for _, folders, names in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if any(not name.startswith(".") for name in names):
            return True
    return False


def usable(source: Source) -> bool:
    """Whether the raw files of a source give any case; unpacks nothing."""
    cases = sources.get(source.slug).cases(sources.raw_root(source))
    return any(not isinstance(case, Exception) for case in cases)
