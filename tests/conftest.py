"""What several rooms' tests share: the project's folder, a copy to run in, and the sample, built once."""

import multiprocessing
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.cosmos1050k.fetch.site import Site, running
from tests.many import many

# The tests run on every core already; read by torch when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A machine that is busy is no failure: no example has a time limit.
settings.register_profile("untimed", deadline=None, max_examples=max(25, many(100)))
settings.load_profile("untimed")
# Pools of processes, of which the tests start hundreds, begin with what takes seconds to import.
multiprocessing.set_forkserver_preload(
    ["leaderboard.sam.segmenter", "cosmos1050k.build", "leaderboard.evaluate"]
)

ROOT = Path(__file__).resolve().parent.parent


#: What takes longest in one piece begins first: at the end it would run alone.
LONGEST = ("tests/app/test_submitting_live.py", "tests/pipelines/test_repro.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """`datasets` reads this when imported: nothing of the user's cache is used or filled."""
    os.environ["HF_HOME"] = str(tmp_path_factory.mktemp("hf"))


def copy_project(target: Path) -> Path:
    """The project as a clone would have it, the present changes included; nothing that was made in it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=target, check=True)
    return target


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project's folder, in which the test runs."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server on this machine."""
    with running() as started:
        yield started


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the built source `sample`; read it, don't change it."""
    from cosmos1050k import build, index, sources, units

    data = tmp_path_factory.mktemp("data")
    found = index.scan(sources.get("sample").SOURCE, memory=data / "seen")
    build.build("sample", found, data / "sample", store=units.Units("build", data / "units"))
    return data


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """The same, built from a copy of the raw files that is marked as synthetic: `raw/sample`."""
    from cosmos1050k import build, index, sources, units

    source, data = sources.get("sample").SOURCE, tmp_path_factory.mktemp("phantom")
    raw = data / "raw" / "sample"
    raw.mkdir(parents=True)
    for download in source.downloads:
        shutil.copyfile(sources.raw_root(source) / download.file, raw / download.file)
    (raw / index.PHANTOM).write_text("")
    found = index.scan(source, raw, memory=data / "seen")
    store = units.Units("build", sample / "units")  # the cases are the same
    build.build("sample", found, data / "sample", raw=raw, store=store)
    return data
