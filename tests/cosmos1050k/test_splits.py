"""A patient's split: 70/10/20 by a keyed hash, whole groups together, official test cases in test."""

from collections import Counter
from pathlib import Path

import pytest

from cosmos1050k import splits
from cosmos1050k.errors import InputError
from cosmos1050k.source import Case, Label, Mask
from cosmos1050k.splits import assign, split_of_group, uniform

HEADER = "source,patient,group,official_test\n"


def case(patient: str, *, name: str | None = None, official_test: bool = False) -> Case:
    return Case(
        case=name or "c",
        patient=patient,
        modality="CT",
        image=f"{patient}.nii.gz",
        masks=(Mask(file=f"{patient}_seg.nii.gz", labels=(Label(object="Liver", value=1),)),),
        view="transverse",
        official_test=official_test,
    )


def groups(folder: Path, *lines: str) -> Path:
    """A groups.csv of its own folder: what was read once is not read again."""
    path = folder / "groups.csv"
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_known_values_never_change() -> None:
    """Each would move cases of every source, published scores with them."""
    assert uniform("sample/mni") == 0.5185441317690164
    assert uniform("kits19/case_00000") == 0.3462686591221939
    assert uniform("msd/α") == 0.5208401130221175
    assert [split_of_group(f"a/{number}") for number in (0, 7, 10)] == ["train", "test", "validation"]


def test_the_shares_are_70_10_20() -> None:
    """Of 20,000 patients; five standard deviations of a binomial are allowed."""
    number = 20_000
    found = Counter(assign("src", [case(str(patient)) for patient in range(number)]).values())
    for split, share in (("train", 0.7), ("validation", 0.1), ("test", 0.2)):
        assert abs(found[split] - share * number) < 5 * (number * share * (1 - share)) ** 0.5
    assert sum(found.values()) == number


def test_the_bounds_are_at_seven_and_eight_tenths() -> None:
    for number in range(5000):
        place = uniform(f"g{number}")
        assert split_of_group(f"g{number}") == [*["train"] * 7, "validation", "test", "test"][int(place * 10)]


def test_the_hash_is_uniform_and_depends_on_its_key() -> None:
    places = [uniform(f"p{number}") for number in range(20_000)]
    tenths = Counter(int(place * 10) for place in places)
    assert set(tenths) == set(range(10))
    assert all(abs(count - 2000) < 5 * (20_000 * 0.09) ** 0.5 for count in tenths.values())
    assert uniform("p0", key=b"other") != uniform("p0")


def test_a_new_case_or_source_moves_no_other() -> None:
    patients = [case(str(number)) for number in range(300)]
    alone = assign("one", patients[:200])
    assert assign("one", reversed(patients)).items() >= alone.items()
    for patient, split in alone.items():
        assert assign("one", [case(patient)]) == {patient: split}
    # Another source is another draw, not a copy of the first.
    other = assign("two", patients[:200])
    assert 0 < sum(other[patient] == split for patient, split in alone.items()) < 200


def test_all_cases_of_a_patient_share_a_split() -> None:
    many = [case("p", name=f"p-{phase}") for phase in range(5)]
    assert list(assign("src", many)) == ["p"]


def test_an_official_test_case_takes_its_patient_along() -> None:
    train = next(str(number) for number in range(99) if split_of_group(f"src/{number}") == "train")
    cases = [case(train, name="first"), case(train, name="second", official_test=True)]
    assert assign("src", cases[:1]) == {train: "train"}
    assert assign("src", cases) == {train: "test"}
    assert assign("src", iter(cases)) == {train: "test"}


def test_a_shared_group_shares_its_split(tmp_path: Path) -> None:
    lines = [f"{source},{number},g{number},no" for number in range(200) for source in ("one", "two")]
    table = groups(tmp_path, *lines)
    patients = [case(str(number)) for number in range(201)]
    one, two = assign("one", patients, table), assign("two", patients, table)
    for number in range(200):
        assert one[str(number)] == two[str(number)] == split_of_group(f"g{number}")
    # Patient 200 is in no line: it is as if there were no file.
    assert one["200"] == assign("one", [case("200")])["200"] == split_of_group("one/200")


def test_the_files_official_test_moves_the_whole_group(tmp_path: Path) -> None:
    train = next(f"g{number}" for number in range(99) if split_of_group(f"g{number}") == "train")
    table = groups(tmp_path, f"one,a,{train},no", f"two,b,{train},yes", f"two,c,{train},")
    assert assign("one", [case("a")], table) == {"a": "test"}
    assert assign("two", [case("b"), case("c")], table) == {"b": "test", "c": "test"}


def test_an_official_test_case_moves_its_group_within_its_source(tmp_path: Path) -> None:
    train = next(f"g{number}" for number in range(99) if split_of_group(f"g{number}") == "train")
    table = groups(tmp_path, f"one,a,{train},no", f"one,b,{train},no")
    assert assign("one", [case("a"), case("b")], table) == {"a": "train", "b": "train"}
    assert assign("one", [case("a"), case("b", official_test=True)], table) == {"a": "test", "b": "test"}


def test_a_test_case_that_other_sources_are_not_told_of_is_refused(tmp_path: Path) -> None:
    """The other source's build sees groups.csv alone; unmarked, the patient could be trained on there."""
    table = groups(tmp_path, "one,a,g,no", "two,b,g,no")
    assert assign("one", [case("a")], table) == {"a": split_of_group("g")}
    with pytest.raises(InputError, match="official_test of group g must be yes, since one has it"):
        assign("one", [case("a", official_test=True)], table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the header must be source,patient,group,official_test"),
        ("# nothing but a comment\n", "the header must be"),
        ("source,patient,group\n", "the header must be"),
        ("patient,source,group,official_test\n", "the header must be"),
        (HEADER + "one,a,g\n", "'one,a,g'"),
        (HEADER + "one,a\n", "the line 'one,a' must have four values"),
        (HEADER + "one,,g,no\n", "the line 'one,,g,no' must have four values"),
        (HEADER + "one,a,,no\n", "the line 'one,a,,no' must have four values"),
        (HEADER + ",a,g,no\n", "the line ',a,g,no' must have four values"),
        (HEADER + "one,a,g,no,more\n", "the line 'one,a,g,no,more' must have four values"),
        (HEADER + "one,a,g,True\n", "official_test in 'one,a,g,True' must be yes or no"),
        (HEADER + "one,a,g,no\none,a,h,no\n", "one/a is in two groups"),
    ],
    ids=[
        "empty", "comment", "short header", "other order", "three", "two", "no patient", "no group",
        "no source", "five", "True", "two groups",
    ],
)  # fmt: skip
def test_a_file_out_of_order_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        assign("one", [case("a")], path)
    assert str(caught.value).startswith("groups.csv: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_comments_blank_lines_quotes_and_repeats_are_fine(tmp_path: Path) -> None:
    table = groups(tmp_path, "# Zürich", "", "  ", 'one,"a, b",g,no', 'one,"a, b",g,yes', "one,c,h,no")
    assert assign("one", [case("a, b")], table) == {"a, b": "test"}


def test_the_committed_file_is_in_order() -> None:
    assert splits.GROUPS.is_file()
    assert assign("no_such_source", [case("a")], splits.GROUPS) == {"a": split_of_group("no_such_source/a")}
