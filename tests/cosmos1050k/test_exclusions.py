"""Bad samples: a line of the list leaves out what it names and nothing else, and a slip in it is said."""

import csv
import hashlib
import io
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cosmos1050k import build, exclusions, index, pool, shards, sources, units
from cosmos1050k.errors import InputError
from cosmos1050k.shards import Excluded, Manifest
from pipelines.build import describe
from tests import phantoms
from tests.cosmos1050k.built_phantoms import built_from, in_this_process
from tests.cosmos1050k.test_build import content
from tests.many import many

HEADER = "source,case,slice,reason\n"


def listed(folder: Path, *lines: str) -> Path:
    path = folder / "exclusions.csv"
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path, sample: Path, monkeypatch: pytest.MonkeyPatch) -> units.Units:
    """The sample's finished cases, to add to."""
    monkeypatch.setattr(pool, "run", in_this_process)
    shutil.copytree(sample / "units", tmp_path / "units")
    return units.Units("build", tmp_path / "units")


def rebuilt(folder: Path, store: units.Units, *lines: str, phantom: bool = False) -> Manifest:
    found = index.scan(sources.get("sample").SOURCE, memory=folder / "seen")
    if phantom:
        found = found.model_copy(
            update={"files": (*found.files, index.RawFile(name=index.PHANTOM, size=0, sha256=""))}
        )
    return build.build("sample", found, folder / "out/sample", store=store, excluded=listed(folder, *lines))


def rows_in(folder: Path) -> list[dict[str, Any]]:
    return [row for case in shards.load_cases(folder) for row in shards.read_case(folder, case).to_pylist()]


def kept(store: units.Units) -> set[str]:
    return {path.name for path in store.folder.iterdir()}


def test_the_list_of_the_project_is_in_order() -> None:
    assert all(line.reason for line in exclusions.load())


@pytest.mark.parametrize("lines", [(), ("drive,21,,blurred",)])
def test_without_a_line_of_it_a_source_has_the_bytes_it_ever_had(
    tmp_path: Path, sample: Path, store: units.Units, lines: tuple[str, ...]
) -> None:
    before = kept(store)
    manifest = rebuilt(tmp_path, store, *lines)
    assert content(tmp_path / "out/sample") == content(sample / "sample")
    assert kept(store) == before
    assert "excluded" not in manifest.model_dump_json()


def test_a_line_leaves_out_a_case_and_no_other_is_built_again(
    tmp_path: Path, sample: Path, store: units.Units, capsys: pytest.CaptureFixture[str]
) -> None:
    before = kept(store)
    manifest = rebuilt(tmp_path, store, "sample,slab_050,,a ghost")
    assert kept(store) == before
    cases = [case for case in shards.load_cases(sample / "sample") if case["case"] != "slab_050"]
    assert rows_in(tmp_path / "out/sample") == [
        row for row in rows_in(sample / "sample") if row["case"] != "slab_050"
    ]
    # The cases stand by split in their table, and in the source's order in the version.
    digests = [case["digest"] for case in sorted(cases, key=lambda case: case["case"])]
    assert manifest.version == hashlib.sha256("".join(digests).encode()).hexdigest()
    assert (manifest.cases, manifest.skipped) == (6, ())
    assert manifest.excluded == (Excluded(case="slab_050", slice=None, reason="a ghost"),)
    assert shards.load_manifest(tmp_path / "out/sample") == manifest
    describe(manifest, tmp_path)
    assert "103 images of 6 cases, 0 skipped, 1 case excluded; version" in capsys.readouterr().out


