"""What a model was trained on, and what that makes of a row that it is scored on."""

from collections.abc import Collection
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

#: Of a source a model was trained on nothing, on its train split as COSMOS has it, on all, or nobody knows.
How = Literal["none", "train", "all", "unknown"]
#: From the least to the most that it may have seen, and how that is said of a source.
HOWS: dict[How, str] = {
    "none": "nothing",
    "train": "the split train",
    "all": "all",
    "unknown": "an unknown part",
}
Contact = Literal["other_source", "same_source", "may_contain"]
#: What a row is to a model, and how that is said.
CONTACTS: dict[Contact, str] = {
    "other_source": "other source",
    "same_source": "same source, other patients",
    "may_contain": "may contain this case",
}


class TrainedOn(BaseModel):
    """What a model was trained on, per source; `others` holds for those that are not named.

    What is said of a source that holds for the others anyway is dropped: what is meant alike is equal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    others: How = "unknown"
    sources: dict[str, How] = {}

    @field_validator("sources")
    @classmethod
    def _in_order(cls, sources: dict[str, How], info: ValidationInfo) -> dict[str, How]:
        return {name: how for name, how in sorted(sources.items()) if how != info.data.get("others")}

    def __hash__(self) -> int:
        return hash((self.others, *self.sources.items()))

    def __str__(self) -> str:
        """In words, such as `the split train of acdc, drive; nothing of any other source`."""
        named = {how: [name for name, own in self.sources.items() if own == how] for how in HOWS}
        said = [f"{HOWS[how]} of {', '.join(names)}" for how, names in named.items() if names]
        return "; ".join([*said, f"{HOWS[self.others]} of any {'other ' if said else ''}source"])

    def of(self, source: str) -> How:
        return self.sources.get(source, self.others)

    def merged(self, other: "TrainedOn") -> "TrainedOn":
        """What a model was trained on that was trained twice: of each source the more."""
        names = self.sources.keys() | other.sources.keys()
        return TrainedOn(
            others=_more(self.others, other.others),
            sources={name: _more(self.of(name), other.of(name)) for name in names},
        )


def contact(trained: TrainedOn, source: str, kin: Collection[str], split: str) -> Contact:
    """What a row is to a model. Rows of the split validation count as seen: weights are chosen by them.

    Args:
        source, split: of the row.
        kin: the sources that have a patient of the row's group. A group is never split, so who was trained
            on the train split of one of them has seen no test patient of any.
    """
    hows = {trained.of(name) for name in {source, *kin}}
    if hows & {"all", "unknown"} or ("train" in hows and split != "test"):
        return "may_contain"
    return "same_source" if trained.of(source) == "train" else "other_source"


def _more(one: How, other: How) -> How:
    return max(one, other, key=list(HOWS).index)
