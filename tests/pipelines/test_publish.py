"""`cosmos publish` against a server that speaks the Hub's calls: what arrives, failures, a second run."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import typer
import yaml
from typer.testing import CliRunner

from cosmos1050k import hub as sending
from cosmos1050k import shards
from leaderboard.models.box import Box
from leaderboard.store.build import BoardOptions
from leaderboard.store.publish import publish as publish_board
from pipelines.cli_publish import publish
from tests.conftest import ROOT
from tests.leaderboard import boards, dataset
from tests.leaderboard.segmenters import guesser
from tests.pipelines.hub import TOKEN, Hub, Repository, Stored, reached, running

REPO, SCORES = "lab/cosmos", "lab/cosmos-scores"
#: By their declarations: two that may be passed on, one that may not, and one that may, of synthetic files.
OPEN, ALSO, CLOSED, PHANTOM = "kits19", "luna16", "brats20", "verse"
DATA = Path("cosmos1050k/data")

#: Of the library's own client, on each upload.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>'")

app = typer.Typer()
app.command()(publish)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with a build of four sources, two models' scores and the board."""
    folder = tmp_path_factory.mktemp("project")
    own = boards.Scored(folder / "made")
    for seed, slug in enumerate((OPEN, CLOSED, PHANTOM, ALSO)):
        own.build(slug, dataset.cases(4, seed=seed, slices=1), phantom=slug == PHANTOM)
    for model in (Box(), guesser("guesser", seed=1, applies=("S2",))):
        own.score(model)
    own.board(options=BoardOptions(bootstrap_draws=100, seed=0))
    publish_board(own.path, folder / "leaderboard/state")
    (folder / "cosmos1050k").mkdir()
    own.data.rename(folder / DATA)
    own.scores.rename(folder / "leaderboard/scores")
    given = yaml.safe_load((ROOT / "params.yaml").read_text())
    given |= {"sources": own.sources, "models": own.models}
    (folder / "params.yaml").write_text(yaml.safe_dump(given))
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the test runs."""
    folder = tmp_path / "project"
    shutil.copytree(made, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The Hub of this process, with a token that it takes; its client waits for nothing between tries."""
    with running() as started:
        reached(started, monkeypatch)
        yield started
    assert not started.wrong


def run(*more: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["--repo", REPO, *more])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    assert TOKEN not in result.output
    assert "signed" not in result.output
    return result.output


def refused(*more: str) -> str:
    """The one line of a refusal, after what was said before it."""
    *_, last = run(*more, status=1).splitlines()
    assert last.startswith("error: ")
    return last


def version(*slugs: str) -> str:
    return shards.dataset_version({slug: shards.load_manifest(DATA / slug).version for slug in slugs})


def built(slug: str) -> dict[str, bytes]:
    """What a built source holds, as a repository names it."""
    return {
        f"data/{path.relative_to(DATA)}": path.read_bytes()
        for path in (DATA / slug).rglob("*")
        if path.is_file()
    }


def complete(hub: Hub, tag: str) -> tuple[Repository, Repository]:
    """Both repositories, after what is there was held against the files here."""
    images, scores = hub.repositories[REPO], hub.repositories[SCORES]
    for repository in (images, scores):
        assert repository.tags[tag] == repository.commits[-1].oid
    there = {name: stored.content for name, stored in images.commits[-1].files.items()}
    beside = {
        name: (ROOT / "cosmos1050k" / name).read_bytes()
        for name in ("CITATIONS.bib", "loading_script.py", "schema.py")
    }
    rendered = {".gitattributes", "README.md", "RECIPES.md", "cosmos1050k.json", "croissant.json"}
    assert rendered < there.keys()
    rendered |= {name for name in there if name.startswith("assets/")}
    assert {name: there[name] for name in there.keys() - rendered} == built(OPEN) | built(ALSO) | beside
    shown = re.findall(r"\]\((assets/[^)]+|[\w.]+)\)", there["README.md"].decode())
    assert there.keys() >= set(shown) >= {"RECIPES.md", "croissant.json"}
    there = {name: stored.content for name, stored in scores.commits[-1].files.items()}
    real = [f"{model}/{slug}" for model in ("box", "guesser") for slug in (OPEN, CLOSED, ALSO)]
    manifests = {"box/manifest.json", "guesser/manifest.json"}
    beside_them = {".gitattributes", "README.md", "cosmos1050k.json"}
    assert there.keys() == {f"{one}.parquet" for one in real} | manifests | beside_them
    for one in real:
        here = Path(f"leaderboard/scores/{one}.parquet").read_bytes()
        assert (there[f"{one}.parquet"] == here) == (CLOSED not in one)
    return images, scores