def test_a_line_leaves_out_a_slice_and_its_case_alone_is_built_again(
    tmp_path: Path, sample: Path, store: units.Units, capsys: pytest.CaptureFixture[str]
) -> None:
    before = kept(store)
    lines = ("sample,slab_000,12,motion", 'sample,slab_000,9,"dark, noisy"', "sample,slab_150,,cut")
    manifest = rebuilt(tmp_path, store, *lines)
    out = {("slab_000", 12), ("slab_000", 9)}
    assert rows_in(tmp_path / "out/sample") == [
        row
        for row in rows_in(sample / "sample")
        if row["case"] != "slab_150" and (row["case"], row["slice_index"]) not in out
    ]
    assert kept(store) > before
    assert len(kept(store) - before) == 1
    assert [(entry.case, entry.slice, entry.reason) for entry in manifest.excluded] == [
        ("slab_000", 12, "motion"), ("slab_000", 9, "dark, noisy"), ("slab_150", None, "cut"),
    ]  # fmt: skip
    describe(manifest, tmp_path)
    assert "0 skipped, 1 case and 2 slices excluded; version" in capsys.readouterr().out
    again = kept(store)
    assert rebuilt(tmp_path, store, *lines) == manifest
    assert kept(store) == again
    # Back to what it was, by the units that were kept.
    rebuilt(tmp_path, store)
    assert content(tmp_path / "out/sample") == content(sample / "sample")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("sample,slab_51,,x", "sample/slab_51: no such case; mend or remove the line"),
        ("sample,slab_51,55,x", "sample/slab_51: no such case; mend or remove the line"),
        (
            "sample,slab_050,70,x",
            "sample/slab_050: no image of slice 70 in that case; mend or remove the line",
        ),
        # The first slices hold nothing that is kept.
        ("sample,slab_000,0,x", "sample/slab_000: no image of slice 0 in that case; mend or remove the line"),
        ("smaple,slab_050,,x", "unknown source 'smaple'; `cosmos sources` lists them all"),
        ("sample,slab_050,,", "no reason; complete it"),
        ("sample,,4,x", "no case; complete it"),
        (",slab_050,,x", "no source; complete it"),
        ("sample,slab_050,x", "3 values where source,case,slice,reason are due; complete it"),
        (
            "sample,slab_050,,x,y",
            "5 values where source,case,slice,reason are due; write a text with a comma as",
        ),
        ("sample,slab_050,-1,x", "slice '-1' must be a number, or empty for the whole case; mend it"),
        ("sample,slab_050,55.0,x", "slice '55.0' must be a number, or empty for the whole case; mend it"),
        (f"sample,slab_050,{'9' * 5000},x", "slice '9999"),
        ('sample,slab_050,,"x', "not a line of a CSV file (unexpected end of data); mend it"),
        ("sample,slab_000,12,x", "leaves out what exclusions.csv, line 3 does; remove one of the two"),
        ("sample,slab_000,,x", "leaves out what exclusions.csv, line 3 does; remove one of the two"),
        ("sample,slab_025,30,x", "leaves out what exclusions.csv, line 4 does; remove one of the two"),
    ],
)
def test_a_slip_is_one_line_with_its_number_and_the_build_stays(
    tmp_path: Path, sample: Path, store: units.Units, line: str, problem: str
) -> None:
    shutil.copytree(sample / "sample", tmp_path / "out/sample")
    good = ("# said before", "sample,slab_000,12,motion", "sample,slab_025,,cut")
    with pytest.raises(InputError) as caught:
        rebuilt(tmp_path, store, *good, "", line)
    assert str(caught.value).startswith(f"exclusions.csv, line 6: {problem}")
    assert "\n" not in str(caught.value)
    assert content(tmp_path / "out/sample") == content(sample / "sample")


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (b"", "exclusions.csv: the header must be source,case,slice,reason"),
        (b"source,case,reason\n", "exclusions.csv, line 1: the header must be source,case,slice,reason"),
        (b"# only words\n", "exclusions.csv: the header must be source,case,slice,reason"),
        (b"source,case,slice,reason\nsample,\xff,,x\n", "exclusions.csv: not UTF-8; mend it"),
        (None, "exclusions.csv: can't be read (No such file or directory); take it from git again"),
    ],
)
def test_a_damaged_list_is_one_line(tmp_path: Path, written: bytes | None, problem: str) -> None:
    path = tmp_path / "exclusions.csv"
    if written is not None:
        path.write_bytes(written)
    with pytest.raises(InputError) as caught:
        exclusions.load(path)
    assert str(caught.value).endswith(problem)


def test_a_list_as_other_programs_save_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "exclusions.csv"
    path.write_bytes(b"\xef\xbb\xbfsource,case,slice,reason\r\nsample,slab_050,7,x\r\n")
    (line,) = exclusions.load(path)
    assert (line.place, line.case, line.slice) == ("exclusions.csv, line 2", "slab_050", 7)


def test_of_a_phantom_a_line_may_speak_of_the_owner_s_release(
    tmp_path: Path, store: units.Units, caplog: pytest.LogCaptureFixture
) -> None:
    lines = ("sample,patient_7,,blurred", "sample,slab_050,1,dark", "sample,slab_025,,cut")
    manifest = rebuilt(tmp_path, store, *lines, phantom=True)
    assert [entry.case for entry in manifest.excluded] == ["slab_025"]
    assert [record.message for record in caplog.records] == [
        "exclusions.csv, line 2: sample/patient_7: no such case in the phantom",
        "exclusions.csv, line 3: sample/slab_050: no image of slice 1 in that case in the phantom",
    ]


@pytest.mark.parametrize("labelled", [8, None])
def test_a_case_that_a_partial_copy_lacks_is_warned_of(
    tmp_path: Path,
    store: units.Units,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    labelled: int | None,
) -> None:
    """Of the sample all seven are there."""
    module = sources.get("sample")
    source = module.SOURCE.model_copy(update={"labelled": labelled})
    monkeypatch.setattr(sources, "get", lambda _: SimpleNamespace(SOURCE=source, cases=module.cases))
    manifest = rebuilt(tmp_path, store, "sample,slab_175,,blurred", "sample,slab_025,,cut")
    assert [entry.case for entry in manifest.excluded] == ["slab_025"]
    assert [record.message for record in caplog.records] == [
        "exclusions.csv, line 2: sample/slab_175: no such case in this copy, which is not known to be the "
        "whole release"
    ]
    with pytest.raises(InputError, match="no image of slice 70 in that case; mend or remove the line"):
        rebuilt(tmp_path, store, "sample,slab_050,70,x")


