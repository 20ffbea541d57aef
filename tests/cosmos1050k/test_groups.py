"""Patients across sources: no group crosses a split, and no source moves the cases of another."""

import csv
import shutil
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos1050k import sources
from cosmos1050k.errors import InputError
from cosmos1050k.source import Case
from cosmos1050k.splits import GROUPS, assign, group_of, kin, split_of_group
from tests import phantoms
from tests.cosmos1050k.test_splits import case, groups

SLUGS = [slug for slug in sources.slugs() if slug != "sample"]
KITS = [f"case_{number:05d}" for number in range(300)]


def found(slug: str, root: Path) -> list[Case]:
    return [entry for entry in sources.get(slug).cases(root) if isinstance(entry, Case)]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Case]]:
    """The cases of all sources but the sample. Their masks and images are of no account here."""
    cases = {}
    for slug in SLUGS:
        root = tmp_path_factory.mktemp(slug)
        phantoms.write(slug, root, patients=1)
        cases[slug] = found(slug, root)
        shutil.rmtree(root)
    return cases


def of_groups(
    cases: Mapping[str, Iterable[Case]], table: Path = GROUPS
) -> dict[str, dict[tuple[str, str], str]]:
    """Group → source and patient → split."""
    splits: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    for slug, entries in cases.items():
        for patient, split in assign(slug, entries, table).items():
            splits[group_of(slug, patient, table)][slug, patient] = split
    return splits


def lines_of(path: Path = GROUPS) -> list[dict[str, str]]:
    kept = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return list(csv.DictReader(kept))


@pytest.mark.slow
def test_no_group_crosses_a_split(everything: dict[str, list[Case]]) -> None:
    assert all(everything.values())
    splits = of_groups(everything)
    assert all(len(set(members.values())) == 1 for members in splits.values())
    assert {slug for slug, _ in splits["kits19/case_00000"]} == {"kits19", "kits21"}


def test_a_group_with_an_official_test_case_is_test_everywhere(everything: dict[str, list[Case]]) -> None:
    official = {
        group_of(slug, entry.patient)
        for slug, entries in everything.items()
        for entry in entries
        if entry.official_test
    }
    assert len(official) > 10
    for group, members in of_groups(everything).items():
        assert set(members.values()) == {"test" if group in official else split_of_group(group)}, group


def test_adding_a_source_moves_no_case_of_another(everything: dict[str, list[Case]], tmp_path: Path) -> None:
    """A source comes with its lines: without them the other sources are split as with them."""
    rows = lines_of()
    for slug in {row["source"] for row in rows}:
        others = {other: entries for other, entries in everything.items() if other != slug}
        left = [",".join(row.values()) for row in rows if row["source"] != slug]
        (tmp_path / slug).mkdir()
        without = groups(tmp_path / slug, *left)
        for other, entries in others.items():
            assert assign(other, entries, without) == assign(other, entries)
    for slug in set(SLUGS) - {row["source"] for row in rows}:
        assert all(group_of(slug, entry.patient) == f"{slug}/{entry.patient}" for entry in everything[slug])


def test_each_line_is_about_sources_that_exist() -> None:
    rows = lines_of()
    for row in rows:
        owner, _, patient = row["group"].partition("/")
        assert {row["source"], owner} <= set(SLUGS)
        assert row["source"] != owner
        assert bool(patient) != any(sign in row["patient"] for sign in "*?[")
    assert len({(row["source"], row["patient"]) for row in rows}) == len(rows)


def test_patients_of_kits19_are_the_same_in_kits21() -> None:
    """The owner's answer in issue 49 of kits21; KiTS19's 210 have the split they have without any line."""
    first = assign("kits19", [case(name) for name in KITS[:210]])
    second = assign("kits21", [case(name) for name in KITS])
    assert second.items() >= first.items()
    assert first == {name: split_of_group(f"kits19/{name}") for name in KITS[:210]}
    assert set(second.values()) == {"train", "validation", "test"}


