"""The verbs for who keeps a platform, against the real API, and files as a server has them."""

import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uvicorn
from typer.testing import CliRunner

from cosmos1050k import shards
from cosmos1050k.units import MANIFEST
from leaderboard import verify
from leaderboard.evaluate import EvaluateOptions
from leaderboard.submissions import sandbox, terms, workspace
from leaderboard.submissions.connection import TOKEN
from leaderboard.submissions.desk import Desk
from leaderboard.submissions.order import Claim
from leaderboard.submissions.tokens import Tokens
from pipelines.cli import app
from tests.app import submitting
from tests.app.conftest import free_port
from tests.leaderboard.submissions import orders


def run(*arguments: str, status: int = 0) -> str:
    """What the command prints on both streams, run in this process."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    assert result.exit_code == status, result.output
    return result.output


def refused(*arguments: str) -> str:
    """The one line of a refusal."""
    output = run(*arguments, status=1)
    assert output.startswith("error: ")
    assert output.count("\n") == 1
    return output


@dataclass(frozen=True)
class Served:
    """A desk, the real API on it, and how the command finds that."""

    site: submitting.Site
    address: str

    @property
    def desk(self) -> Desk:
        return self.site.desk

    def asks(self, *arguments: str, status: int = 0) -> str:
        return run("submissions", *arguments, "--server", self.address, status=status)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with submitting.site(tmp_path / "state", tmp_path / "uploads") as site, listening(site) as address:
        monkeypatch.setenv(TOKEN, site.desk.tokens.create("root", "admin", 1))
        yield Served(site, address)


@contextmanager
def listening(site: submitting.Site) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(site.api, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def test_a_token_is_printed_once_listed_and_revoked(tmp_path: Path) -> None:
    state = ("--state", str(tmp_path))
    result = CliRunner().invoke(app, ["token", "create", "--for", "ann@lab.org", "--days", "7", *state])
    assert result.exit_code == 0
    token = result.stdout.strip()
    found = Tokens(tmp_path).check(token)
    assert (found.name, found.role) == ("ann@lab.org", "submitter")
    assert result.stderr == f"ann@lab.org, submitter, good for 7 days, id {found.id}\n"
    run("token", "create", "--for", "lab", "--role", "worker", *state)
    output = run("token", "list", *state)
    assert token not in output
    head, *rows = [line.split("\t") for line in output.splitlines()]
    assert head == ["id", "name", "role", "created", "expires", "revoked"]
    assert sorted((row[1], row[2], bool(row[5])) for row in rows) == [
        ("ann@lab.org", "submitter", False),
        ("lab", "worker", False),
    ]
    assert run("token", "revoke", found.id, *state) == f"{found.id}: revoked\n"
    revoked = [line.split("\t") for line in run("token", "list", *state).splitlines()[1:]]
    assert {row[1]: bool(row[5]) for row in revoked} == {"ann@lab.org": True, "lab": False}
    assert "no token 'none'" in refused("token", "revoke", "none", *state)
    assert "can't be a token's name" in refused("token", "create", "--for", "two words", *state)


def test_submissions_are_listed_and_shown(served: Served) -> None:
    first, second = served.site.submit("one"), served.site.submit("two", seed=1)
    head, *rows = [line.split("\t") for line in served.asks("list").splitlines()]
    assert head[:5] == ["id", "name", "architecture", "state", "place"]
    assert [row[:5] for row in rows] == [
        [second, "two", "nano", "queued", "2"],
        [first, "one", "nano", "queued", "1"],
    ]
    assert len(served.asks("list", "--limit", "1").splitlines()) == 2
    assert len(served.asks("list", "--only", "rejected").splitlines()) == 1
    assert len(served.asks("list", "--only", "rejected", "--only", "queued").splitlines()) == 3
    shown = served.asks("show", first).splitlines()
    assert shown[0] == f"{first} one: queued, place 1: it waits for a worker"
    happened = [line.split("Z ")[1].split(" ")[:4] for line in shown[1:]]
    assert happened == [
        ["received", "ann"],
        ["received", "→", "validating", "app"],
        ["validating", "→", "queued", "app"],
    ]
    assert "There is no submission 'nobody'" in served.asks("show", "nobody", status=1)
    assert "There is no such address" in served.asks("show", "../board", status=1)


def test_an_admin_s_actions_are_done_and_logged(served: Served) -> None:
    id = served.site.submit()
    assert served.asks("hide", id) == f"{id} mine: queued, place 1: it waits for a worker, hidden\n"
    assert served.desk.queue.get(id).hidden
    served.asks("unhide", id)
    assert not served.desk.queue.get(id).hidden
    lease = served.desk.queue.claim("w", 10, "board")
    assert lease
    limits = terms.Limits(retries=0)
    served.desk.queue.fail_run(lease.id, limits, "machine", "no room", "what\nit wrote")
    assert served.asks("show", id).endswith("\n  what\n  it wrote\n")
    assert served.asks("requeue", id) == f"{id} mine: queued, place 1: it waits for a worker\n"
    assert served.asks("withdraw", id).startswith(f"{id} mine: withdrawn: ")
    assert "it is withdrawn" in served.asks("requeue", id, status=1)
    actors = [event.actor for event in served.desk.queue.events(id)]
    assert actors == ["ann", "app", "app", "root", "root", "w", "w", "root", "root"]
    assert "give a submission's ID, or --stale" in served.asks("requeue", status=1)
    assert "give a submission's ID, or --stale" in served.asks("requeue", id, "--stale", status=1)


def test_who_may_not_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    id = served.site.submit()
    monkeypatch.setenv(TOKEN, served.desk.tokens.create("bob", "submitter", 1))
    for action in ("hide", "unhide", "requeue", "withdraw"):
        output = served.asks(action, id, status=1)
        assert output.startswith("error: 127.0.0.1: This ")
        assert output.count("\n") == 1
    assert len(served.asks("list", "--mine").splitlines()) == 1
    monkeypatch.setenv(TOKEN, served.desk.tokens.create("ann", "submitter", 1))
    assert len(served.asks("list", "--mine").splitlines()) == 2
    assert "withdrawn" in served.asks("withdraw", id)
    monkeypatch.delenv(TOKEN)
    assert served.asks("list", status=1).startswith("error: no token; ")


def test_a_server_is_copied_while_it_runs_and_put_back(served: Served, tmp_path: Path) -> None:
    id, state = served.site.submit(), str(tmp_path / "state")
    archive = str(tmp_path / "b.tar")
    assert re.match(r"\S+b.tar: \d+ files, [\d,]+ bytes\n", run("backup", archive, "--state", state))
    again = tmp_path / "again"
    output = run("restore", archive, "--state", str(again))
    assert output.startswith(f"{again}: 1 submissions as of ")
    assert output.count("\n") == 1
    with submitting.site(again, tmp_path / "others") as site:
        assert site.desk.queue.get(id).state == "queued"
    assert "--replace" in refused("restore", archive, "--state", str(again))
    assert "a server uses it" in refused("restore", archive, "--state", state, "--replace")
    (weights,) = (again / "weights").iterdir()
    weights.unlink()
    run("backup", archive, "--state", str(again))
    lines = run("restore", archive, "--state", str(again), "--replace").splitlines()
    assert len(lines) == 3
    assert any(line.startswith(f"{id} mine (queued): its weights are missing") for line in lines)
    assert any(re.fullmatch(rf"what was there lies in {again}/before-[\d-]+", line) for line in lines)


@pytest.fixture
def scored(project: Path) -> Iterator[tuple[Desk, str]]:
    """A submission whose scores are in place, made by a worker's child; the project's folder around it."""
    data = orders.built(project / "data", first=1)
    state = project / "leaderboard/state"
    with submitting.site(state, project / "uploads", data, check_images=1) as site:
        versions = {"first": shards.load_manifest(data / "first").version}
        asked = EvaluateOptions(strategies=("S5",), device="cpu")
        given = submitting.TERMS.model_copy(update={"sources": versions, "evaluate": asked})
        terms.write(given, state)
        id = site.submit()
        granted = site.desk.claim(Claim(worker="w", devices=("cpu",), sources=versions, bases=("sam_nano",)))
        assert granted
        folder = workspace.prepare(
            project / "work",
            workspace.Job(order=granted.order, data=data, workers=1),
            site.desk.weights(granted.lease),
        )
        ended = sandbox.score(folder, lambda: None)
        assert ended.code == 0, ended
        found = workspace.results(folder)
        manifest = found.pop(MANIFEST).read_bytes()
        for path in found.values():
            shutil.copyfile(path, site.desk.staging(granted.lease, path.stem))
        site.desk.hand_in(granted.lease, manifest)
        site.desk._folders.settle(site.desk.queue.get(id))
        yield site.desk, id


def test_only_an_admin_verifies_what_has_scores(
    project: Path, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = served.site.submit()
    asked = ("submissions", "verify", "--state", str(tmp_path / "state"))
    assert f"{id}: it is queued, and has no scores of the present board" in refused(*asked, id)
    assert "there is no submission" in refused(*asked, "nobody")
    monkeypatch.setenv(TOKEN, served.desk.tokens.create("ann", "submitter", 1))
    assert "the token is a submitter's; an admin's is needed" in refused(*asked, id)
    monkeypatch.setenv(TOKEN, "made up")
    assert "this server did not make this token" in refused(*asked, id)


@pytest.mark.slow
def test_a_submission_is_verified_and_what_was_altered_is_found(
    scored: tuple[Desk, str], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, id = scored
    asked = ("submissions", "verify", id, "--share", "1", "--data", str(project / "data"))
    monkeypatch.setenv(TOKEN, desk.tokens.create("root", "admin", 1))
    assert desk.queue.board_wanted() == 0
    output = run(*asked)
    assert "largest difference of DICE 0.00e+00, tolerance 1.00e-03: held" in output
    kept = verify.read(verify.VERIFIED / "mine.json")
    assert kept.rows == kept.of_rows > 0
    last = desk.queue.events(id)[-1]
    assert (last.actor, last.note[:9]) == ("root", "verified:")
    assert desk.queue.board_wanted()
    (path,) = (project / "leaderboard/state/scores").glob("*/*/first.parquet")
    table = pq.read_table(path)
    column = table.schema.get_field_index("dice_oracle")
    altered = pa.array([(value or 0) + 0.01 for value in table["dice_oracle"].to_pylist()], pa.float64())
    pq.write_table(table.set_column(column, table.field(column), altered), path)
    assert "tolerance 1.00e-03: not held" in run(*asked, status=1)
    assert desk.queue.events(id)[-1].note.startswith("not held:")