def test_when_all_is_left_out_it_says_so(tmp_path: Path, store: units.Units) -> None:
    lines = [f"sample,slab_{start:03d},,x" for start in range(0, 151, 25)]
    with pytest.raises(
        InputError, match=r"^sample: nothing could be built; exclusions.csv leaves nothing of it$"
    ):
        rebuilt(tmp_path, store, *lines)


def test_what_is_left_out_moves_no_case_of_its_patient(
    tmp_path: Path, store: units.Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The patient is in test for an official test case, and stays there without it."""
    module = sources.get("sample")
    first, second, *_ = module.cases(sources.raw_root(module.SOURCE))
    cases = [
        first.model_copy(update={"split": None, "official_test": True}),
        second.model_copy(update={"split": None}),
    ]
    given = SimpleNamespace(SOURCE=module.SOURCE, cases=lambda _: iter(cases))
    monkeypatch.setattr(sources, "get", lambda _: given)
    line = f"sample,{first.case},,x"
    assert rebuilt(tmp_path, store, line).splits == {"train": 0, "validation": 0, "test": 20}
    cases[0] = first.model_copy(update={"split": None})
    assert rebuilt(tmp_path, store, line).splits == {"train": 20, "validation": 0, "test": 0}


def plainly(lines: Sequence[tuple[str, str, str, str]]) -> bool:
    """Whether no two lines leave out the same."""
    whole = [(source, case) for source, case, at, _ in lines if not at]
    slices = [(source, case, int(at)) for source, case, at, _ in lines if at]
    return (
        len(set(whole)) == len(whole)
        and len(set(slices)) == len(slices)
        and not any((source, case) in whole for source, case, _ in slices)
    )


def test_random_lists_say_what_they_are_written_to_say(tmp_path: Path) -> None:
    draw, verdicts = random.Random(10), set()
    texts = ["a", "case 1", "x,y", 'say "no"', "ä/ö-3", "#7"]
    for _ in range(many(2000)):
        lines = [
            (
                draw.choice(["sample", "drive"]),
                draw.choice(texts),
                draw.choice(["", "0", "7", "07", "12"]),
                draw.choice(texts),
            )
            for _ in range(draw.randrange(5))
        ]
        text = io.StringIO()
        csv.writer(text, lineterminator=draw.choice(["\n", "\r\n"])).writerows(lines)
        path = tmp_path / "exclusions.csv"
        path.write_text(HEADER + text.getvalue(), encoding="utf-8", newline="")
        verdicts.add(fine := plainly(lines))
        if not fine:
            with pytest.raises(InputError, match="remove one of the two"):
                exclusions.load(path)
            continue
        found = exclusions.load(path)
        assert [(one.place, one.source, one.case, one.slice, one.reason) for one in found] == [
            (f"exclusions.csv, line {number}", source, case, int(at) if at else None, reason)
            for number, (source, case, at, reason) in enumerate(lines, 2)
        ]
        for source in ("sample", "drive"):
            left_out = exclusions.by_case(one for one in found if one.source == source)
            assert left_out == {
                case: None
                if any(not other[2] for other in lines if other[:2] == (source, case))
                else {int(other[2]) for other in lines if other[:2] == (source, case)}
                for owner, case, *_ in lines
                if owner == source
            }
    assert verdicts == {True, False}


@pytest.mark.slow
@pytest.mark.parametrize("slug", [slug for slug in sources.slugs() if slug != "sample"])
def test_of_every_source_a_case_is_left_out_alone(
    slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "run", in_this_process)
    made = built_from(slug, phantoms.write(slug, tmp_path / "raw"), tmp_path)
    names = {id(row): made.case(row).case for row in made.rows}
    victim = made.rows[0]
    # Of a release that is one volume, a slice.
    whole = len(set(names.values())) > 1
    line = [slug, names[id(victim)], "" if whole else victim["slice_index"], "x"]
    path = tmp_path / "exclusions.csv"
    with path.open("w", encoding="utf-8") as stream:
        stream.write(HEADER)
        csv.writer(stream, lineterminator="\n").writerow(line)
    store, out = units.Units("build", tmp_path / "units"), tmp_path / "without"
    before = kept(store)
    found = build.build(slug, made.found, out, raw=made.raw, store=store, excluded=path)
    assert len(kept(store) - before) == (not whole)
    assert found.version != made.manifest.version
    assert [row["image_id"] for row in rows_in(out)] == [
        row["image_id"]
        for row in made.rows
        if names[id(row)] != line[1] or (not whole and row["slice_index"] != line[2])
    ]
