"""The verbs of `cosmos` with which models are submitted, and scored for others; `cli` registers them."""

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmos1050k.errors import InputError
from cosmos1050k.shards import DATA
from pipelines import stage
from pipelines.cli_weights import trained_on_of

if TYPE_CHECKING:
    from leaderboard.submissions.client import Submitting
    from leaderboard.submissions.declared import Declared

Server = Annotated[str | None, typer.Option(metavar="URL", help="The platform's address.")]
Token = Annotated[
    str | None,
    typer.Option(help="Others on this machine see it: better COSMOS_TOKEN in the environment, or a file."),
]
TokenFile = Annotated[Path | None, typer.Option(help="A file that holds the token.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Send the token over http, for all to read.")]


def worker(
    server: Server = None,
    token: Token = None,
    token_file: TokenFile = None,
    work: Annotated[Path | None, typer.Option(help="Its folder; default data/worker.")] = None,
    data: Annotated[Path | None, typer.Option(help="Where the built sources lie.")] = None,
    name: Annotated[str, typer.Option(help="What the queue shows of it; default: the machine's name.")] = "",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: as suits it.")] = None,
    once: Annotated[bool, typer.Option("--once", help="End after one submission, or without one.")] = False,
    poll: Annotated[float, typer.Option(min=0.1, help="Seconds between two questions for work.")] = 5,
    metrics_port: Annotated[
        int, typer.Option(min=0, max=65535, help="127.0.0.1:PORT for Prometheus; default: none.")
    ] = 0,
    insecure: Insecure = False,
    allow_open: Annotated[
        bool, typer.Option("--allow-open", help="Work where what scores can't be kept off the network, too.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say what keeps strangers' models in check here, and end.")
    ] = False,
) -> None:
    """Score what was submitted to a server, one model after the other, until it is stopped."""
    from leaderboard.submissions import worker as room
    from leaderboard.submissions.client import WorkServer
    from leaderboard.submissions.connection import token_of

    with stage.reported():
        if check:
            held = _check()
            raise typer.Exit(0 if held or allow_open else 1)
        logging.getLogger(room.__name__).setLevel(logging.INFO)
        settings = room.Settings(work or room.WORK, data or DATA, name, workers, once, poll, metrics_port)
        asked = WorkServer(_given(server), token_of(token, token_file), insecure=insecure)
        room.start(asked, settings, allow_open=allow_open)


