"""What the API takes and answers, as its OpenAPI describes it. Units stand with each field."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from leaderboard.contamination import TrainedOn
from leaderboard.models.base import StrategyName

#: What may be left out.
Given = str | SkipJsonSchema[None]
Selection = Literal["oracle", "predicted_iou"]
Share = Annotated[float | None, Field(description="0…1; null: no score")]
End = Annotated[float | None, Field(description="End of the 95 % interval of the mean; null: none is given")]


class Answer(BaseModel):
    """Read from the store's own records."""

    model_config = ConfigDict(from_attributes=True, ser_json_inf_nan="null")


class Refusal(BaseModel):
    """Why there is no answer, and what to do."""

    detail: str = Field(description="One sentence")


class Question(BaseModel):
    """The tab's filters. What is left out filters nothing; what is unknown is refused."""

    model_config = ConfigDict(extra="forbid")
    strategy: StrategyName = Field(
        "S5", description="The prompts: S1 everything … S5 box, S6 box and a point"
    )
    selection: Selection = Field("oracle", description="What chooses among a model's candidate masks")
    modality: Given = Field(None, description="Such as CT")
    object: Given = Field(None, description="Such as Liver")
    pair: Given = Field(None, description="Such as Liver-CT")
    source: Given = Field(None, description="Slug of a source")
    contact: Given = Field(
        None, description="What a row is to a model: other_source, same_source, may_contain"
    )
    kind: list[str] = Field([], description="Kinds of models, repeatable; none: all")
    search: str = Field("", max_length=200, description="Part of a name or a description, in any case")


class Cell(Answer):
    """A model's score under one strategy, or why it has none."""

    dice: Share
    low: End
    high: End
    rank: int | None = Field(description="Models share one that can't be told apart; null: not ranked")
    reason: str = Field(description="Why the strategy does not apply; empty: it does")
    missing: str = Field(description="How much is scored, if not all")
    greyed: bool = Field(description="The model was not made for this strategy")
    doubtful: bool = Field(description="A value of the paper's that its scan lost digits of")


class Facts(Answer):
    """Which board this is."""

    build_id: str
    dataset_version: str
    protocol_version: int
    images: int
    pairs: int
    patients: int
    sources: list[str]
    phantoms: list[str] = Field(description="Sources whose images are synthetic")
    bootstrap_draws: int
    notices: list[str] = Field(description="What must be said wherever these numbers are shown")


class Row(Answer):
    """A model under the filter."""

    model: str
    kind: str
    description: str
    cell: Cell = Field(description="The score that ranks")
    hausdorff: float | None = Field(description="Mean Hausdorff distance in pixels; null: no mask to measure")
    empties: int | None = Field(description="Masks without a pixel")
    failures: int | None = Field(description="Objects that the model failed at")
    pairs: int = Field(description="Pairs that the model has, of `of_pairs`")
    of_pairs: int
    milliseconds: float | None = Field(description="From image to masks on `timed_on`; null: unmeasured")
    timed_on: str | None
    fastest: bool = Field(description="No model timed there is both faster and better")
    parameters: int | None
    date: str | None = Field(description="Of the newest run")
    verified_on: str | None = Field(description="When a share of its scores was made again")
    numerics: str
    tolerance: float | None = Field(description="What the numerics may change of a pair's DICE")
    cells: dict[str, Cell] = Field(description="Strategy → its score in the same scope")


class Board(Answer):
    """The ranked table."""

    board: Facts
    strategy: str
    selection: str
    pairs: int = Field(description="Pairs that the filter leaves")
    ranked: bool
    note: str = Field(description="Why there is no rank or interval; empty: there is")
    rows: list[Row]


class Model(Answer):
    """A model's declaration, and what was measured of it."""

    name: str
    kind: str
    description: str
    version: int
    preprocessing: str
    candidates: int
    applies: list[str]
    made_for: list[str]
    parameters: int
    weights_sha256: str | None
    base: str | None
    trained_on: Annotated[TrainedOn, BeforeValidator(TrainedOn.model_validate_json)] = Field(
        description="Of each source: none, its split train, all, or unknown; and of the others"
    )
    device: str
    dtype: str
    submitted: bool
    tolerance: float | None
    verified: float | None = Field(description="Largest difference of an object's DICE when made again")
    verified_on: str | None
    encoder_ms: float | None = Field(description="Milliseconds of the encoder per image on `timed_on`")
    timed_on: str | None


class Models(Answer):
    """The models of the board, in its own order."""

    models: list[Model]


class Measured(Answer):
    """What was measured of a model under one strategy."""

    strategy: str
    prompt_ms: float | None = Field(description="Milliseconds of a prompt, the encoder apart")
    shift_pixels: str | None = Field(description="By how much the prompt was shifted")
    drop: float | None = Field(description="DICE lost by that")


class Run(Answer):
    """A run over one source, with the parts of its scores' key."""

    source: str
    source_version: str
    scores: int
    failed_cases: int
    failed_images: int
    device: str
    dtype: str
    date: str
    seconds: float


class Score(Answer):
    """A model on a pair under one strategy and one selection."""

    pair: str
    model: str
    strategy: str
    selection: str
    dice: Share
    low: End
    high: End
    rank: int | None
    hausdorff: float | None = Field(description="Pixels")
    assd: float | None = Field(description="Average symmetric surface distance, pixels")
    jaccard: Share
    empties: int
    failures: int
    images: int
    patients: int


class ModelPage(Answer):
    """All that the board has of a model."""

    declaration: Model
    protocol_version: int
    not_applicable: dict[str, str] = Field(description="Strategy → why it does not apply")
    measured: list[Measured]
    runs: list[Run]
    scores: list[Score] = Field(description="Per pair, strategy and selection")


class Pair(Answer):
    """An object–modality pair: its images are those of the board."""

    pair: str
    object: str
    modality: str
    phantom: bool = Field(description="Some of its images are synthetic")
    images: int
    patients: int
    objects: int


class Pairs(Answer):
    """The board's pairs, sorted."""

    pairs: list[Pair]


class Source(Answer):
    """What a source gives to a pair."""

    source: str
    objects: int
    images: int
    patients: int


class PairPage(Answer):
    """All that the board has of a pair."""

    pair: Pair
    sources: list[Source]
    scores: list[Score] = Field(description="Per model, strategy and selection")


class Candidate(Answer):
    """A mask that the model offers."""

    predicted_iou: float = Field(description="The model's own rating")
    area: int = Field(description="Pixels")
    png: str = Field(description="Base64 of a PNG of the picture's size: 255 in the mask, 0 outside")
    outlines: list[list[tuple[int, int]]] = Field(description="Borders and those of holes: centres of pixels")


class Prompted(Answer):
    """A model's answer."""

    notice: str
    note: str = Field(description="What was chosen of what was sent; empty: nothing was left out")
    model: str
    width: int
    height: int
    plane: str
    slice: int
    slices: int = Field(description="How many the plane has")
    spacing_mm: tuple[float, float] | None = Field(description="Between rows, between columns; null: unknown")
    candidates: list[Candidate]
    best: int = Field(description="Place of the candidate that the model rates highest")
    milliseconds: float = Field(description="The model's time")
