"""The verb `weights`: what it prints, and what it refuses in one line."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from leaderboard import models
from tests.cosmos1050k.fetch.site import Site
from tests.leaderboard.checkpoints import NAME, Hostile, declare, decoder, listed, pickled, same, state
from tests.pipelines.test_cli_sources import run


def line(*arguments: str) -> str:
    """The one line of a refusal."""
    output = run("weights", *arguments, fails=True)
    assert output.startswith("error: ")
    assert output.count("\n") == 1
    return output


def test_an_owner_s_weights_are_fetched_once(
    project: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = pickled(state())
    site.put("/sam.pth", content)
    checkpoint = declare(monkeypatch, content, site.url("/sam.pth"))
    for word in ("made", "there"):
        assert run("weights", NAME) == (
            f"data/weights/{NAME}.safetensors: {word}\n"
            f"licence: {checkpoint.licence}\nto cite: {checkpoint.citation}\n"
        )
    assert len(site.requests) == 1
    assert listed(project) == [f"{NAME}.safetensors"]


@pytest.mark.slow
def test_weights_of_one_s_own_are_taken(project: Path) -> None:
    (project / "mine.pth").write_bytes(pickled(state()))
    own = ["weights", "--from", "mine.pth", "--name", "mine", "--architecture", "tiny"]
    assert run(*own) == "data/models/mine: made\n"
    assert run(*own) == "data/models/mine: there\n"
    assert same(load_file("data/models/mine/weights.safetensors"), state())
    assert models.kind("mine").declaration.trained_on.of("camus") == "unknown"
    (project / "part.pth").write_bytes(pickled(decoder(1)))
    part = ["--base", "mine", "--made-for", "S5,S6", "--description", "Mine, and better."]
    assert run("weights", "--from", "part.pth", "--name", "part", *part) == "data/models/part: made\n"
    declared = models.kind("part").declaration
    assert (declared.made_for, declared.description) == (("S5", "S6"), "Mine, and better.")


@pytest.mark.slow
def test_what_it_was_trained_on_is_asked_for(project: Path) -> None:
    (project / "mine.pth").write_bytes(pickled(state()))
    own = ["weights", "--from", "mine.pth", "--architecture", "tiny", "--name"]
    run(*own, "told", "--trained-on", "camus=train,acdc=all,drive=unknown", "--trained-on-others", "none")
    found = models.kind("told").declaration.trained_on
    assert {slug: found.of(slug) for slug in ("camus", "acdc", "drive", "stare")} == {
        "camus": "train", "acdc": "all", "drive": "unknown", "stare": "none",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--trained-on", "camu=train", "unknown source 'camu'"),
        ("--trained-on", "", "unknown source ''"),
        ("--trained-on", "camus=train,", "unknown source ''"),
        ("--trained-on", "camus=test", "'camus=test' needs one of the words none, train, all, unknown"),
        ("--trained-on", "camus", "'camus' needs one of the words none, train, all, unknown"),
        ("--trained-on", "camus=all=train", "'camus=all=train'"),
        ("--trained-on", "camus=train,camus=all", "camus is named twice"),
        ("--trained-on-others", "train", "'train' needs one of the words none, all, unknown"),
        ("--trained-on-others", "", "'' needs one of the words none, all, unknown"),
    ],
)
def test_a_wrong_word_of_it_is_one_line(project: Path, option: str, value: str, words: str) -> None:
    (project / "mine.pth").write_bytes(pickled(state()))
    given = ["--from", "mine.pth", "--name", "mine", "--architecture", "tiny", option, value]
    assert f"{option}: {words}" in line(*given)
    assert not (project / "data/models").exists()


def test_a_hostile_file_is_one_line(project: Path) -> None:
    (project / "evil.pth").write_bytes(pickled(Hostile("touch ran")))
    assert "posix.system" in line("--from", "evil.pth", "--name", "mine", "--architecture", "tiny")
    assert not (project / "ran").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "sam_vit_b, sam_vit_l, sam_vit_h, medsam"),
        (["sam"], "'sam'"),
        ([NAME, "--architecture", "vit_b"], "only with --name"),
        ([NAME, "--from", "nowhere.pth"], "nowhere.pth"),
        (["--from", "nowhere.pth"], "or --from FILE and --name"),
        ([NAME, "--made-for", "S5"], "--made-for: only with --name"),
        ([NAME, "--trained-on", "camus=all"], "--trained-on: only with --name"),
        ([NAME, "--trained-on-others", "none"], "--trained-on-others: only with --name"),
        (
            ["--from", "a.pth", "--name", "a", "--base", "sam_vit_b", "--architecture", "vit_b"],
            "--from FILE --name",
        ),
        (["--from", "nowhere.pth", "--name", "mine", "--architecture", "vit_b"], "nowhere.pth"),
        (["--name", "mine", "--architecture", "vit_b"], "--from FILE --name NAME"),
        (["--name", "mine", "--from", "nowhere.pth"], "--from FILE --name NAME"),
        ([NAME, "--name", "mine", "--from", "a.pth", "--architecture", "vit_b"], "--from FILE --name NAME"),
        (["--from", "a.pth", "--name", "medsam", "--architecture", "vit_b"], "choose another"),
    ],
)
def test_a_mistake_is_one_line(project: Path, arguments: list[str], words: str) -> None:
    assert words in line(*arguments)
