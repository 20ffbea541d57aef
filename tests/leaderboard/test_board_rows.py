from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.board_rows import board_cases, strategies_of
from leaderboard.strategies import STRATEGIES
from tests.leaderboard.literal import slow_board

Case = dict[str, Any]
OBJECTS = ["Liver", "Lesion", "Kidney"]
MODALITIES = ["CT", "MRI"]


def case(
    name: str,
    images: dict[str, int],
    *,
    source: str = "s",
    patient: str = "",
    modality: str = "CT",
    split: str = "test",
) -> Case:
    pairs = [{"pair": f"{entry}-{modality}", "images": count} for entry, count in images.items()]
    return {
        "source": source, "case": name, "patient": patient or name, "modality": modality, "split": split,
        "pairs": pairs,
    }  # fmt: skip


@st.composite
def tables(draw: st.DrawFn, sources: tuple[str, ...] = ("a", "b")) -> list[Case]:
    """Rows of several sources' `cases.parquet`: patients with several cases, cases of two modalities."""
    keys = st.tuples(st.sampled_from(sources), st.integers(0, 11), st.sampled_from(MODALITIES))
    return [
        case(
            f"case{number}",
            draw(st.dictionaries(st.sampled_from(OBJECTS), st.integers(1, 9))),
            source=source,
            patient=f"patient{number // 3}",
            modality=modality,
            split=draw(st.sampled_from(["test", "test", "train", "validation"])),
        )
        for source, number, modality in draw(st.lists(keys, unique=True, max_size=25))
    ]


def plain(board: dict[str, Any]) -> dict[str, list[tuple[str, str, str]]]:
    return {pair: [tuple(entry) for entry in chosen] for pair, chosen in board.items()}


@given(tables(), st.integers(1, 30), st.randoms(use_true_random=False))
def test_the_board_is_the_protocols(cases: list[Case], images: int, random: Any) -> None:
    found = board_cases(cases, images)
    assert plain(found) == slow_board(cases, images)
    assert list(found) == sorted(found)
    mixed = random.sample(cases, len(cases))
    assert plain(board_cases(mixed, images)) == plain(found)


@given(tables(), st.integers(1, 30))
def test_a_board_has_images_enough_and_not_a_case_more(cases: list[Case], images: int) -> None:
    counts = {
        (c["source"], c["case"], c["modality"], entry["pair"]): entry["images"]
        for c in cases
        for entry in c["pairs"]
    }
    test = [key for key in counts if any(key[:3] == _key(c) for c in cases if c["split"] == "test")]
    for pair, chosen in board_cases(cases, images).items():
        each = [counts[(*entry, pair)] for entry in chosen]
        assert sum(each[:-1]) < images
        assert sum(each) >= images or len(chosen) == sum(key[3] == pair for key in test)


def _key(case: Case) -> tuple[str, str, str]:
    return case["source"], case["case"], case["modality"]


@given(tables(("a", "b")), tables(("c",)), st.integers(1, 30))
def test_a_new_source_adds_no_old_case_to_a_pairs_board(
    old: list[Case], new: list[Case], images: int
) -> None:
    before, after = board_cases(old, images), board_cases([*new, *old], images)
    for pair, chosen in after.items():
        kept = [entry for entry in chosen if entry.source != "c"]
        assert kept == before.get(pair, [])[: len(kept)]


def test_the_last_case_counts_whole() -> None:
    cases = [case(f"case{number}", {"Liver": 4}) for number in range(5)]
    for images, expected in ((1, 1), (4, 1), (5, 2), (8, 2), (9, 3), (20, 5), (99, 5)):
        assert len(board_cases(cases, images)["Liver-CT"]) == expected


def test_the_cases_of_a_patient_stand_together() -> None:
    cases = [case(f"case{n}", {"Liver": 1}, patient=f"patient{n % 4}") for n in range(16)]
    chosen = [entry.case for entry in board_cases(cases, 99)["Liver-CT"]]
    patients = [int(name.removeprefix("case")) % 4 for name in chosen]
    assert [patients[place] for place in (0, 4, 8, 12)] == patients[::4]
    assert all(len(set(patients[place : place + 4])) == 1 for place in (0, 4, 8, 12))


def test_train_and_validation_are_never_on_a_board() -> None:
    cases = [case(split, {"Liver": 4}, split=split) for split in ("train", "validation", "test")]
    assert plain(board_cases(cases, 99)) == {"Liver-CT": [("s", "test", "CT")]}
    assert board_cases(cases[:2], 99) == {}


@given(tables(), st.integers(1, 30), st.integers(1, 30), st.permutations(list(STRATEGIES)), st.integers(0, 6))
def test_everything_has_a_board_of_its_own(
    cases: list[Case], images: int, everything: int, names: list[str], count: int
) -> None:
    names = names[:count]
    found = strategies_of(cases, iter(names), images=images, images_everything=everything)
    for name in names:
        enough = everything if name == "S1" else images
        expected = {entry for chosen in slow_board(cases, enough).values() for entry in chosen}
        assert {tuple(entry) for entry, given in found.items() if name in given} == expected
    assert all([name for name in names if name in given] == list(given) for given in found.values())


def test_the_order_is_fixed_for_good() -> None:
    # Another order is another board: whoever changes it changes the protocol's version.
    cases = [case(f"case{number}", {"Liver": 1}) for number in range(6)]
    order = [entry.case for entry in board_cases(cases, 6)["Liver-CT"]]
    assert order == [f"case{number}" for number in (0, 1, 3, 4, 5, 2)]


@pytest.mark.parametrize("images", [1, 100])
def test_no_case_no_board(images: int) -> None:
    assert board_cases([], images) == {}
    assert strategies_of([], ["S1", "S5"], images=images, images_everything=images) == {}
