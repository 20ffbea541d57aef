"""A source's raw files as one tree: its folder, and every archive in it as a folder of the archive's name."""

import os
from pathlib import Path


def files(root: Path) -> dict[str, Path]:
    """Name relative to `root` → where the file lies, sorted by name.

    A link is followed if what it leads to lies below `root` too; others are left out (`leaves`).
    """
    found = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder) / name
            if not (path.is_symlink() and leaves(root, path)):
                found[str(path.relative_to(root))] = path
    return dict(sorted(found.items()))


def leaves(root: Path, path: Path) -> bool:
    """Whether a link below `root` leads out of it."""
    return not path.resolve().is_relative_to(root.resolve())
