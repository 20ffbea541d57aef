"""A laboratory's raw folder, which is only read, and where the archives in it are unpacked."""

from pathlib import Path

from cosmos1050k import archives, release
from cosmos1050k.errors import BadFile
from tests.cosmos1050k.bad_input import one_line


class Lab:
    """`raw` is a link to where the laboratory keeps the data; `unpacked` is `archives.UNPACKED` meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.raw, self.unpacked = folder / "raw", folder / "unpacked"
        (folder / "share").mkdir()
        self.raw.symlink_to(folder / "share")

    def put(self, name: str, data: bytes) -> Path:
        path = self.raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def unpack(self) -> list[BadFile]:
        """What was wrong, a line each, and known again; nothing is written elsewhere, however briefly."""
        before = self._state()
        problems = archives.unpack(self.raw)
        assert self._state() == before
        assert {path.name for path in self.folder.iterdir()} <= {"raw", "share", "unpacked"}
        assert not any(path.is_symlink() for path in self.unpacked.rglob("*"))
        assert list(map(str, release.problems(self.raw))) == list(map(str, problems))
        for problem in problems:
            one_line(problem, problem.file)
        return problems

    def members(self, stem: str = "a") -> dict[str, bytes]:
        """What the release lists below an archive's name."""
        top = f"{stem}/"
        listed = release.files(self.raw).items()
        return {name.removeprefix(top): path.read_bytes() for name, path in listed if name.startswith(top)}

    def _state(self) -> dict[str, tuple[int, int]]:
        """Sizes and times of all that is in the raw folder; a folder's time tells what was made in it."""
        paths = [self.folder / "share", *(self.folder / "share").rglob("*")]
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


def only(problems: list[BadFile]) -> str:
    (problem,) = problems
    return problem.problem
