"""Small synthetic releases in the owners' layouts: `python -m tests.phantoms --out DIR [SLUG…]` writes them.

One module per source, made from what is published of the release (layout, container, dtype, label values,
quirks) and not from the source's adapter, so that one can be held against the other.
"""

import importlib
import pkgutil
from pathlib import Path

from tests.phantoms.truth import TrueRow

#: Not sources: what the modules of the sources share.
SHARED = {
    "__main__", "anatomy", "brain", "containers", "endoscopy", "fundus", "heart", "histology",
    "pelvis", "radiograph", "torso", "truth", "volumes",
}  # fmt: skip
MARKER = "PHANTOM"


def slugs() -> list[str]:
    """The sources that have a phantom, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED)


def write(slug: str, folder: Path, patients: int = 3, seed: int = 0) -> list[TrueRow]:
    """Writes the release of one source into `folder` and marks every folder of it, so that a part taken out
    of it is marked too; returns the rows it must give.

    Args:
        patients: patients, videos or pictures; a release of one specimen has more slices instead.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[TrueRow] = importlib.import_module(f"{__name__}.{slug}").write(folder, patients, seed)
    for part in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        (part / MARKER).write_text(f"Synthetic files in the layout of {slug}; they show no patient.\n")
    return rows
