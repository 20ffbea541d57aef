"""What the form says, as a declaration, and the file that was sent with it."""

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

from app.submit.layout import FILE
from leaderboard.contamination import How
from leaderboard.submissions.declared import Architecture, Declared, parsed
from leaderboard.submissions.refusals import Refused

#: Fields of the form that are fields of a declaration, as they are.
_TEXTS = ("name", "licence", "contact", "link", "description")
_CHOSEN = ("architecture", "preprocessing", "candidates", "made_for")
#: What is said of a field that was left empty.
_ASKED = {
    "name": "give the model a name",
    "licence": "say under which licence the weights may be used",
    "contact": "say how whoever runs this server reaches you, such as an e-mail address",
}
_HOWS: tuple[How, ...] = ("train", "all", "unknown")


def defaults(architecture: Architecture) -> Declared:
    """A declaration with what an architecture's own model has where nothing else is said."""
    return Declared.model_validate(
        {"name": "any", "architecture": architecture, "licence": "any", "contact": "any"}
    )


def declared(given: Mapping[str, Any]) -> Declared:
    """What the form says.

    Args:
        given: the form's values by the names of `layout.FormPart`; anybody may have made them up.

    Raises:
        Refused: something is missing, unknown or unfit.
    """
    texts = {name: str(given[name] or "").strip() for name in _TEXTS}
    for name, asked in _ASKED.items():
        if not texts[name]:
            raise Refused("declaration", f"{name}: {asked}")
    said = {**texts, **{name: given[name] for name in _CHOSEN}, "trained_on": _trained_on(given)}
    if given["where"] != FILE:
        said["weights"] = _at_hub(given)
    return parsed(json.dumps(said))


@contextmanager
def sent(file: Any) -> Iterator[Path]:
    """A copy of the file that a page says it has sent: the desk moves what it gets, and after a refusal the
    same file is submitted again.

    Raises:
        Refused: none was sent, or it is no longer there.
        OSError: the disk is full.
    """
    if not file:
        raise Refused("declaration", "weights: choose a file, or name a repository")
    folder = Path(get_upload_folder()).resolve()
    path = Path(str(file.get("path") if isinstance(file, dict) else "")).resolve()
    if not path.is_relative_to(folder) or not path.is_file():  # a client may name any
        raise Refused("declaration", "weights: the file is no longer here; choose it again")
    copy = folder / f"{secrets.token_hex(16)}.safetensors"
    try:
        shutil.copyfile(path, copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _trained_on(given: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, How] = {}
    for how in _HOWS:
        for slug in map(str, given[how] if isinstance(given[how], list) else ()):
            if slug in told:
                raise Refused("declaration", f"trained on: {slug} is named twice; name it once")
            told[slug] = how
    return {"others": given["others"], "sources": told}


def _at_hub(given: Mapping[str, Any]) -> dict[str, str]:
    repo, _, revision = str(given["repository"] or "").strip().partition("@")
    if not repo:
        raise Refused("declaration", "weights: name a repository of the Hub, such as org/name@revision")
    file = str(given["hub_file"] or "").strip()
    return {"repo": repo, "revision": revision or "main", "file": file}
