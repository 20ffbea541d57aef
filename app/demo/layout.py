"""The tab's components: what to look at and which model on the left, picture and masks on the right."""

from dataclasses import dataclass

import gradio as gr

from app.components import canvas

DATASET, OWN = "From the dataset", "My own"
PROMPTS, EVERYTHING = "Prompts", "Everything"
NO_MODEL = ("none", "")
BY_HAND = "By hand"
ABOUT_FILES = """<p class="demo-note">PNG, JPG, TIFF, NIfTI, MetaImage, NRRD or DICOM: one file, or a series
as several files or a zip. They lie in a private folder of this server until you leave the page; what could
not be opened goes within minutes. Not for patient care.</p>"""


@dataclass(frozen=True)
class PicturePart:
    """What to look at: an image of the dataset or a file, and of a volume the plane, slice and window."""

    origin: gr.Radio
    dataset: gr.Group
    modality: gr.Dropdown
    object: gr.Dropdown
    which: gr.Dropdown
    image: gr.Dropdown
    target: gr.Dropdown
    own: gr.Group
    files: gr.File
    volume: gr.Group
    frame: gr.Slider
    plane: gr.Radio
    index: gr.Slider
    window: gr.Dropdown


@dataclass(frozen=True)
class ModelPart:
    """Which models, and how they are asked."""

    model: gr.Dropdown
    second: gr.Dropdown
    mode: gr.Radio
    by_prompt: gr.Group
    stored: gr.Dropdown
    feedback: gr.Checkbox
    truth: gr.Checkbox
    by_grid: gr.Group
    grid: gr.Slider
    rating: gr.Slider
    stability: gr.Slider
    run: gr.Button


@dataclass(frozen=True)
class MaskPart:
    """The picture, twice if two models are asked, and what is made of their masks."""

    facts: gr.HTML
    first: gr.HTML
    beside: gr.Column
    second: gr.HTML
    status: gr.HTML
    candidate: gr.Radio
    results: gr.HTML
    keep: gr.Button
    drop: gr.Button
    download: gr.Button
    kept: gr.HTML


@dataclass(frozen=True)
class Parts:
    """All components of the tab."""

    picture: PicturePart
    models: ModelPart
    masks: MaskPart


def build() -> Parts:
    """Adds the components to the open block; what there is to choose comes when the tab is opened."""
    with gr.Row(elem_id="demo"):
        with gr.Column(scale=1, min_width=290):
            picture = _picture()
            chosen = _models()
        with gr.Column(scale=3, min_width=320):
            masks = _masks()
    return Parts(picture, chosen, masks)


def _picture() -> PicturePart:
    origin = gr.Radio([DATASET, OWN], value=DATASET, label="Picture")
    with gr.Group() as dataset:
        modality = gr.Dropdown([], label="Modality")
        of_object = gr.Dropdown([], label="Object")
        which = gr.Dropdown([], label="Which images")
        image = gr.Dropdown([], label="Image")
        target = gr.Dropdown([], label="Object to find (the ground truth)")
    with gr.Group(visible=False) as own:
        files = gr.File(file_count="multiple", label="Files of your own", height=150)
        gr.HTML(ABOUT_FILES, apply_default_css=False, padding=True)
    with gr.Group(visible=False) as volume:
        frame = gr.Slider(1, 2, step=1, value=1, label="Volume of the file", visible=False)
        plane = gr.Radio([], label="Plane")
        index = gr.Slider(1, 2, step=1, value=1, label="Slice")
        window = gr.Dropdown([], label="Window: what is shown, and what the model sees")
    return PicturePart(
        origin=origin,
        dataset=dataset,
        modality=modality,
        object=of_object,
        which=which,
        image=image,
        target=target,
        own=own,
        files=files,
        volume=volume,
        frame=frame,
        plane=plane,
        index=index,
        window=window,
    )


def _models() -> ModelPart:
    model = gr.Dropdown([], label="Model")
    second = gr.Dropdown([NO_MODEL], value=NO_MODEL[1], label="Second model, on the same prompts")
    mode = gr.Radio([PROMPTS, EVERYTHING], value=PROMPTS, label="Mode")
    with gr.Group() as by_prompt:
        stored = gr.Dropdown([BY_HAND], value=BY_HAND, label="Prompt", visible=False)
        feedback = gr.Checkbox(False, label="Several rounds: feed the last mask back")
        truth = gr.Checkbox(False, label="Show the ground truth", visible=False)
    with gr.Group(visible=False) as by_grid:
        grid = gr.Slider(1, 64, step=1, value=16, label="Points per side of the grid")
        rating = gr.Slider(0, 1, step=0.01, value=0.88, label="Least predicted IoU of a mask")
        stability = gr.Slider(0, 1, step=0.01, value=0.95, label="Least stability of a mask")
        run = gr.Button("Find everything", variant="primary")
    return ModelPart(
        model, second, mode, by_prompt, stored, feedback, truth, by_grid, grid, rating, stability, run
    )


def _masks() -> MaskPart:
    facts = _html()
    with gr.Row():
        with gr.Column(min_width=280):
            first = canvas.canvas("Picture to prompt", "demo-canvas")
        with gr.Column(min_width=280, visible=False) as beside:
            second = canvas.canvas("Picture with the second model's mask", "demo-canvas-2")
    status = _html()
    candidate = gr.Radio([], label="Mask shown", visible=False)
    results = _html()
    with gr.Row():
        keep = gr.Button("Keep this mask", size="sm", min_width=110)
        drop = gr.Button("Remove the kept one", size="sm", min_width=110)
        download = gr.Button("Make a file of the kept ones", size="sm", min_width=110)
    kept = _html()
    return MaskPart(facts, first, beside, second, status, candidate, results, keep, drop, download, kept)


def _html() -> gr.HTML:
    return gr.HTML(apply_default_css=False, elem_classes="board-html")
