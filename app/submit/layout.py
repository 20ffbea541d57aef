"""The tab's components: the form on the left, a submission and the queue on the right."""

from dataclasses import dataclass

import gradio as gr

from app import board, links
from app.options import signs_in
from app.submit.linked import SUBMIT, Link
from leaderboard.contamination import HOWS, How
from leaderboard.models.base import ALL
from leaderboard.submissions.declared import ARCHITECTURES

FILE, HUB = "A file", "A repository on the Hugging Face Hub"
EVERYBODY, MINE = "Everybody's", "Mine"
#: Of sources that are not named nobody can say that they were trained on as COSMOS splits them.
OTHERS: tuple[How, ...] = ("unknown", "none", "all")
#: Seconds between two looks at a submission that has not ended.
_EVERY_S = 2
_TITLES = {
    "vit_b": "SAM ViT-B",
    "vit_l": "SAM ViT-L",
    "vit_h": "SAM ViT-H",
    "medsam": "MedSAM",
    "nano": "SAM nano",
}
_ABOUT = """<p class="board-said">Your model is scored on the board's test images by the same program as the
others, and ranked beside them. It must be of one of these architectures, as <code>.safetensors</code>: a
whole model, or its mask decoder alone. Of a <code>.pth</code> or <code>.pt</code> file,
<code>cosmos convert</code> makes one.</p>"""
_ABOUT_FILES = """<p class="demo-note">This page takes files of up to 512 MB, unless whoever runs this server
says otherwise; larger ones come by <code>cosmos submit</code> or from the Hub. What was sent is kept for ten
minutes, until you submit it.</p>"""
_ABOUT_TRAINING = """<p class="demo-note">What it was trained on decides which scores are marked as perhaps
seen in training. What is not said counts as unknown.</p>"""


@dataclass(frozen=True)
class WhoPart:
    """Who asks."""

    token: gr.Textbox
    said: gr.HTML


@dataclass(frozen=True)
class FormPart:
    """What is said of a model, in the order in which it is handed over."""

    name: gr.Textbox
    architecture: gr.Dropdown
    preprocessing: gr.Radio
    candidates: gr.Radio
    made_for: gr.CheckboxGroup
    where: gr.Radio
    file: gr.File
    repository: gr.Textbox
    hub_file: gr.Textbox
    train: gr.Dropdown
    all: gr.Dropdown
    unknown: gr.Dropdown
    others: gr.Radio
    licence: gr.Textbox
    contact: gr.Textbox
    link: gr.Textbox
    description: gr.Textbox


@dataclass(frozen=True)
class PagePart:
    """One submission. `following`: its id; `seen`: what of the page the browser has."""

    whole: gr.Column
    head: gr.HTML
    pulse: gr.HTML
    withdraw: gr.Button
    requeue: gr.Button
    hide: gr.Button
    unhide: gr.Button
    done: gr.HTML
    rest: gr.HTML
    following: gr.Textbox
    seen: gr.Textbox
    timer: gr.Timer

    @property
    def buttons(self) -> tuple[gr.Button, ...]:
        return self.withdraw, self.requeue, self.hide, self.unhide


@dataclass(frozen=True)
class QueuePart:
    """All submissions."""

    whose: gr.Radio
    refresh: gr.Button
    table: gr.HTML
    disk: gr.HTML


@dataclass(frozen=True)
class Parts:
    """All components of the tab."""

    who: WhoPart
    form: FormPart
    at_file: gr.Group
    at_hub: gr.Group
    send: gr.Button
    said: gr.HTML
    page: PagePart
    queue: QueuePart


def build() -> Parts:
    """Adds the components to the open block; what hangs on the queue comes when the tab is opened."""
    with gr.Row(elem_id="submit"):
        with gr.Column(scale=2, min_width=300):
            gr.HTML(f"<h2>Submit a model</h2>{_ABOUT}", apply_default_css=False, elem_classes="board-html")
            who = _who()
            form, at_file, at_hub = _form()
            send = gr.Button("Submit", variant="primary")
            said = _html()
        with gr.Column(scale=3, min_width=300):
            page = _page()
            queue = _queue()
    return Parts(who, form, at_file, at_hub, send, said, page, queue)


def _who() -> WhoPart:
    if signs_in():  # elsewhere the button stops the app from starting
        gr.LoginButton()
    token = gr.Textbox(
        type="password",
        label="Token",
        info="Of whoever runs this server. It also shows which submissions are yours.",
        visible=not signs_in(),
        html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
    )
    return WhoPart(token, _html())


