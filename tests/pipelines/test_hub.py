"""Whose repository is filled: an empty one or one of ours, never a stranger's."""

from collections.abc import Iterator

import pytest

from cosmos1050k.errors import InputError
from cosmos1050k.hub import publish
from cosmos1050k.publishing import PAGE, Part, Release, mark, written
from leaderboard.scores_release import PATTERN
from tests.pipelines.hub import Commit, Hub, Repository, Stored, reached, running

IMAGES, SCORES = "lab/cosmos", "lab/cosmos-scores"
COMMONEST = [
    ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet", "README.md"),
    ("data/train/0000.parquet", "assets/logo.png", "README.md"),
    ("en/train.parquet", "box/manifest.json"),
    ("train.csv",),
    ("README.md",),
    ("cosmos1050k.json", "README.md"),
]

#: Of the library's own client, on each upload.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>'")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running() as started:
        reached(started, monkeypatch)
        yield started
    assert not started.wrong


def release(holds: str, pattern: str, name: str, tag: str = "1") -> Release:
    card = written(PAGE, f"---\npretty_name: {holds}\n---\n")
    return Release(tag, pattern, (mark(holds), Part("one", (written(name, tag),)), Part("card", (card,))), ())


def both(tag: str = "1") -> dict[str, Release]:
    return {
        IMAGES: release("images", "(data/[a-z0-9_]+|assets)/.+", f"data/kits19/{tag}.json", tag),
        SCORES: release("scores", PATTERN, "box/manifest.json", tag),
    }


@pytest.mark.parametrize("tags", [(), ("1",)])
@pytest.mark.parametrize("taken", [IMAGES, SCORES])
@pytest.mark.parametrize("names", COMMONEST)
def test_a_stranger_s_repository_stays_as_it_is(
    hub: Hub, names: tuple[str, ...], taken: str, tags: tuple[str, ...]
) -> None:
    theirs = hub.repositories[taken] = Repository(private=False, commits=[])
    files = {name: Stored(b"{}", large=name.endswith(".parquet")) for name in names}
    hub.commit(theirs, {".gitattributes": Stored(b"", large=False), **files}, "their years of work")
    theirs.tags = dict.fromkeys(tags, theirs.commits[0].oid)
    with pytest.raises(InputError) as caught:
        list(publish(both()))
    assert str(caught.value) == (
        f"{taken}: holds {min(names)} and isn't marked as one that this publishes (cosmos1050k.json); "
        "give another repository, or empty it there"
    )
    assert hub.repositories == {taken: theirs}
    assert not hub.sent()


def test_one_of_ours_is_known_from_its_first_commit_on(hub: Hub) -> None:
    hub.fault = lambda asked: "cut" if "/commit/" in asked.path and len(_commits(hub)) > 1 else None
    with pytest.raises(InputError, match="sending one failed"):
        list(publish(both()))
    assert _commits(hub)[-1].files.keys() == {".gitattributes", "cosmos1050k.json"}
    hub.fault = lambda asked: None
    list(publish(both()))
    list(publish(both("2")))
    images = hub.repositories[IMAGES]
    assert images.tags.keys() == {"1", "2"}
    assert {name for name in images.commits[-1].files if "/" in name} == {"data/kits19/2.json"}


def test_the_other_of_ours_is_refused(hub: Hub) -> None:
    list(publish(both()))
    hub.repositories[SCORES] = hub.repositories.pop(IMAGES)
    sent = len(hub.sent())
    with pytest.raises(InputError, match=f"^{SCORES}: holds README.md and isn't marked"):
        list(publish(both("2")))
    assert len(hub.sent()) == sent


def _commits(hub: Hub) -> list[Commit]:
    return list(hub.repositories[IMAGES].commits) if IMAGES in hub.repositories else []
