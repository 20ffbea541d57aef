"""Folders of models that were made or added here: `ROOT/NAME/model.json` is the record of each."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cosmos1050k.errors import BadFile
from leaderboard import weights
from leaderboard.contamination import TrainedOn

RECORD = "model.json"


class NamedRecord(BaseModel):
    """A record, by the name of its folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=f"^{weights.NAME}$")
    description: str = Field(default="", pattern=r"^[^\r\n]*$", max_length=300)
    trained_on: TrainedOn = TrainedOn()


Record = TypeVar("Record", bound=NamedRecord)


def names(root: Path) -> list[str]:
    """The folders that hold a model."""
    return sorted(path.parent.name for path in root.glob(f"[!.]*/{RECORD}"))


def read(kind: type[Record], root: Path, name: str, how: str) -> Record:
    """A model's record.

    Args:
        how: such a model is had again, such as "add".

    Raises:
        BadFile: there is none, or it is not one.
    """
    file = root / name / RECORD
    remedy = f"remove {root / name} and {how} the model again"
    try:
        found = kind.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BadFile(str(file), f"can't be read ({error.strerror})", remedy) from None
    except ValidationError as error:
        raise BadFile(str(file), ": ".join(filter(None, first(error))), remedy) from None
    if found.name != name:
        raise BadFile(str(file), f"is the record of {found.name!r}", "give the folder that name")
    return found


def first(error: ValidationError) -> tuple[str, str]:
    """The first field that is wrong, empty for the record as a whole, and what is wrong with it."""
    first = error.errors()[0]
    problem = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
    return str(first["loc"][0]) if first["loc"] else "", problem
