"""What every page of a build says: that it is the sample alone, that images are synthetic."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """A sentence to be seen, `strong`, and what follows it, `rest`. Plain text: who shows it escapes it."""

    strong: str
    rest: str

    def __str__(self) -> str:
        return self.strong + self.rest


def notices(sources: Sequence[str], phantoms: Sequence[str]) -> list[Notice]:
    """The notices of a build of `sources`, of which `phantoms` were built from synthetic files."""
    found = [_phantoms(phantoms)] if phantoms else []
    if list(sources) == ["sample"]:
        found.append(
            Notice(
                "This is the sample, not COSMOS 1050K",
                ": slices of one head, the MNI152 template. It shows that everything runs; its numbers say "
                "nothing about a model. It has one patient, and so no interval.",
            )
        )
    return found


def _phantoms(slugs: Sequence[str]) -> Notice:
    *others, last = sorted(slugs)
    names = f"{', '.join(others)} and {last}" if others else last
    be = "are phantoms" if others else "is a phantom"
    return Notice(
        f"Synthetic images: {names} {be}",
        ". The files were drawn in the layout of the real ones and show no patient. Numbers from them say "
        "nothing about a source or a model, and must be neither published nor compared with the paper's.",
    )
