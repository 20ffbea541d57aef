"""Files are paired by the names that releases give them, and what can't be paired is one line each."""

from pathlib import Path

import pytest

from cosmos1050k import archives
from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, Stack, find, lines, matched, matches, natural, stacked, stacks, table
from cosmos1050k.source import Case, Label, Mask
from tests.cosmos1050k.archive_files import zipped

LABEL = Label(object="Liver", value=1)


def files(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return root


def case(match: Match) -> Case:
    return Case(
        case=match["name"], patient=match["name"], modality="CT", view="transverse",
        image=match.files["image"], masks=(Mask(file=match.files["mask"], labels=(LABEL,)),),
    )  # fmt: skip


def pile(stack: Stack) -> Case:
    masks = (Mask(file=stack.files["mask"], labels=(LABEL,)),)
    return Case(
        case=stack["name"], patient=stack["name"], modality="CT", view="transverse", axis=2,
        image=stack.files["image"], masks=masks,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("template", "name", "expected"),
    [
        ("{name}.nii", "a.nii", {"name": "a"}),
        ("{name}.nii", "a/b.nii", None),
        ("{name}.nii", "aXnii", None),
        ("**/{name}.nii", "b.nii", {"name": "b"}),
        ("**/{name}.nii", "x/y/b.nii", {"name": "b"}),
        ("**/x/{name}.nii", "ax/b.nii", None),
        (r"{name}_{frame:\d+}.nii", "a_b_07.nii", {"name": "a_b", "frame": "07"}),
        (r"{name}_{frame:\d{2}}.nii", "a_007.nii", None),
        ("{name}/{name}_x.nii", "a/a_x.nii", {"name": "a"}),
        ("{name}/{name}_x.nii", "a/b_x.nii", None),
        ("{name}_*.nii", "a_b_c.nii", {"name": "a"}),
        ("*/{name}.{ending:(?i:png|tiff?)}", "q/a.TIF", {"name": "a", "ending": "TIF"}),
        ("**/{name}.nii.gz", "x/._a.nii.gz", None),
    ],
)
def test_a_template_and_a_name(template: str, name: str, expected: dict[str, str] | None) -> None:
    found = list(find([name], template))
    assert [match.fields for match in found] == ([] if expected is None else [expected])


def test_pairs_and_what_has_no_partner(tmp_path: Path) -> None:
    files(tmp_path, "i/a.nii", "i/b.nii", "i/c d.nii", "m/a.nii", "m/c d.nii", "m/e.nii", "copy/i/a.nii")
    found = list(matched(tmp_path, case, image="**/i/{name}.nii", mask="**/m/{name}.nii"))
    assert [one.files for one in found if isinstance(one, Case)] == [("copy/i/a.nii", "m/a.nii")]
    assert [str(one) for one in found if isinstance(one, BadFile)] == [
        "i/a.nii: the same case as copy/i/a.nii; remove one of the two",
        "i/b.nii: its partner m/b.nii is missing; fetch the source again",
        "i/c d.nii: can't be made a case (String should match pattern '^[A-Za-z0-9._+-]+$'); "
        "rename the file as the release has it",
        "m/e.nii: its partner i/e.nii is missing; fetch the source again",
    ]


def test_fields_of_one_role_alone_tell_no_cases_apart(tmp_path: Path) -> None:
    files(tmp_path, "a.png", "b.tif", "b.png", "a_m.png", "b_m.png")
    found = list(matches(tmp_path, image="{name:[ab]}.{ending:png|tif}", mask="{name}_m.png"))
    assert [str(one) for one in found if isinstance(one, BadFile)] == [
        "b.tif: the same case as b.png; remove one of the two"
    ]
    pairs = [(one["name"], one["ending"]) for one in found if isinstance(one, Match)]
    assert pairs == [("a", "png"), ("b", "png")]


def test_a_field_of_some_roles_must_be_one_of_all(tmp_path: Path) -> None:
    """Else the image of slice 1 would be given the mask of slice 2, if that were all there is."""
    files(tmp_path, "a/1.nii", "a/2_m.nii", "a/info.csv")
    templates = {"image": r"{name}/{k:\d}.nii", "mask": r"{name}/{k:\d}_m.nii", "info": "{name}/info.csv"}
    with pytest.raises(ValueError, match="k is a field of some"):
        list(matches(tmp_path, **templates))
    two = {role: templates[role] for role in ("image", "mask")}
    assert [str(one).partition(";")[0] for one in matches(tmp_path, **two)] == [
        "a/1.nii: its partner a/1_m.nii is missing", "a/2_m.nii: its partner a/2.nii is missing",
    ]  # fmt: skip


def test_what_is_wrong_with_one_set_costs_its_case_alone(tmp_path: Path) -> None:
    files(tmp_path, *(f"{kind}/{name}.nii" for kind in "im" for name in "abc"))

    def make(match: Match) -> Case | None:
        if match["name"] == "b":
            raise BadFile(match.files["mask"], "no row in the table", "fetch it again")
        return case(match) if match["name"] == "c" else None

    problem, found = matched(tmp_path, make, image="i/{name}.nii", mask="m/{name}.nii")
    assert str(problem) == "m/b.nii: no row in the table; fetch it again"
    assert isinstance(found, Case)
    assert found.case == "c"


def test_members_of_archives_are_paired_like_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "UNPACKED", tmp_path / "unpacked")
    raw = files(tmp_path / "raw", "m/a.nii", "m/b.nii")
    (raw / "i.zip").write_bytes(zipped({"i/a.nii": b"", "i/b.nii": b"", "i/._a.nii": b""}))
    archives.unpack(raw)
    found = list(matched(raw, case, image="**/i/{name}.nii", mask="m/{name}.nii"))
    assert [one.files for one in found if isinstance(one, Case)] == [
        ("i/i/a.nii", "m/a.nii"), ("i/i/b.nii", "m/b.nii"),
    ]  # fmt: skip
    assert len(found) == 2


