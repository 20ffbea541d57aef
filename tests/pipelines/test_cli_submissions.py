"""`cosmos submit` and `cosmos worker` against a server that tells what came."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from leaderboard.submissions import sandbox
from leaderboard.submissions.connection import TOKEN as VARIABLE
from leaderboard.weights import shipped
from pipelines.cli import app
from tests.leaderboard.submissions.platform import TOKEN, Platform

Cosmos = Callable[..., Result]
DECLARED = ["--name", "mine", "--architecture", "nano", "--licence", "MIT", "--contact", "a@b.org"]
WEIGHTS = ["--weights", str(shipped("sam_nano"))]


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Platform().running() as started:
        yield started


@pytest.fixture
def cosmos(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Cosmos:
    monkeypatch.setenv(VARIABLE, TOKEN)

    def run(verb: str, *arguments: str) -> Result:
        return CliRunner().invoke(app, [verb, "--server", platform.address, *arguments])

    return run


def test_a_file_is_submitted_with_what_is_said_of_it(platform: Platform, cosmos: Cosmos) -> None:
    more = {
        "--candidates": "1", "--preprocessing": "medsam", "--made-for": "S5,S6", "--description": "é, small",
        "--link": "https://example.org/mine", "--trained-on": "camus=train,acdc=all",
        "--trained-on-others": "none",
    }  # fmt: skip
    result = cosmos("submit", *DECLARED, *WEIGHTS, *(word for pair in more.items() for word in pair))
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[1:] == [
        "s1: queued, place 2 in the queue",
        f"{platform.address}/?submission=s1",
    ]
    ((declared, file),) = platform.submitted
    assert file == shipped("sam_nano").read_bytes()
    assert declared == {
        "name": "mine", "architecture": "nano", "licence": "MIT", "contact": "a@b.org", "candidates": 1,
        "preprocessing": "medsam", "made_for": ["S5", "S6"], "description": "é, small",
        "link": "https://example.org/mine", "weights": None,
        "trained_on": {"others": "none", "sources": {"acdc": "all", "camus": "train"}},
    }  # fmt: skip


def test_a_repository_is_submitted(platform: Platform, cosmos: Cosmos) -> None:
    result = cosmos("submit", *DECLARED, "--hub", "org/mine@v1", "--hub-file", "best.safetensors")
    assert result.exit_code == 0, result.output
    ((declared, file),) = platform.submitted
    assert declared["weights"] == {"repo": "org/mine", "revision": "v1", "file": "best.safetensors"}
    assert declared["trained_on"] == {"others": "unknown", "sources": {}}
    assert file is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the weights: --weights FILE, or --hub"),
        ([*WEIGHTS, "--hub", "org/mine@v1"], "give the weights: --weights FILE, or --hub"),
        (["--hub", "org/mine"], "--hub org/mine: no revision"),
        (["--hub", "mine@v1"], "--hub: unfit; it takes a repository"),
        ([*WEIGHTS, "--made-for", "S5,S9"], "--made-for: unfit; it takes one or more of S1"),
        ([*WEIGHTS, "--name", "../x"], "--name: unfit; it takes 1 to 64"),
        ([*WEIGHTS, "--architecture", "medsam", "--candidates", "3"], "--candidates: with MedSAM"),
        ([*WEIGHTS, "--trained-on", "nowhere=all"], "--trained-on: unknown source 'nowhere'"),
        ([*WEIGHTS, "--architecture", "vit_b"], "weights.safetensors: the file lacks 'image_encoder."),
        ([*WEIGHTS, "--token", ""], "no token; give one by --token-file"),
        ([*WEIGHTS, "--server", "http://example.org"], "over http, for all to read"),
        (["--weights", "nothing.safetensors"], "nothing.safetensors"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_sent(
    platform: Platform, cosmos: Cosmos, arguments: list[str], message: str
) -> None:
    result = cosmos("submit", *DECLARED, *arguments)
    assert result.exit_code == 1
    assert result.output.startswith("error: ")
    assert message in result.output
    assert result.output.count("\n") == 1
    assert not platform.asked


def test_a_pickle_is_never_sent_and_the_converter_named(
    platform: Platform, cosmos: Cosmos, tmp_path: Path
) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "best.pth")
    result = cosmos("submit", *DECLARED, "--weights", str(tmp_path / "best.pth"))
    assert result.exit_code == 1
    assert "`cosmos convert" in result.output
    assert not platform.asked


def test_a_token_that_is_not_taken_is_said_before_the_file_is_sent(
    platform: Platform, cosmos: Cosmos
) -> None:
    result = cosmos("submit", *DECLARED, *WEIGHTS, "--token", "another")
    assert result.exit_code == 1
    assert "the token is not known here; ask for another" in result.output
    assert not platform.calls("submit")


def test_it_is_followed_to_its_end(
    platform: Platform, cosmos: Cosmos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    running = {"id": "s1", "state": "running", "doing": "scores", "done": 1, "total": 2}
    for state, status in (("published", 0), ("rejected", 1), ("failed", 1), ("withdrawn", 1)):
        end = {
            "id": "s1",
            "state": state,
            "reason": "fails",
            "message": "it fails",
            "log": "the\x1b[31m\nlog",
        }
        platform.later["s1"] = [{"id": "s1", "state": "queued", "place": 1}, running, end]
        result = cosmos("submit", *DECLARED, *WEIGHTS, "--follow")
        assert result.exit_code == status, result.output
        assert "\nqueued, place 1: it waits for a worker\nrunning: a worker scores it\n" in result.output
        assert (f"error: s1: {state} (fails): it fails" in result.output) == bool(status)
        assert ("\nthe [31m\nlog\n" in result.output) == bool(status)


def test_a_worker_works_once(platform: Platform, cosmos: Cosmos, tmp_path: Path) -> None:
    arguments = ["--once", "--work", str(tmp_path / "work"), "--data", str(tmp_path), "--allow-open"]
    result = cosmos("worker", *arguments, "--name", "ours")
    assert result.exit_code == 0, result.output
    assert [claim["worker"] for claim in platform.claims] == ["ours"]
    platform.faults["claim"] = [401]
    result = cosmos("worker", *arguments)
    assert (result.exit_code, result.output) == (1, "error: 127.0.0.1: told to say 401\n")


def test_a_worker_needs_a_server() -> None:
    result = CliRunner().invoke(app, ["worker"])
    assert result.exit_code == 1
    assert result.output.startswith("error: --server: give the platform's address")


@pytest.mark.parametrize("namespaces", [("--net",), ()])
def test_what_holds_is_shown(monkeypatch: pytest.MonkeyPatch, namespaces: tuple[str, ...]) -> None:
    found = [
        sandbox.Finding("network", bool(namespaces), "unshare"),
        sandbox.Finding("rights", False, "[not] root"),
    ]
    monkeypatch.setattr(sandbox, "check", lambda: found)
    monkeypatch.setattr(sandbox, "holds", lambda: sandbox.Holds(True, True, namespaces, False, "", None))
    for more, status in (([], 0 if namespaces else 1), (["--allow-open"], 0)):
        result = CliRunner().invoke(app, ["worker", "--check", *more])
        assert result.exit_code == status
        lines = [" ".join(line.split()) for line in result.output.splitlines()]
        assert f"network {'holds' if namespaces else 'does not hold'} unshare" in lines
        assert "rights does not hold [not] root" in lines
