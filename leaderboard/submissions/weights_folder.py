"""The weights of submissions, `state/weights/<sum of its tensors>.safetensors`, each file once."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cosmos1050k.errors import InputError
from leaderboard.store.files import sync_folder

#: What arrived and is not yet checked lies here, beside `weights`: on the same disk, so that it is renamed.
INCOMING, WEIGHTS = "incoming", "weights"
#: Seconds after which what is left in `incoming`, or belongs to no submission, is of who was killed.
_ABANDONED_S = 24 * 3600.0


class WeightsFolder:
    """Where weights lie; who calls holds a lock, so that none is forgotten while it is taken in again."""

    def __init__(self, state: Path) -> None:
        self._incoming, self._weights = state / INCOMING, state / WEIGHTS

    def incoming(self, name: str) -> Path:
        """Where a file is put that is to be checked."""
        self._make(self._incoming)
        return self._incoming / f"{name}.safetensors"

    def path(self, tensors_sha256: str) -> Path:
        return self._weights / f"{tensors_sha256}.safetensors"

    def receive(self, upload: Path, name: str) -> Path:
        """Moves a whole file to where it is checked.

        Raises:
            InputError: the disk is full, or the folder can't be written.
        """
        target = self.incoming(name)
        try:
            shutil.move(upload, target)
        except OSError as error:
            with suppress(OSError):  # what can't be written may not let anything be removed
                target.unlink(missing_ok=True)
            raise InputError(f"{target.parent}: can't be written ({error.strerror}); make room") from None
        return target

    def keep(self, file: Path, tensors_sha256: str) -> None:
        """Puts a file that was checked in its place; it is on the disk when this returns.

        Raises:
            InputError: the disk does not take it.
        """
        self._make(self._weights)
        try:
            with file.open("rb") as written:
                os.fsync(written.fileno())
            file.replace(self.path(tensors_sha256))
            sync_folder(self._weights)
        except OSError as error:
            raise InputError(f"{self._weights}: can't be written ({error.strerror}); make room") from None

    def sweep(self, uses: Callable[[str], int]) -> None:
        """Removes what a killed process left behind: files of a day ago that no submission needs."""
        old = time.time() - _ABANDONED_S
        for path in [*self._incoming.glob("*"), *self._weights.glob("*.safetensors")]:
            needed = path.parent == self._weights and uses(path.stem)
            if not needed and path.stat().st_mtime < old:
                path.unlink()

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: can't be written ({error.strerror}); mend it") from None