def test_numbers_in_names_are_numbers() -> None:
    names = ["i10,0b", "i9,1b", "i9,0b", "i010,00b", "i09,0b", "i"]
    assert sorted(names, key=natural) == ["i", "i9,0b", "i09,0b", "i9,1b", "i10,0b", "i010,00b"]


IMAGE, GROUND = "**/{name}/im/{slice}.dcm", "**/{name}/ground/{slice}.png"


def test_slices_are_paired_by_name_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    order = [1, 2, 9, 10, 11, 100]
    files(tmp_path, *(f"p/{n}/im/{k}.dcm" for n in "ab" for k in order))
    files(tmp_path, *(f"p/{n}/ground/{k}.png" for n in "ab" for k in order), "p/a/im/.7.dcm")
    for by_place in (False, True):
        found = list(stacked(tmp_path, pile, by_place=by_place, image=IMAGE, mask=GROUND))
        assert [one.case for one in found if isinstance(one, Case)] == ["a", "b"]
        assert found[1].image == tuple(f"p/b/im/{k}.dcm" for k in order)
        assert found[1].masks[0].file == tuple(f"p/b/ground/{k}.png" for k in order)


def test_slices_are_paired_by_place_only_where_no_names_agree(tmp_path: Path) -> None:
    files(tmp_path, *(f"a/im/{k}.dcm" for k in (1, 2, 3)), *(f"a/ground/g{k}.png" for k in (0, 1, 2)))
    files(tmp_path, *(f"b/im/{k}.dcm" for k in (1, 2, 3)), *(f"b/ground/{k}.png" for k in (2, 3, 4)))
    (stack, problem) = stacks(tmp_path, by_place=True, image=IMAGE, mask=GROUND)
    assert isinstance(stack, Stack)
    assert stack.files["mask"] == ("a/ground/g0.png", "a/ground/g1.png", "a/ground/g2.png")
    assert str(problem) == "b/im/1.dcm: its partner b/ground/1.png is missing; fetch the source again"
    by_name = [str(one) for one in stacks(tmp_path, image=IMAGE, mask=GROUND)]
    assert by_name == [
        "a/im/1.dcm: its partner a/ground/1.png is missing; fetch the source again",
        "b/im/1.dcm: its partner b/ground/1.png is missing; fetch the source again",
    ]


def test_slices_that_nobody_labelled_are_passed_over_where_a_source_says_so(tmp_path: Path) -> None:
    files(tmp_path, *(f"a/im/{k}.dcm" for k in (1, 2, 3, 4)), "a/ground/2.png", "a/ground/4.png")
    files(tmp_path, "b/im/1.dcm", "c/ground/1.png", "d/im/1.dcm", "d/ground/1.png", "d/ground/2.png")
    stack, *problems = stacks(tmp_path, some=True, image=IMAGE, mask=GROUND)
    assert isinstance(stack, Stack)
    assert stack.files == {
        "image": ("a/im/2.dcm", "a/im/4.dcm"),
        "mask": ("a/ground/2.png", "a/ground/4.png"),
    }
    assert [str(problem).split(";")[0] for problem in problems] == [
        "d/ground/2.png: its partner d/im/2.dcm is missing",
        "c/ground/1.png: its partner c/im/….dcm is missing",
    ]


def test_a_stack_that_is_there_twice_is_one_line(tmp_path: Path) -> None:
    for top in ("", "copy/"):
        files(tmp_path, *(f"{top}a/im/{k}.dcm" for k in range(5)))
    files(tmp_path, *(f"a/ground/{k}.png" for k in range(5)))
    problem, stack = stacks(tmp_path, image=IMAGE, mask=GROUND)
    assert str(problem) == "copy/a/im/0.dcm: the same slice as a/im/0.dcm; remove one of the two"
    assert isinstance(stack, Stack)
    assert stack.files["image"] == tuple(f"a/im/{k}.dcm" for k in range(5))


def test_a_table_and_lines(tmp_path: Path) -> None:
    assert table(tmp_path, "**/t.csv", "id") is None
    assert lines(tmp_path, "**/l.txt") == frozenset()
    (tmp_path / "x").mkdir()
    (tmp_path / "x/t.csv").write_text("\ufeffid, runs\na, 1 2\n\n b ,-1\n")
    assert table(tmp_path, "**/t.csv", "id", "runs") == (
        "x/t.csv", [{"id": "a", "runs": "1 2"}, {"id": "b", "runs": "-1"}]
    )  # fmt: skip
    (tmp_path / "l.txt").write_text(" one\r\n\r\ntwo")
    assert lines(tmp_path, "**/l.txt") == {"one", "two"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no column id"),
        (b"name,runs\na,1\n", "no column id"),
        (b"id,runs\na,1\nb\n", "row 3 has 1 cells, the header 2"),
        (b"id,runs\n\xff\xfe\n", "can't be read"),
    ],
)
def test_a_damaged_table_is_one_line(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(BadFile) as caught:
        table(tmp_path, "t.csv", "id")
    assert caught.value.problem.startswith(problem)
    assert "\n" not in str(caught.value)