def test_what_may_go_arrives_whole_and_what_may_not_never_leaves(project: Path, hub: Hub) -> None:
    output = run()
    tag = version(OPEN, CLOSED, ALSO)
    images, scores = complete(hub, tag)
    assert f"{REPO}: complete, tag {tag}" in output
    assert f"stays {CLOSED}: may not be passed on (the owner's data usage terms" in output
    assert f"stays {PHANTOM}: a phantom" in output
    assert not images.private
    # One commit per source, the mark first, the card last.
    assert [one.summary for one in images.commits[1:]] == [
        f"{tag}: sending {part}" for part in ("mark", OPEN, ALSO, "card")
    ]
    shards_of = {slug: set(built(slug).values()) for slug in (CLOSED, PHANTOM)}
    arrived = [set(hub.objects.values()), *({s.content for s in c.files.values()} for c in images.commits)]
    assert not any(found & (shards_of[CLOSED] | shards_of[PHANTOM]) for found in arrived)
    assert PHANTOM not in "".join(scores.commits[-1].files)
    assert PHANTOM.encode() not in scores.commits[-1].files["box/manifest.json"].content
    page = scores.commits[-1].files["README.md"].content.decode()
    assert PHANTOM not in page
    assert "phantom" not in page.lower()
    assert f'load_dataset("{SCORES}", revision="{tag}"' in page
    assert f"stays the owner's patient and image names in scores on {CLOSED}: hashes go instead" in output
    assert any(re.search(r"/lfs/\w+/2$", one.path) for one in hub.asked), "nothing went in pieces"


