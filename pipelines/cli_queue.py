"""The verbs of `cosmos` for who keeps a platform: tokens, submissions, backups; `cli` registers them."""

import sys
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmos1050k.errors import InputError
from cosmos1050k.shards import DATA
from pipelines import stage
from pipelines.cli_submissions import Insecure, Token, TokenFile

if TYPE_CHECKING:
    from leaderboard.submissions.managing import Action, Listed, Managing

State = Annotated[Path | None, typer.Option(help="The server's folder; default leaderboard/state.")]
Address = Annotated[str, typer.Option(metavar="URL", help="The platform's address.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="A submission; see `cosmos submissions list`.")]
HERE = "http://127.0.0.1:7860"

token = typer.Typer(help="Make, list and revoke the tokens that a server takes.", no_args_is_help=True)
submissions = typer.Typer(
    help="List, withdraw, requeue, hide and verify what was submitted to a server.", no_args_is_help=True
)


class Role(StrEnum):
    submitter = "submitter"
    worker = "worker"
    admin = "admin"


@token.command()
def create(
    who: Annotated[str, typer.Option("--for", metavar="NAME", help="Whose it is, such as ann@lab.org.")],
    role: Annotated[Role, typer.Option(help="What it lets do.")] = Role.submitter,
    days: Annotated[int, typer.Option(help="How long it is good for.")] = 365,
    state: State = None,
) -> None:
    """Print a new token, this once: the server keeps its hash alone."""
    from leaderboard.submissions.tokens import Tokens

    with stage.reported():
        kept = Tokens(_state(state))
        made = kept.create(who, role.value, days)
        found = kept.check(made)
        print(f"{found.name}, {found.role}, good for {days} days, id {found.id}", file=sys.stderr)
        print(made)


@token.command("list")
def list_tokens(state: State = None) -> None:
    """List the tokens, the newest first."""
    from leaderboard.submissions.tokens import Tokens

    with stage.reported():
        found = [
            (one.id, one.name, one.role, _day(one.created), _day(one.expires), _day(one.revoked))
            for one in Tokens(_state(state)).list()
        ]
        _table(("id", "name", "role", "created", "expires", "revoked"), found)


@token.command()
def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="Its id; see `cosmos token list`.")],
    state: State = None,
) -> None:
    """End a token at once."""
    from leaderboard.submissions.tokens import Tokens

    with stage.reported():
        Tokens(_state(state)).revoke(token)
        print(f"{token}: revoked")


@submissions.command("list")
def list_submissions(
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="STATE", help="In this state; repeatable.")
    ] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only those of the token's owner.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    server: Address = HERE,
    token: Token = None,
    token_file: TokenFile = None,
    insecure: Insecure = False,
) -> None:
    """List submissions, the newest first."""
    with stage.reported():
        found = _asked(server, token, token_file, insecure).listed(only or [], mine, limit)
        _table(
            ("id", "name", "architecture", "state", "place", "progress", "heartbeat", "message"),
            [_row(one) for one in found],
        )


@submissions.command()
def show(
    submission: Id,
    server: Address = HERE,
    token: Token = None,
    token_file: TokenFile = None,
    insecure: Insecure = False,
) -> None:
    """Show a submission, what happened to it, and the end of what its run wrote."""
    from leaderboard.submissions.connection import line

    with stage.reported():
        found = _asked(server, token, token_file, insecure).shown(submission)
        print(line(f"{found.id} {found.name}: {found}"))
        for one in found.transitions:
            way = one.target if one.source in (None, one.target) else f"{one.source} → {one.target}"
            print(line(f"{_time(one.at)} {way} {one.actor or ''}{': ' if one.note else ''}{one.note}"))
        for text in found.log.splitlines():
            print(f"  {line(text)}")


def _action(act: "Action", told: str) -> Callable[..., None]:
    """The verb that has this done to a submission."""

    def verb(
        submission: Id,
        server: Address = HERE,
        token: Token = None,
        token_file: TokenFile = None,
        insecure: Insecure = False,
    ) -> None:
        with stage.reported():
            _act(_asked(server, token, token_file, insecure), submission, act)

    verb.__doc__ = told
    return verb


submissions.command("withdraw")(
    _action(
        "withdraw", "Take a submission back: its scores and weights are removed. Its owner and admins may."
    )
)
submissions.command("hide")(
    _action("hide", "Take a submission off the board and keep its scores. Admins may.")
)
submissions.command("unhide")(_action("unhide", "Put a hidden submission back onto the board. Admins may."))