def test_development_images_of_endotect_are_those_of_kvasir_seg(tmp_path: Path) -> None:
    """Of Kvasir-SEG's phantom as HyperKvasir packs it, and names of the real releases."""
    phantoms.write("endotect_2020", tmp_path / "endotect")
    phantoms.write("kvasir_seg", tmp_path / "kvasir", patients=30)
    development = tmp_path / "endotect/segmented-images"
    shutil.rmtree(development)
    shutil.copytree(tmp_path / "kvasir/Kvasir-SEG", development)
    theirs, ours = (
        found("endotect_2020", tmp_path / "endotect"),
        found("kvasir_seg", tmp_path / "kvasir"),
    )
    first, second = assign("kvasir_seg", ours), assign("endotect_2020", theirs)
    assert set(first.values()) == {"train", "validation", "test"}
    tests = {entry.patient for entry in theirs if entry.official_test}
    assert len(tests) == 5
    assert set(second) == tests | set(first)
    assert all(second[stem] == ("test" if stem in tests else first[stem]) for stem in second)
    for stem in ("cju0qkwl35piu0993l0dewei2", "cju0qoxqj9q6s0835b43399p4", "ck2395w2mb4vu07480otsu6tw"):
        assert group_of("endotect_2020", stem) == group_of("kvasir_seg", stem)
    name = str(uuid.UUID("c" * 32))
    assert group_of("endotect_2020", name) == f"endotect_2020/{name}"
    # Put where the test images belong, they would be test here and mostly training there.
    development.rename(development.with_name("more"))
    with pytest.raises(InputError, match="official_test of group kvasir_seg/cju"):
        assign("endotect_2020", found("endotect_2020", tmp_path / "endotect"))


def test_a_scan_that_abdomenct_1k_has_twice_is_one_of_msd() -> None:
    names = ["Case_00297", "Case_00928", "Case_00298"]
    splits = assign("abdomenct_1k", [case(name) for name in names])
    assert splits[names[0]] == splits[names[1]] == assign("msd", [case("liver_74")])["liver_74"]
    assert [group_of("abdomenct_1k", name) for name in names] == [
        "msd/liver_74", "msd/liver_74", "abdomenct_1k/Case_00298",
    ]  # fmt: skip


def test_a_pattern_groups_equal_names(tmp_path: Path) -> None:
    table = groups(tmp_path, "two,a*,one,no", "three,[ab]?,one,", "three,bb,g,no", "four,*,*,no")
    assert group_of("one", "ab", table) == group_of("two", "ab", table) == group_of("three", "ab", table)
    assert group_of("two", "ab", table) == "one/ab"
    assert group_of("two", "b", table) == "two/b"
    assert group_of("two", "A", table) == "two/A"
    assert group_of("three", "bb", table) == "g"  # the line that names it
    assert group_of("three", "bbb", table) == "three/bbb"