def test_a_copy_loads(project: Path, hub: Hub, tmp_path: Path) -> None:
    import datasets

    run()
    tag = version(OPEN, CLOSED, ALSO)
    images, scores = (hub.repositories[name].written(tmp_path / name, tag) for name in (REPO, SCORES))
    loaded = datasets.load_dataset(str(images))
    rows = {split: part["image_id"] for split, part in loaded.items()}
    here = [
        row["image_id"]
        for slug in (OPEN, ALSO)
        for path in sorted((DATA / slug).glob("*/*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    assert sorted(one for ids in rows.values() for one in ids) == sorted(here)
    loaded = datasets.load_dataset(str(scores), "box", split="scores").with_format("arrow")[:]
    files = [pq.read_table(f"leaderboard/scores/box/{slug}.parquet") for slug in (OPEN, CLOSED, ALSO)]
    loaded = loaded.cast(files[0].schema)
    first, closed, last = (loaded.filter(pc.equal(loaded["source"], slug)) for slug in (OPEN, CLOSED, ALSO))
    assert first.equals(files[0])
    assert last.equals(files[2])
    assert closed.num_rows == files[1].num_rows > 0
    assert not set(closed["image_id"].to_pylist()) & set(files[1]["image_id"].to_pylist())


def test_the_same_again_changes_nothing_and_says_so(project: Path, hub: Hub) -> None:
    run()
    sent = len(hub.sent())
    output = run()
    tag = version(OPEN, CLOSED, ALSO)
    for name in (REPO, SCORES):
        assert f"{name}: {tag} is there already; nothing was sent" in output
    assert len(hub.sent()) == sent


@pytest.mark.parametrize(
    ("where", "after", "how"),
    [
        (r"PUT /lfs/", 7, "cut"),
        (r"POST .*/tag/", 0, "500"),
        *(
            pytest.param(*given, marks=pytest.mark.slow)
            for given in (
                (r"PUT /lfs/", 0, "500"),
                (r"POST /lfs/\w+/done", 0, "cut"),
                (r"POST .*/commit/", 1, "cut"),
                (r"POST .*/commit/", 3, "500"),
                (r"POST .*/tag/", 1, "cut"),
                (r"POST .*/preupload/", 3, "500"),
                (r"POST /api/repos/create", 1, "500"),
                (r"GET .*/refs", 1, "500"),
                (r"GET .*/tree/", 4, "cut"),
            )
        ),
    ],
)
def test_a_failure_on_the_way_is_one_line_and_the_second_run_ends_complete(
    project: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, where: str, after: int, how: str
) -> None:
    monkeypatch.setattr(sending, "COMMIT_FILES", 3)
    seen: list[str] = []

    def fault(asked: object) -> str | None:
        call = f"{asked.method} {asked.path}"  # type: ignore[attr-defined]
        seen.append(call)
        return how if sum(bool(re.match(where, one)) for one in seen) > after else None

    hub.fault = fault  # type: ignore[assignment]
    line = refused()
    assert re.match(
        rf"error: {REPO}(-scores)?: .* failed \(.+\); run the same again: what has arrived stays$", line
    )
    assert sum(bool(repository.tags) for repository in hub.repositories.values()) < 2
    kept = dict(hub.objects)
    hub.fault = lambda asked: None
    run()
    complete(hub, version(OPEN, CLOSED, ALSO))
    # That no object is sent twice the server sees to; commits, too, are each made once.
    assert kept.items() <= hub.objects.items()
    for repository in hub.repositories.values():
        files = [one.files.keys() for one in repository.commits]
        assert all(old < new for old, new in pairwise(files))


def test_other_content_of_a_published_version_is_refused_or_an_edition(project: Path, hub: Hub) -> None:
    run()
    tag, sent = version(OPEN, CLOSED, ALSO), len(hub.sent())
    path = Path(f"leaderboard/scores/box/{ALSO}.parquet")
    table = pq.read_table(path)
    pq.write_table(table, path, compression="zstd")
    line = refused()
    assert line.startswith(f"error: {SCORES}: {tag} is published already, with other content (")
    assert line.endswith("publish this with `--edition 2`")
    assert len(hub.sent()) == sent
    run("--edition", "2")
    images, scores = complete(hub, f"{tag}.2")
    assert set(scores.tags) == set(images.tags) == {tag, f"{tag}.2"}
    old = scores.at(tag)
    assert old is not None
    assert old.files[f"box/{ALSO}.parquet"].content != path.read_bytes()
    assert "nothing was sent" in run("--edition", "2")


def test_what_is_no_longer_of_the_release_leaves_first(project: Path, hub: Hub) -> None:
    run()
    first = version(OPEN, CLOSED, ALSO)
    images = hub.repositories[REPO]
    given = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(given | {"sources": [OPEN, CLOSED]}))
    shutil.rmtree("leaderboard/state")
    commits = len(images.commits)
    output = run()
    assert "stays scores: there is no board" in output
    assert f"{REPO}: files removed {len(built(ALSO))}; earlier commits keep them" in output
    removed = images.commits[commits]
    assert not any(name.startswith(f"data/{ALSO}/") for name in removed.files)
    assert images.tags.keys() == {first, version(OPEN, CLOSED)}
    assert hub.repositories[SCORES].tags.keys() == {first}  # and what it holds stays
    assert len(hub.repositories[SCORES].commits[-1].files) > 2
    old = images.at(first)
    assert old is not None
    assert built(ALSO).keys() < old.files.keys()


def test_somebody_else_commits_meanwhile(project: Path, hub: Hub) -> None:
    def fault(asked: object) -> None:
        repository = hub.repositories.get(REPO)
        if "/preupload/" in asked.path and repository and len(repository.commits) == 2:  # type: ignore[attr-defined]
            files = repository.commits[-1].files | {"notes.txt": Stored(b"mine", large=False)}
            hub.commit(repository, files, "mine")

    hub.fault = fault  # type: ignore[assignment]
    assert "a commit has happened since" in refused()
    assert not hub.repositories[REPO].tags
    hub.fault = lambda asked: None
    assert refused().startswith(f"error: {REPO}: holds notes.txt, which is nothing that this publishes; ")
    repository = hub.repositories[REPO]
    assert repository.commits[-1].summary == "mine"
    files = repository.commits[-1].files
    hub.commit(repository, {name: files[name] for name in files.keys() - {"notes.txt"}}, "away")
    run()
    complete(hub, version(OPEN, CLOSED, ALSO))


def test_private(project: Path, hub: Hub) -> None:
    run("--private")
    assert all(repository.private for repository in hub.repositories.values())
    hub.repositories[REPO].private = False
    assert refused("--private").startswith(f"error: {REPO}: is there, and public; ")


def test_a_dry_run_asks_nobody_and_says_what_then_goes(project: Path, hub: Hub) -> None:
    output = run("--dry-run")
    assert not hub.asked
    run()
    for name in (REPO, SCORES):
        files = hub.repositories[name].commits[-1].files
        size = sum(len(one.content) for path, one in files.items() if path != ".gitattributes")
        assert re.search(rf"^{name}, \w+: files {len(files) - 1}, bytes {size:,}$", output, re.MULTILINE)


def test_who_may_not(project: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.fault = lambda asked: "echo"
    assert "no right: Bearer …" in refused()
    hub.fault = lambda asked: None
    monkeypatch.setenv("HF_TOKEN", "hf_AnothersToken")
    line = refused()
    assert "Invalid credentials" in line
    assert "hf_AnothersToken" not in line
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(project / "none"))
    assert refused() == "error: the Hub asks who you are: run `hf auth login`, or set HF_TOKEN"
    assert not hub.repositories


def test_a_file_that_changes_meanwhile_stays(project: Path, hub: Hub) -> None:
    path = sorted((DATA / OPEN).glob("*/*.parquet"))[0]

    def fault(asked: object) -> None:
        if asked.path == "/api/repos/create":  # type: ignore[attr-defined]
            path.write_bytes(path.read_bytes()[::-1])

    hub.fault = fault  # type: ignore[assignment]
    assert refused() == f"error: {path}: damaged, or changed meanwhile; make it again"
    assert not hub.objects
    assert not hub.repositories[REPO].tags


def test_scores_of_another_build_stay(project: Path, hub: Hub) -> None:
    given = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(given | {"sources": [OPEN, ALSO]}))
    assert "not of what is built; run `make repro`" in refused()
    assert not hub.asked


@pytest.mark.parametrize("repo", ["cosmos", "lab/cos mos", "a/b/c", "lab/" + "x" * 95])
def test_a_name_that_is_none(project: Path, hub: Hub, repo: str) -> None:
    result = CliRunner().invoke(app, ["--repo", repo])
    assert result.exit_code == 1
    assert result.output.startswith("error: --repo ")
    assert result.output.count("\n") == 1
    assert not hub.asked


def test_what_arrived_otherwise_gets_no_tag(project: Path, hub: Hub) -> None:
    def fault(asked: object) -> None:
        last = hub.repositories[REPO].commits[-1] if REPO in hub.repositories else None
        if "/tree/" in asked.path and last and last.summary.endswith("card"):  # type: ignore[attr-defined]
            last.files["CITATIONS.bib"] = Stored(b"another's", large=False)

    hub.fault = fault  # type: ignore[assignment]
    assert "CITATIONS.bib is not there as it was sent; run the same again" in refused()
    assert not any(repository.tags for repository in hub.repositories.values())


_CHILD = "import typer; from pipelines.cli_publish import publish; typer.run(publish)"


@pytest.mark.slow
def test_killed_on_the_way_it_goes_on(project: Path) -> None:
    with running() as hub:
        environment = os.environ | {
            "HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        command = [sys.executable, "-c", _CHILD, "--repo", REPO]
        for wanted in (1, 3, 6):  # objects that have arrived when it is killed
            child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
            hub.fault = lambda asked, most=wanted: time.sleep(0.2) if len(hub.objects) >= most else None
            while child.poll() is None and len(hub.objects) < wanted:
                time.sleep(0.01)
            child.send_signal(signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
            assert not any(repository.tags for repository in hub.repositories.values())
        hub.fault = lambda asked: None
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        complete(hub, version(OPEN, CLOSED, ALSO))
        assert not hub.wrong