def _check() -> bool:
    """Prints what holds on this machine; returns whether the network is out of a child's reach."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from leaderboard.submissions import sandbox

    table = Table("a scoring child can’t", "here", "how", box=box.SIMPLE_HEAD, pad_edge=False)
    for finding in sandbox.check():
        table.add_row(finding.what, "holds" if finding.holds else "does not hold", finding.how)
    Console(markup=False).print(table)
    return bool(sandbox.holds().namespaces)


def submit(
    name: Annotated[str, typer.Option(help="What to call the model.")],
    architecture: Annotated[str, typer.Option(help="vit_b, vit_l, vit_h, medsam or nano.")],
    licence: Annotated[str, typer.Option(help="That of its weights.")],
    contact: Annotated[str, typer.Option(help="An address; only you and the maintainers see it.")],
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A safetensors file, whole or a mask decoder alone.")
    ] = None,
    hub: Annotated[
        str | None, typer.Option(metavar="ORG/NAME@REVISION", help="Or a repository on the Hugging Face Hub.")
    ] = None,
    hub_file: Annotated[str, typer.Option(help="With --hub: which of its safetensors files.")] = "",
    preprocessing: Annotated[
        str | None, typer.Option(help="sam or medsam; default: the architecture's.")
    ] = None,
    candidates: Annotated[
        int | None, typer.Option(help="Masks per prompt, 3 or 1; default: the architecture's.")
    ] = None,
    made_for: Annotated[
        str | None, typer.Option(help="Strategies that it was trained for, such as S5,S6; default: all.")
    ] = None,
    description: Annotated[str, typer.Option(help="A line about it.")] = "",
    link: Annotated[str, typer.Option(help="To its paper or code.")] = "",
    trained_on: Annotated[
        str | None,
        typer.Option(help="What it saw of sources, none, train, all or unknown: camus=train,acdc=all."),
    ] = None,
    trained_on_others: Annotated[
        str, typer.Option(help="Of all other sources: none, all or unknown.")
    ] = "unknown",
    server: Server = None,
    token: Token = None,
    token_file: TokenFile = None,
    insecure: Insecure = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Stay to its end; exit status 1 if it does not reach the board.")
    ] = False,
) -> None:
    """Submit a model: say what is wrong with it at once, or print its receipt."""
    from leaderboard.submissions import checkpoint
    from leaderboard.submissions.client import Submitting
    from leaderboard.submissions.connection import token_of
    from leaderboard.submissions.refusals import Refused
    from leaderboard.submissions.terms import Limits

    with stage.reported():
        if (weights is None) == (hub is None):
            raise InputError("give the weights: --weights FILE, or --hub ORG/NAME@REVISION")
        seen = trained_on_of(trained_on, trained_on_others)
        given = {
            "name": name, "architecture": architecture, "preprocessing": preprocessing,
            "candidates": candidates, "made_for": made_for.split(",") if made_for is not None else None,
            "description": description, "trained_on": seen.model_dump(), "licence": licence, "link": link,
            "contact": contact, "weights": _on_hub(hub, hub_file) if hub is not None else None,
        }  # fmt: skip
        declared = _declared({key: value for key, value in given.items() if value is not None})
        asked = Submitting(_given(server), token_of(token, token_file), insecure=insecure)
        if weights is not None:
            try:
                found = checkpoint.check(weights.resolve(), declared.network, Limits().most_bytes)
            except Refused as refused:
                raise InputError(f"{weights}: {refused}") from None
            print(f"{weights}: {found.part.replace('_', ' ')}, {found.bytes:,} bytes, as declared")
        asked.known()
        receipt = asked.submit(declared, weights)
        place = f", place {receipt.place} in the queue" if receipt.place is not None else ""
        already = " (the same was submitted before)" if receipt.already else ""
        print(f"{receipt.id}: {receipt.state}{place}{already}\n{asked.page(receipt)}")
        if follow:
            _followed(asked, receipt.id)


def _given(server: str | None) -> str:
    if server is None:
        raise InputError("--server: give the platform's address, such as https://cosmos.example.org")
    return server


def _on_hub(hub: str, file: str) -> dict[str, str]:
    """What `--hub` says."""
    repo, at, revision = hub.partition("@")
    if not at:
        raise InputError(f"--hub {hub}: no revision; give a branch, tag or commit: ORG/NAME@REVISION")
    return {"repo": repo, "revision": revision, "file": file}


def _declared(given: dict[str, Any]) -> "Declared":
    """The declaration that the options make.

    Raises:
        InputError: one of them is wrong.
    """
    from leaderboard.submissions.declared import parsed
    from leaderboard.submissions.refusals import Refused

    try:
        return parsed(json.dumps(given))
    except Refused as refused:
        place, _, problem = str(refused).partition(": ")
        option = {"weights": "hub"}.get(place.split(".")[0], place.split(".")[0])
        raise InputError(f"--{option.replace('_', '-')}: {problem}; mend it") from None


def _followed(asked: "Submitting", submission: str) -> None:
    """Says how a submission goes on, up to the board.

    Raises:
        InputError: it does not get there.
    """
    from tqdm import tqdm

    from leaderboard.submissions.connection import line

    said = ""
    with tqdm(disable=None, leave=False, unit=" part") as bar:
        for seen in asked.follow(submission):
            if str(seen) != said:
                said = str(seen)
                tqdm.write(line(said))
            bar.total, bar.n = seen.total or None, seen.done
            bar.set_description(line(seen.doing))
    if seen.state != "published":
        for text in seen.log.splitlines():
            print(line(text), file=sys.stderr)
        reason = f" ({line(seen.reason)})" if seen.reason else ""
        raise InputError(f"{submission}: {seen.state}{reason}: {line(seen.message)}")