def _form() -> tuple[FormPart, gr.Group, gr.Group]:
    name = gr.Textbox(
        label="Name", info="On the board: lower-case letters, digits, - and _", max_lines=1, max_length=64
    )
    architecture = gr.Dropdown(
        [(_TITLES[one], one) for one in ARCHITECTURES], value=ARCHITECTURES[0], label="Architecture"
    )
    preprocessing = gr.Radio([("SAM's", "sam"), ("MedSAM's", "medsam")], value="sam", label="Preprocessing")
    candidates = gr.Radio([1, 3], value=3, label="Masks per prompt")
    made_for = gr.CheckboxGroup(
        [(board.title(one), one) for one in ALL], value=list(ALL), label="Prompts it was made for"
    )
    where = gr.Radio([FILE, HUB], value=FILE, label="Weights")
    with gr.Group() as at_file:
        file = gr.File(file_types=[".safetensors"], label="Safetensors file", height=140)
        gr.HTML(_ABOUT_FILES, apply_default_css=False, padding=True)
    with gr.Group(visible=False) as at_hub:
        repository = gr.Textbox(
            label="Repository", placeholder="org/name@revision", info="Public", max_lines=1, max_length=400
        )
        hub_file = gr.Textbox(label="Its file, if it has several", max_lines=1, max_length=200)
    with gr.Accordion("What it was trained on", open=True):
        gr.HTML(_ABOUT_TRAINING, apply_default_css=False, elem_classes="board-html")
        train = gr.Dropdown([], value=[], multiselect=True, label="On the COSMOS train split of")
        whole = gr.Dropdown([], value=[], multiselect=True, label="On all of")
        unknown = gr.Dropdown([], value=[], multiselect=True, label="On an unknown part of")
        others = gr.Radio(
            [(HOWS[one].capitalize(), one) for one in OTHERS], value=OTHERS[0], label="Of all other sources"
        )
    licence = gr.Textbox(label="Licence of the weights", max_lines=1, max_length=100)
    contact = gr.Textbox(
        label="Contact", info="Only you and whoever runs this server see it", max_lines=1, max_length=200
    )
    link = gr.Textbox(
        label="Link, to a paper or code (optional)", placeholder="https://", max_lines=1, max_length=300
    )
    description = gr.Textbox(label="Description, one line (optional)", max_lines=1, max_length=300)
    form = FormPart(
        name=name,
        architecture=architecture,
        preprocessing=preprocessing,
        candidates=candidates,
        made_for=made_for,
        where=where,
        file=file,
        repository=repository,
        hub_file=hub_file,
        train=train,
        all=whole,
        unknown=unknown,
        others=others,
        licence=licence,
        contact=contact,
        link=link,
        description=description,
    )
    return form, at_file, at_hub


def _page() -> PagePart:
    following, seen = (gr.Textbox("", visible="hidden", label=label) for label in ("Followed", "Seen"))
    with gr.Column(visible=False) as whole:
        head, pulse = _html(), _html()
        with gr.Row():
            withdraw, requeue, hide, unhide = (
                gr.Button(label, size="sm", min_width=110, scale=0, visible=False)
                for label in ("Withdraw", "Queue again", "Hide", "Show again")
            )
        done, rest = _html(), _html()
    return PagePart(
        whole=whole,
        head=head,
        pulse=pulse,
        withdraw=withdraw,
        requeue=requeue,
        hide=hide,
        unhide=unhide,
        done=done,
        rest=rest,
        following=following,
        seen=seen,
        timer=gr.Timer(_EVERY_S, active=False),
    )


def _queue() -> QueuePart:
    link = links.html(Link(), SUBMIT, "Link to this page")
    gr.HTML(f"<h2>The queue</h2>{link}", apply_default_css=False, elem_classes="board-html")
    with gr.Row():
        whose = gr.Radio([EVERYBODY, MINE], value=EVERYBODY, label="Whose submissions", scale=3)
        refresh = gr.Button("Refresh", size="sm", min_width=110, scale=1)
    return QueuePart(whose, refresh, _html(), _html())


def _html() -> gr.HTML:
    """Its links within the tab are events."""
    return gr.HTML(apply_default_css=False, elem_classes="board-html", js_on_load=links.clicks(SUBMIT))
