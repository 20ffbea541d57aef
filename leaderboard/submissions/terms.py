"""What submissions are scored on and how many are taken: the board's terms, written whenever it is made."""

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cosmos1050k.disk import replace_text
from cosmos1050k.errors import BadFile, InputError
from leaderboard.evaluate import BoardRows, EvaluateOptions
from leaderboard.machine import Device
from leaderboard.store.build import BoardOptions

#: Below the folder of the state.
TERMS = "terms.json"


class Limits(BaseModel):
    """`submissions` in params.yaml: how many are taken, and what a run may take.

    Args:
        weekly_quota: runs of one identity that reached scoring in seven days.
        open_at_once: submissions of one identity that have not ended.
        max_upload_mb: of a file of weights, sent along or fetched.
        lease_s: how long a worker may be silent until its work goes back into the queue.
        retries, backoff_s: how often a run that failed by no fault of the model is tried again, and how long
            after the first time; four times as long after each other.
        losses: how often a worker may vanish with it.
        check_images: those of the quick check before the run.
        run_hours, memory_gb: what one run may take.
        image_timeout_s: of a part of a case, per image.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    weekly_quota: int = Field(default=10, ge=1)
    open_at_once: int = Field(default=20, ge=1)
    max_upload_mb: int = Field(default=3000, ge=1)
    lease_s: float = Field(default=120, gt=0)
    retries: int = Field(default=3, ge=0)
    backoff_s: float = Field(default=30, ge=0)
    losses: int = Field(default=10, ge=1)
    check_images: int = Field(default=24, ge=1)
    run_hours: float = Field(default=24, gt=0)
    memory_gb: float = Field(default=16, gt=0)
    image_timeout_s: float = Field(default=600, gt=0)

    @property
    def most_bytes(self) -> int:
        return self.max_upload_mb * 1_000_000


class Terms(BaseModel):
    """What the board is of, and so what a submission's scores must be of.

    Args:
        sources: slug → version, in the board's order.
        models: those of params.yaml, in its order.
        device, numerics: how the board's models compute; a submission's run computes alike.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    sources: dict[str, str]
    models: tuple[str, ...]
    protocol_version: int
    evaluate: EvaluateOptions
    board_rows: BoardRows
    board: BoardOptions
    device: Device
    numerics: str
    limits: Limits = Limits()

    @property
    def key(self) -> str:
        """Equal for boards that take the same scores."""
        decides = self.model_dump(mode="json", exclude={"models", "board", "limits"})
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def folder(self) -> str:
        """`<protocol>-<numerics>`, such as `1-cpu-float32`."""
        return folder(self.protocol_version, self.device, self.numerics)


def folder(protocol_version: int, device: str, numerics: str) -> str:
    """What the folder of a run's scores is called."""
    return "-".join([str(protocol_version), device, *numerics.replace(",", "").split()])


def write(terms: Terms, state: Path) -> None:
    """Writes the terms for who takes submissions.

    Raises:
        InputError: the folder can't be written.
    """
    replace_text(state / TERMS, terms.model_dump_json(indent=1) + "\n")


def read(state: Path) -> Terms:
    """The board's terms.

    Raises:
        InputError: there are none, or they are damaged.
    """
    path = state / TERMS
    try:
        return Terms.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: missing, so no submission can be scored; run `make repro`") from None
    except (OSError, ValidationError):
        raise BadFile(str(path), "damaged or of another release", "run `make repro`") from None
