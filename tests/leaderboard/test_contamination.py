"""What a model saw: worked cases, and a plain world of patients in which it is looked up who was seen."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from leaderboard.contamination import CONTACTS, HOWS, TrainedOn, contact

SOURCES = ("acdc", "drive", "kits19", "kits21")
SPLITS = ("train", "validation", "test")
NOTHING = TrainedOn(others="none")

hows = st.sampled_from(list(HOWS))
trainings = st.builds(TrainedOn, others=hows, sources=st.dictionaries(st.sampled_from(SOURCES), hows))


@pytest.mark.parametrize(
    ("trained", "kin", "split", "expected"),
    [
        ({"others": "none"}, ["kits21"], "test", "other_source"),
        ({"others": "none"}, ["kits21"], "train", "other_source"),
        ({}, ["kits21"], "test", "may_contain"),
        ({"others": "all"}, ["kits21"], "test", "may_contain"),
        ({"others": "none", "sources": {"kits21": "train"}}, ["kits21"], "test", "same_source"),
        ({"others": "none", "sources": {"kits21": "train"}}, ["kits21"], "train", "may_contain"),
        ({"others": "none", "sources": {"kits21": "train"}}, ["kits21"], "validation", "may_contain"),
        ({"others": "none", "sources": {"kits21": "all"}}, ["kits21"], "test", "may_contain"),
        ({"others": "none", "sources": {"kits21": "unknown"}}, ["kits21"], "test", "may_contain"),
        # The patient is one of KiTS19's too.
        ({"others": "none", "sources": {"kits19": "all"}}, ["kits19", "kits21"], "test", "may_contain"),
        ({"others": "none", "sources": {"kits19": "train"}}, ["kits19", "kits21"], "test", "other_source"),
        ({"others": "none", "sources": {"kits19": "train"}}, ["kits19", "kits21"], "train", "may_contain"),
        ({"sources": {"kits19": "none", "kits21": "train"}}, ["kits19", "kits21"], "test", "same_source"),
        # And of KiTS19 another patient was seen.
        ({"others": "none", "sources": {"kits19": "all"}}, ["kits21"], "test", "other_source"),
        ({"sources": {"kits21": "none"}}, ["kits21"], "test", "other_source"),
    ],
)
def test_worked_cases(trained: dict[str, Any], kin: list[str], split: str, expected: str) -> None:
    found = contact(TrainedOn(**trained), "kits21", kin, split)
    assert found == expected
    assert CONTACTS[found]


@given(
    trained=trainings,
    world=st.lists(st.tuples(st.sampled_from(SPLITS), st.sets(st.sampled_from(SOURCES), min_size=1))),
)
def test_in_a_world_of_patients(trained: TrainedOn, world: list[tuple[str, set[str]]]) -> None:
    """Of a source it saw nothing, may have seen all, or all but test: weights are chosen on validation."""
    rows = [(patient, source) for patient, (_, own) in enumerate(world) for source in own]
    seen = set()
    for patient, source in rows:
        how = trained.of(source)
        if how in ("all", "unknown") or (how == "train" and world[patient][0] != "test"):
            seen.add(patient)
    for patient, source in rows:
        split, kin = world[patient]
        if patient in seen:
            expected = "may_contain"
        else:
            expected = "other_source" if trained.of(source) == "none" else "same_source"
        assert contact(trained, source, kin, split) == expected


@given(trainings, trainings)
def test_of_two_trainings_the_more_counts(one: TrainedOn, other: TrainedOn) -> None:
    order = ["none", "train", "all", "unknown"]
    both = one.merged(other)
    for source in (*SOURCES, "unheard of"):
        more = max(order.index(one.of(source)), order.index(other.of(source)))
        assert both.of(source) == order[more]
    assert both == other.merged(one) == both.merged(one)
    assert NOTHING.merged(one) == one
    assert TrainedOn().merged(one) == TrainedOn()


@given(trainings)
def test_what_is_meant_alike_is_equal_and_written_alike(trained: TrainedOn) -> None:
    spelled = {source: trained.of(source) for source in reversed(SOURCES)}
    other = TrainedOn(others=trained.others, sources=spelled)
    assert trained == other
    assert hash(trained) == hash(other)
    assert trained.model_dump_json() == other.model_dump_json()
    assert TrainedOn.model_validate_json(trained.model_dump_json()) == trained


def test_nothing_said_is_unknown() -> None:
    assert {TrainedOn().of(source) for source in SOURCES} == {"unknown"}


@pytest.mark.parametrize("content", [{"others": "some"}, {"sources": {"drive": "test"}}, {"drive": "all"}])
def test_it_is_closed(content: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainedOn.model_validate(content)


@pytest.mark.parametrize(
    ("trained", "words"),
    [
        ({"others": "none"}, "nothing of any source"),
        ({}, "an unknown part of any source"),
        (
            {"others": "none", "sources": {"drive": "train", "acdc": "train", "camus": "all"}},
            "the split train of acdc, drive; all of camus; nothing of any other source",
        ),
    ],
)
def test_it_is_said_in_words(trained: dict[str, Any], words: str) -> None:
    assert str(TrainedOn(**trained)) == words
