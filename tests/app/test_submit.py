"""The form of the tab "Submit" without a browser: what it becomes, who may send it."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from app.api_identity import SUBMITTED
from app.api_refusals import AWAY
from app.submit import form, layout
from app.submit.actions import Update
from leaderboard.submissions import intake
from leaderboard.submissions.declared import HubWeights
from leaderboard.submissions.terms import TERMS as TERMS_FILE
from tests.app.boards import HOSTILE
from tests.app.submit_tab import FORM, Tab, cells, decoder, opened


@pytest.fixture
def tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tab]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "sent"))
    with opened(tmp_path) as made:
        yield made


def alert(tab: Tab, told: Update) -> str:
    """The sentence that alone is said beside the form."""
    assert list(told) == [tab.parts.said]
    found = re.fullmatch(r'<p class="demo-problem" role="alert">(.+)</p>', told[tab.parts.said])
    assert found, told
    return found[1]


def test_what_the_form_says_is_taken(tab: Tab) -> None:
    ann = tab.token()
    told = tab.submit(ann, file=tab.upload(decoder()), link="https://lab.org/a?b=1&c=2", description="Mine.")
    (entry,) = tab.desk.queue.entries()
    assert (entry.state, entry.identity, entry.part) == ("queued", "ann", "mask_decoder")
    assert entry.declared.model_dump(exclude={"weights"}) == {
        **{name: FORM[name] for name in ("name", "architecture", "preprocessing", "candidates", "licence")},
        "contact": "ann@lab.org",
        "made_for": ("S5", "S6"),
        "trained_on": {"others": "none", "sources": {"acdc": "train", "drive": "all"}},
        "link": "https://lab.org/a?b=1&c=2",
        "description": "Mine.",
    }
    receipt = told[tab.parts.said]
    assert entry.id in receipt
    assert "place 1 in the queue" in receipt
    assert f'href="?tab=submit&amp;submission={entry.id}"' in receipt
    assert "<strong>Queued</strong>" in told[tab.parts.page.head]
    assert told[tab.parts.page.timer]["active"]
    assert cells(told[tab.parts.queue.table]) == [[f"mine {entry.id}", "queued", "1", "", ""]]
    assert ann not in repr(told)
    # The same once more leads to the first; of the file, which is still here, no copy is left.
    more = {"link": "https://lab.org/a?b=1&c=2", "description": "Mine."}
    again = tab.submit(ann, file={"path": str(tab.sent / "model.safetensors")}, **more)
    assert "submitted before" in again[tab.parts.said]
    assert len(tab.desk.queue.entries()) == 1
    assert [path.name for path in tab.sent.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": " "}, "Name: give"),
        ({"name": HOSTILE[:60]}, "Name: "),
        ({"name": "box"}, "choose another name"),
        ({"licence": ""}, "Licence: say"),
        ({"contact": None}, "Contact: say"),
        ({"link": "javascript:alert(1)"}, "Link: "),
        ({"architecture": "resnet"}, "Architecture: "),
        ({"candidates": "many"}, "Candidates: "),
        ({"made_for": []}, "Made_for: "),
        ({"made_for": {"a": 1}}, "Made_for: "),
        ({"preprocessing": "medsam"}, "Candidates: with MedSAM"),
        ({"others": "train"}, "Trained_on: "),
        ({"unknown": ["acdc"]}, "acdc is named twice"),
        ({"unknown": ["nowhere"]}, "unknown source"),
        ({"unknown": [["x"]]}, "unknown source"),
        ({"description": "\ud800"}, ""),
        ({"file": None}, "choose a file"),
        ({"file": {"path": "/etc/hostname"}}, "no longer here"),
        ({"file": {"path": ""}}, "no longer here"),
        ({"file": "model.safetensors"}, "no longer here"),
        ({"where": layout.HUB}, "name a repository"),
        ({"where": layout.HUB, "repository": "no slash"}, "Weights.repo: "),
        ({"where": layout.HUB, "repository": "org/name@a b"}, "Weights.revision: "),
        ({"where": layout.HUB, "repository": "org/name", "hub_file": "x.bin"}, "Weights.file: "),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(
    tab: Tab, changed: dict[str, Any], words: str
) -> None:
    told = tab.submit(tab.token(), **{"file": tab.upload(decoder()), **changed})
    text = alert(tab, told)
    assert words in text
    assert text.endswith(".")
    assert "<" not in text
    assert tab.desk.queue.entries() == []


def test_a_file_that_is_refused_may_be_sent_again(tab: Tab) -> None:
    ann, file = tab.token(), tab.upload(decoder())
    assert "choose another name" in alert(tab, tab.submit(ann, file=file, name="grabcut"))
    broken = tab.upload(decoder()[:-1], "broken.safetensors")
    assert "send all of it" in alert(tab, tab.submit(ann, file=broken))
    assert "pickle" in alert(tab, tab.submit(ann, file=tab.upload(b"PK\x03\x04" * 100, "zip.safetensors")))
    assert tab.submit(ann, file=file)[tab.parts.page.following]
    left = {path.name for path in tab.sent.iterdir()}
    assert left == {"model.safetensors", "broken.safetensors", "zip.safetensors"}


def test_a_file_of_the_server_is_not_taken_for_an_upload(tab: Tab, tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    own.write_bytes(decoder())
    (tab.sent / "link").symlink_to(own)
    for path in (own, tab.sent / "link", tab.sent / ".." / own.name, tab.sent):
        assert "no longer here" in alert(tab, tab.submit(tab.token(), file={"path": str(path)}))
    assert own.read_bytes() == decoder()


def test_a_repository_is_pinned(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def pinned(given: HubWeights, most_bytes: int) -> HubWeights:
        asked.append(given)
        return given.model_copy(update={"revision": "a" * 40, "file": "model.safetensors"})

    monkeypatch.setattr(intake.hub, "pinned", pinned)
    told = tab.submit(tab.token(), where=layout.HUB, repository=" org/name@v1 ")
    tab.submit(tab.token(), where=layout.HUB, repository="org/name", hub_file="b.safetensors", name="other")
    assert asked == [
        HubWeights(repo="org/name", revision="v1"),
        HubWeights(repo="org/name", revision="main", file="b.safetensors"),
    ]
    assert f"https://huggingface.co/org/name/tree/{'a' * 40}" in told[tab.parts.page.rest]
    assert "<strong>Received</strong>" in told[tab.parts.page.head]


@pytest.mark.parametrize(
    ("architecture", "own"),
    [
        ("medsam", ("medsam", 1, ["S2", "S3", "S4", "S5", "S6"])),
        ("vit_h", ("sam", 3, ["S1", "S2", "S3", "S4", "S5", "S6"])),
    ],
)
def test_an_architecture_brings_its_own(tab: Tab, architecture: str, own: tuple[object, ...]) -> None:
    of, told = tab.parts.form, tab.actions.fit(architecture)
    assert tuple(told[part] for part in (of.preprocessing, of.candidates, of.made_for)) == own
    assert form.declared(
        {**FORM, "architecture": architecture, "preprocessing": own[0], "candidates": own[1]}
    )


def test_the_form_starts_as_its_first_architecture_has_it(tab: Tab) -> None:
    of = tab.parts.form
    told = tab.actions.fit(of.architecture.value)
    assert all(part.value == value for part, value in told.items())
    assert [of.others.value, *(of.train.value, of.all.value, of.unknown.value)] == ["unknown", [], [], []]


# Who asks


def test_who_may_not_submit_is_told_so(tab: Tab) -> None:
    ann = tab.token()
    for token, words in (
        ("", "give your token"),
        (ann[:-2], "did not make this token"),
        ("\ud800", "did not make this token"),
        (tab.token("box", "worker"), "a worker&#x27;s"),
    ):
        assert words in alert(tab, tab.submit(token, file=tab.upload(decoder())))
    tab.desk.tokens.revoke(tab.desk.tokens.check(ann).id)
    assert "revoked" in alert(tab, tab.submit(ann, file=tab.upload(decoder())))
    assert "revoked" in tab.look(ann, "")[tab.parts.who.said]
    assert tab.desk.queue.entries() == []


def test_who_submits_in_a_loop_is_slowed_down(tab: Tab) -> None:
    ann = tab.token()
    for _ in range(SUBMITTED):
        assert "give" in alert(tab, tab.submit(ann, name=""))
    assert "too often" in alert(tab, tab.submit(ann, name=""))
    assert "give" in alert(tab, tab.submit(tab.token("bob"), name=""))


def test_a_server_without_a_board_says_so_and_names_no_folder(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "state" / TERMS_FILE).unlink()
    assert alert(tab, tab.submit(tab.token(), file=tab.upload(decoder()))) == AWAY.replace("'", "&#x27;")


def test_in_a_space_one_signs_in_at_hugging_face(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "org/space")
    monkeypatch.setenv("OAUTH_CLIENT_ID", "given by the Space")
    monkeypatch.setattr("gradio.routes.attach_oauth", lambda app: None)  # it asks for an account
    with gr.Blocks() as blocks:
        parts = layout.build()
    assert buttons(blocks) == 1
    assert not parts.who.token.visible
    told = {"name": "Ann", "preferred_username": "ann", "profile": "", "picture": ""}
    profile = gr.OAuthProfile(told)
    values = {**FORM, "file": tab.upload(decoder())}
    tab.actions.submit(profile, "", "", *(values[field.name] for field in fields(layout.FormPart)))
    (entry,) = tab.desk.queue.entries()
    assert entry.identity == "hf:ann"
    told_to = tab.actions.look(profile, "", entry.id, layout.MINE)
    assert tab.may(told_to) == ["Withdraw"]
    assert "mine" in told_to[tab.parts.queue.table]
    assert tab.may(tab.look(tab.token("ann"), entry.id)) == []  # who has a token of that name is another


def test_elsewhere_one_has_a_token() -> None:
    with gr.Blocks() as blocks:
        token = layout.build().who.token
    assert (token.visible, token.type, buttons(blocks)) == (True, "password", 0)


def buttons(blocks: gr.Blocks) -> int:
    """Buttons to sign in by: outside of a Space one stops the app from starting."""
    return sum(isinstance(one, gr.LoginButton) for one in blocks.blocks.values())
