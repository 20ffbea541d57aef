"""The verb of `cosmos` that publishes; `cli` registers it."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines import stage

if TYPE_CHECKING:
    from cosmos1050k.publishing import Release


def publish(
    repo: Annotated[
        str,
        typer.Option(metavar="OWNER/NAME", help="Of the Hub; the scores go to OWNER/NAME-scores."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go and what stays; ask nobody.")
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Make private repositories; refuse a public one.")
    ] = False,
    edition: Annotated[
        int, typer.Option(min=1, help="2, 3 …: other content of a version that is published.")
    ] = 1,
) -> None:
    """Publish the dataset on the Hugging Face Hub, as far as licences let, and the scores.

    The version's tag is set when all has arrived. A run that was cut off goes on. The token is that of
    `hf auth login`, or HF_TOKEN.
    """
    from cosmos1050k import hub

    with stage.reported():
        wanted = _releases(hub.checked(repo), hub.checked(f"{repo}-scores"), edition)
        for name, release in wanted.items():
            _list(name, release)
        for line in () if dry_run else hub.publish(wanted, private=private):
            print(line, flush=True)


def _releases(repo: str, scores_repo: str, edition: int) -> "dict[str, Release]":
    """Repository → what goes there, of the build of params.yaml and its board."""
    from cosmos1050k import publishing, sources
    from cosmos1050k.shards import DATA, load_manifest
    from leaderboard import scores_release
    from leaderboard.evaluate import SCORES
    from leaderboard.store.publish import CURRENT, STATE
    from leaderboard.store.read import BoardReader
    from pipelines import params

    slugs = params.load().sources
    dataset = publishing.dataset(slugs, DATA, repo, edition)
    if os.path.lexists(STATE / "boards" / CURRENT):
        manifests = {slug: load_manifest(DATA / slug) for slug in slugs}
        closed = [slug for slug in slugs if not sources.get(slug).SOURCE.redistributable]
        keys = {slug: scores_release.key(DATA / slug) for slug in closed}
        scores = scores_release.release(
            BoardReader(), SCORES, manifests, dataset.tag, scores_repo, repo, keys
        )
    else:
        none = publishing.Stays("scores", "there is no board; `make repro` makes one")
        scores = publishing.Release(dataset.tag, scores_release.PATTERN, (), (none,))
    return {repo: dataset, scores_repo: scores}


def _list(name: str, release: "Release") -> None:
    """What goes, and what stays and why."""
    print(f"{name}, {release.tag}: files {len(release.files)}, bytes {release.bytes:,}")
    for part in release.parts:
        print(f"  goes  {part.name}: files {len(part.files)}, bytes {part.bytes:,}")
    for one in release.stays:
        print(f"  stays {one.name}: {one.reason}")