def test_a_patient_that_fits_two_patterns_is_refused(tmp_path: Path) -> None:
    table = groups(tmp_path, "two,a*,one,no", "two,*b,three,no", "two,?b,three,no", "two,a?b,g,no")
    assert group_of("two", "cb", table) == "three/cb"  # which fits twice, into one group
    with pytest.raises(InputError, match=r"groups\.csv: two/ab is in two groups"):
        assign("two", [case("ab")], table)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("two,a*,one,yes", "'two,a*,one,yes' must name its official test patients, a line each"),
        ("two,a*,one/a,no", "the group in 'two,a*,one/a,no' must not name one patient"),
    ],
)
def test_a_pattern_that_says_too_much_is_refused(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        assign("one", [case("a")], groups(tmp_path, line))
    assert str(caught.value) == f"groups.csv: {problem}"


@pytest.mark.parametrize("source", ["one", "two"])
def test_official_test_cases_under_a_pattern_need_a_line(tmp_path: Path, source: str) -> None:
    names = [f"a{number}" for number in range(99)]
    train = next(name for name in names if split_of_group(f"one/{name}") == "train")
    table = groups(tmp_path, "two,a*,one,no")
    assert assign(source, [case("b", official_test=True), case(train)], table) == {
        "b": "test",
        train: "train",
    }
    with pytest.raises(
        InputError, match=f"official_test of group one/{train} must be yes, since {source} has it"
    ):
        assign(source, [case(train, official_test=True)], table)
    (tmp_path / "told").mkdir()
    told = groups(tmp_path / "told", "two,a*,one,no", f"two,{train},one/{train},yes")
    for other in ("one", "two"):
        assert assign(other, [case(train, official_test=other == source)], told) == {train: "test"}


@pytest.mark.parametrize("source", ["one", "two"])
def test_a_group_named_after_a_patient_is_that_patients(tmp_path: Path, source: str) -> None:
    """Its owner needs no line, and is told, or must tell, of official test cases all the same."""
    table = groups(tmp_path, "two,b,one/a,no")
    patient = {"one": "a", "two": "b"}[source]
    assert group_of(source, patient, table) == "one/a"
    with pytest.raises(InputError, match="official_test of group one/a must be yes"):
        assign(source, [case(patient, official_test=True)], table)


PATIENTS = ("a", "b", "ab", "c")
SOURCES = ("one", "two", "three")
LINES = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(SOURCES),
            st.sampled_from(PATIENTS),
            st.sampled_from(["g", "h", "one/a", "two/b"]),
            st.sampled_from(["yes", "no", ""]),
        ),
        st.tuples(
            st.sampled_from(SOURCES),
            st.sampled_from(["*", "a*", "?", "[bc]"]),
            st.sampled_from(["one", "two", "g"]),
            st.just("no"),
        ),
    ),
    max_size=6,
)
CASES = st.fixed_dictionaries(
    {
        source: st.lists(
            st.tuples(st.sampled_from(PATIENTS), st.sampled_from([False, False, True])), max_size=6
        )
        for source in SOURCES
    }
)


def plainly(source: str, patient: str, lines: Sequence[tuple[str, ...]]) -> set[str]:
    """The groups of a patient as groups.csv's comments have it."""
    named = {group for other, name, group, _ in lines if (other, name) == (source, patient)}
    fitting = {
        f"{group}/{patient}"
        for other, name, group, _ in lines
        if other == source and name not in PATIENTS and fnmatchcase(patient, name)
    }
    return named or fitting or {f"{source}/{patient}"}


def test_random_tables_and_cases_keep_groups_whole(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, number, whole, refused = tmp_path_factory.mktemp("tables"), count(), 0, 0

    @settings(max_examples=200, derandomize=True, database=None, deadline=None)
    @given(LINES, CASES)
    def check(lines: list[tuple[str, ...]], drawn: dict[str, list[tuple[str, bool]]]) -> None:
        nonlocal whole, refused
        (here := folder / str(next(number))).mkdir()
        table = groups(here, *(",".join(line) for line in lines))
        cases = {
            source: [
                case(patient, name=f"{patient}{place}", official_test=official)
                for place, (patient, official) in enumerate(entries)
            ]
            for source, entries in drawn.items()
        }
        groups_of = {
            (source, patient): plainly(source, patient, lines) for source in SOURCES for patient in PATIENTS
        }
        told = {group for _, _, group, official in lines if official == "yes"}
        official = {
            group
            for source, entries in drawn.items()
            for patient, is_test in entries
            if is_test
            for group in groups_of[source, patient]
        }
        try:
            splits = of_groups(cases, table)
        except InputError as error:
            problem = str(error)
        else:
            problem = ""
        if problem:  # of a patient in two groups, or of a test case that another source may have untold
            twice = {
                f"{source}/{patient} is" for (source, patient), many in groups_of.items() if len(many) > 1
            }
            hidden = {f"official_test of group {group} must" for group in official - told}
            assert any(reason in problem for reason in twice | hidden)
            refused += 1
            return
        whole += 1
        for group, members in splits.items():
            for patient in members:
                assert groups_of[patient] == {group}
            expected = "test" if group in told | official else split_of_group(group)
            assert set(members.values()) == {expected}

    check()
    assert min(whole, refused) > 40


def test_kin_are_all_sources_that_may_have_the_patient() -> None:
    assert kin("kits21", "case_00001") == kin("kits19", "case_00001") == {"kits19", "kits21"}
    assert kin("drive", "21") == {"drive"}