@submissions.command()
def requeue(
    submission: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One that failed, or is published.")
    ] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="All that miss a source of the board, for those sources alone.")
    ] = False,
    server: Address = HERE,
    token: Token = None,
    token_file: TokenFile = None,
    insecure: Insecure = False,
) -> None:
    """Have a submission scored again. Admins may."""
    with stage.reported():
        if (submission is None) != stale:
            raise InputError("give a submission's ID, or --stale")
        asked = _asked(server, token, token_file, insecure)
        if submission is not None:
            _act(asked, submission, "requeue")
            return
        found = asked.requeue_stale()
        for one in found:
            _tell(one)
        print(f"{len(found)} queued")


@submissions.command()
def verify(
    submission: Id,
    share: Annotated[float, typer.Option(help="Of its score rows, above 0 and up to 1.")] = 0.01,
    state: State = None,
    data: Annotated[Path | None, typer.Option(help="Where the built sources lie.")] = None,
    token: Token = None,
    token_file: TokenFile = None,
) -> None:
    """Score a random share of a submission's rows again, on the server's machine. Admins may.

    Exit status 1 if a DICE is too far from its run's. The board's column "Verified" shows it.
    """
    from leaderboard.submissions.connection import token_of
    from leaderboard.submissions.verifying import verified

    with stage.reported():
        given = token_of(token, token_file)
        found, path = verified(submission, _state(state), data or DATA, given, share=share)
        verdict = "held" if found.held else "not held"
        print(f"{found.model}: rows scored again {found.rows} of {found.of_rows}, images {found.images}")
        print(f"largest difference of DICE {found.largest:.2e}, tolerance {found.tolerance:.2e}: {verdict}")
        if found.worst:
            print(f"furthest off: {found.worst}")
        print(path)
    if not found.held:
        raise typer.Exit(1)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE.tar", help="Replaced in one step if it is there.")],
    state: State = None,
) -> None:
    """Copy a server's submissions into one file, while it runs: queue, tokens, weights, scores, boards."""
    from leaderboard.submissions.backup import backup as room

    with stage.reported():
        found = room(_state(state), file)
        print(f"{file}: {len(found.files)} files, {found.bytes:,} bytes")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE.tar", help="Made by `cosmos backup`.")],
    state: State = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Move the submissions that are there aside.")
    ] = False,
) -> None:
    """Put a server's submissions back from a file of `cosmos backup`; the server must be stopped."""
    from leaderboard.submissions.restore import restore as room

    with stage.reported():
        found = room(file, _state(state), replace=replace)
        print(f"{_state(state)}: {found.submissions} submissions as of {found.contents.made}")
        for line in found.lacking:
            print(line, file=sys.stderr)
        if found.before:
            print(f"what was there lies in {found.before}")


def _state(given: Path | None) -> Path:
    from leaderboard.store.publish import STATE

    return given or STATE


def _asked(server: str, token: str | None, token_file: Path | None, insecure: bool) -> "Managing":
    from leaderboard.submissions.connection import token_of
    from leaderboard.submissions.managing import Managing

    return Managing(server, token_of(token, token_file), insecure=insecure)


def _act(asked: "Managing", submission: str, action: "Action") -> None:
    _tell(asked.act(submission, action))


def _tell(one: "Listed") -> None:
    from leaderboard.submissions.connection import line

    hidden = ", hidden" if one.hidden else ""
    print(line(f"{one.id} {one.name}: {one}{hidden}"))


def _row(one: "Listed") -> tuple[str, ...]:
    progress = f"{one.done}/{one.total}" if one.total else one.doing
    hidden = " (hidden)" if one.hidden else ""
    place = "" if one.place is None else str(one.place)
    return (
        one.id, one.name, one.architecture, f"{one.state}{hidden}", place, progress,
        _time(one.heartbeat), one.message,
    )  # fmt: skip


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal, tab-separated lines elsewhere; what strangers wrote is shown as it is."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from leaderboard.submissions.connection import line

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        print("\t".join(names))
        for row in rows:
            print("\t".join(map(line, row)))
        return
    table = Table(*names, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(line, row))
    console.print(table)


def _day(at: float | None) -> str:
    return "" if at is None else time.strftime("%Y-%m-%d", time.gmtime(at))


def _time(at: float | None) -> str:
    return "" if at is None else time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at))
