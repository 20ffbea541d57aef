"""Twins by content: planted ones are found, look-alikes are not, and the lines join whom they shall."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from cosmos1050k import duplicates, hamming, hashes, pool, prints, units
from cosmos1050k.duplicates import Found, Twin
from cosmos1050k.errors import InputError
from cosmos1050k.prints import Patient
from cosmos1050k.shards import load_manifest
from cosmos1050k.splits import group_of, split_of_group
from cosmos1050k.twin_groups import missing_lines
from pipelines import cli_duplicates
from pipelines import duplicates as stage
from tests.conftest import ROOT
from tests.cosmos1050k import twins
from tests.cosmos1050k.test_splits import groups
from tests.leaderboard import dataset


def apart(one: np.ndarray, other: np.ndarray) -> int:
    """Bits between two pictures' hashes, in whichever way each may be turned."""
    ways = []
    for picture in (one, other):
        found = hashes.print_of(picture, hashes.thumbnail(picture))
        ways.append(hashes.turned(found["near"][None], found["doubt"][None])[0])
    return int(np.unpackbits(ways[0][:, None] ^ ways[1][None], axis=2).sum(axis=2).min())


def test_a_turned_picture_has_the_hash_of_the_picture() -> None:
    for kind in ("CT", "colonoscopy"):
        picture = twins.stored(twins.KINDS[kind](1))[0]
        for way in (picture, np.swapaxes(picture, 0, 1)):
            for turned in (way, way[::-1], way[:, ::-1], way[::-1, ::-1]):
                assert apart(picture, np.ascontiguousarray(turned)) <= 2  # where the thumbnail rounds


def test_ways_in_doubt_are_the_hashes_of_the_turned_picture() -> None:
    """Of noise, with no doubt of its own: the turns told from the hash alone against turned pixels."""
    random = np.random.default_rng(0)
    small = cv2.resize(random.integers(256, size=(12, 12), dtype=np.uint8), (48, 48))
    (evened,) = hashes._evened(small[None])
    waves = cv2.dct(evened - evened.mean())
    rows, columns = hashes._frequencies()
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == sorted(
        zip(columns.tolist(), rows.tolist(), strict=True)
    )
    near = np.packbits(waves[rows, columns] > 0)[None]
    made, places = hashes.turned(near, np.array([7], np.uint8))
    assert len(made) == 8
    assert not places.any()
    expected = []
    for transposed in (False, True):
        for up_down in (False, True):
            for left_right in (False, True):
                turned = small[:: -1 if up_down else 1, :: -1 if left_right else 1]
                turned = np.ascontiguousarray(turned.T if transposed else turned)
                (evened,) = hashes._evened(turned[None])
                expected.append(np.packbits(cv2.dct(evened - evened.mean())[rows, columns] > 0))
    bits = np.unpackbits(made ^ np.array(expected), axis=1).sum(axis=1)
    assert bits.max() <= 1
    assert len({tuple(one) for one in made.tolist()}) == 8


def test_the_hash_is_what_its_version_says() -> None:
    """Kept hashes are taken for those of today: if this fails, `hashes.VERSION` must rise."""
    picture = np.add.outer(np.arange(60) ** 2 % 97, np.arange(80) * 3 % 101).astype(np.uint8)
    small = hashes.thumbnail(picture)
    found = hashlib.sha256(hashes.print_of(picture, small).tobytes() + small.tobytes()).hexdigest()
    assert (hashes.VERSION, found[:16]) == (1, "10547ae097d377ef")


def test_blank_and_even_pictures_tell_nothing() -> None:
    random = np.random.default_rng(1)
    faint = random.normal(100, 4, (256, 256)).astype(np.uint8)
    for picture in (np.zeros((9, 9), np.uint8), np.full((50, 70, 3), 200, np.uint8), faint):
        assert not hashes.print_of(picture, hashes.thumbnail(picture))["telling"]
    half = np.zeros((64, 64), np.uint8)
    half[:20] = 60
    assert hashes.print_of(half, hashes.thumbnail(half))["telling"]


def test_the_likeness_of_a_pair_does_not_depend_on_the_others() -> None:
    """Nor on which comes first or on how it lies; matching gray levels helps only one that fits at all."""
    kinds = [twins.stored(twins.KINDS[kind](1))[0] for kind in ("CT", "colonoscopy", "microscopy")]
    edited = [twins.clipped(np.ascontiguousarray(picture[::-1])) for picture in kinds]
    smalls = np.stack([hashes.thumbnail(picture) for picture in (*kinds, *edited)])
    pairs = np.array([(one, other) for one in range(6) for other in range(6)])
    found = hashes.likeness(smalls, *pairs.T).reshape(6, 6)
    for (one, other), value in zip(pairs.tolist(), found.ravel().tolist(), strict=True):
        (alone,) = hashes.likeness(smalls[[one, other]], np.array([0]), np.array([1]))
        assert alone == pytest.approx(value, abs=1e-5)
        turned = np.stack([smalls[one], np.ascontiguousarray(smalls[other].T[:, ::-1])])
        (other_way,) = hashes.likeness(turned, np.array([0]), np.array([1]))
        assert other_way == pytest.approx(value, abs=1e-5)
        same = one % 3 == other % 3
        assert value >= duplicates.LEAST_LIKENESS_ALONE if same else value < 0.5
    assert found == pytest.approx(found.T, abs=1e-5)
    assert np.diag(found) == pytest.approx(1, abs=1e-5)
    assert len(hashes.likeness(smalls, *np.empty((2, 0), np.int64))) == 0


def test_blocks_of_pairs_hide_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pair at a time gives what all at once give: here volumes and pictures alone are mixed."""
    data, kinds = tmp_path / "data", ("CT", "colonoscopy", "microscopy")
    for slug, way in (("one", "exact"), ("two", "all-at-once")):
        stored = [(kind, twins.WAYS[way].made(twins.KINDS[kind](1))) for kind in kinds]
        dataset.build(data, slug, [twins.case(kind, 1, slices) for kind, slices in stored])
    together = find(data, groups(tmp_path))
    assert {twin.second for twin in together.twins} == {("two", f"{kind}-1") for kind in kinds}
    monkeypatch.setattr(duplicates, "_THUMBNAILS", 1)
    assert find(data, groups(tmp_path)) == together


def test_near_cases_are_those_that_comparing_each_with_each_finds() -> None:
    random = np.random.default_rng(2)
    near = random.integers(256, size=(900, 16), dtype=np.uint8)
    for place, bits in enumerate(
        random.integers(0, 24, size=400)
    ):  # twins of the first 400, so many bits off
        flips = np.zeros(128, np.uint8)
        flips[random.choice(128, bits, replace=False)] = 1
        near[500 + place] = near[place] ^ np.packbits(flips)
    cases = np.sort(random.integers(400, size=900))
    owners = random.integers(300, size=400)
    away = np.unpackbits(near[:, None] ^ near[None], axis=2).sum(axis=2)
    one, other = np.nonzero(np.triu(away <= 13, 1))
    pairs = {tuple(sorted(pair)) for pair in zip(cases[one].tolist(), cases[other].tolist(), strict=True)}
    expected = sorted(pair for pair in pairs if owners[pair[0]] != owners[pair[1]])
    shuffled = random.permutation(900)
    found = hamming.near_cases(near[shuffled], cases[shuffled], owners, 13)
    assert len(expected) > 100
    assert found.tolist() == [list(pair) for pair in expected]


def test_look_alikes_leave_a_case_its_nearest() -> None:
    """Three hundred in a heap, one with a twin nearer than all: the pairs are few, the twins among them."""
    random = np.random.default_rng(3)
    heap = np.repeat(random.integers(256, size=(1, 16), dtype=np.uint8), 301, axis=0)
    heap ^= np.packbits(random.random((301, 128)) < 0.05, axis=1)
    heap[300] = heap[7]
    found = hamming.near_cases(heap, np.arange(301), np.arange(301), 16)
    assert [7, 300] in found.tolist()
    assert len(found) <= 301 * hamming.CLOSEST


def test_planted_twins_are_found_and_no_other(tmp_path: Path) -> None:
    """One of each here; all ways and kinds below."""
    kinds = {kind: twins.KINDS[kind] for kind in ("CT", "colonoscopy")}
    ways = {way: twins.WAYS[way] for way in ("all-at-once", "window")}
    for name, result in twins.measure(tmp_path, kinds, ways, 1).items():
        assert result.found == result.planted, name
        assert not result.wrong, name


def test_hashes_alone_make_no_twins(tmp_path: Path) -> None:
    """The same large shapes with another texture; a volume whose slices come in no order."""
    random = np.random.default_rng(4)
    alike = {"histopathology": 8, "colonoscopy": 8}
    first, second = [], []
    for number, (kind, strength) in enumerate(alike.items()):
        (picture,) = twins.stored(twins.KINDS[kind](1))
        grain = cv2.GaussianBlur(random.standard_normal(picture.shape[:2]), (0, 0), 2)
        grain = strength * (grain / grain.std()).reshape(*grain.shape, *[1] * (picture.ndim - 2))
        other = np.clip(cv2.GaussianBlur(picture, (0, 0), 5) + grain, 0, 255).astype(np.uint8)
        assert apart(picture, other) <= duplicates.RADIUS
        first.append(twins.case(kind, number, [picture]))
        second.append(twins.case(kind, number, [other]))
    slices = twins.WAYS["jpeg-95"].made(twins.ct(0))
    first.append(twins.case("CT", 9, twins.stored(twins.ct(0))))
    second.append(twins.case("CT", 9, [slices[place] for place in (3, 0, 6, 2, 7, 4, 1, 5)]))
    data = tmp_path / "data"
    dataset.build(data, "one", first)
    dataset.build(data, "two", second)
    assert not find(data, groups(tmp_path)).twins
    second[-1] = twins.case("CT", 9, slices)
    dataset.build(data, "two", second)
    assert [twin.second for twin in find(data, groups(tmp_path)).twins] == [("two", "CT-9")]


def planted(data: Path) -> None:
    """Two sources: p of the second is a of the first, exactly, but for two slices; r is q, compressed."""
    a, b, q = (twins.stored(twins.ct(number)) for number in range(3))
    r = twins.WAYS["jpeg-75"].made(twins.ct(2))
    sources = {"one": {"a": a, "b": b}, "two": {"p": twins.stored(twins.ct(0)[2:]), "q": q, "r": r}}
    for slug, patients in sources.items():
        made = []
        for number, (patient, slices) in enumerate(patients.items()):
            split = split_of_group(f"{slug}/{patient}")
            made.append(replace(twins.case("CT", number, slices), patient=patient, split=split))
        dataset.build(data, slug, made)


def find(data: Path, table: Path, workers: int = 1) -> Found:
    store = units.Units("duplicates", data.parent / "units")
    return duplicates.find(data, ["one", "two"], groups=table, workers=workers, store=store)


def test_within_and_across_sources_until_the_lines_are_there(tmp_path: Path) -> None:
    data = tmp_path / "data"
    planted(data)
    table = groups(tmp_path)
    found = find(data, table)
    assert found.pictures == 8 + 8 + 6 + 8 + 8 + 5 * 2
    assert found.blank == 5 * 2
    exact, near = found.twins
    assert exact == Twin("exact", ("one", "a"), ("two", "p"), 6, 6, 1.0)
    assert near[:3] == ("near", ("two", "q"), ("two", "r"))
    lines = missing_lines(found, table)
    assert [line for line in lines if line[0] != "#"] == ["two,p,one/a,no", "two,r,two/q,no"]
    (tmp_path / "then").mkdir()
    assert not find(data, groups(tmp_path / "then", *lines)).twins
    assert missing_lines(found, groups(tmp_path / "then", *lines)) == []


def test_a_shard_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    planted(data)
    first = find(data, groups(tmp_path))
    monkeypatch.setattr(hashes, "print_of", None)
    assert find(data, groups(tmp_path)) == first
    dataset.build(data, "two", [twins.case("CT", 5, twins.stored(twins.ct(5)))])
    with pytest.raises(TypeError):
        find(data, groups(tmp_path))


def test_what_is_not_built_or_damaged_is_one_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pytest.raises(InputError, match="build the source with `cosmos build one`"):
        find(data, groups(tmp_path))
    planted(data)
    (data / "two" / load_manifest(data / "two").shards[0].file).write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(InputError, match="damaged; build the source again"):
        find(data, groups(tmp_path))


@pytest.mark.parametrize("file", ["prints.npy", "thumbnails.npy"])
def test_a_damaged_unit_is_one_line(file: str, tmp_path: Path) -> None:
    data, store = tmp_path / "data", units.Units("duplicates", tmp_path / "units")
    dataset.build(data, "one", dataset.cases(1))
    unit = next(store.path(task.key) for task in prints._hashed(data / "one", 1, store))
    whole = (unit / file).read_bytes()
    for damaged in (b"", whole[:-9], b"no array"):
        (unit / file).write_bytes(damaged)
        with pytest.raises(InputError, match=f"{unit}: damaged; remove it and run it again"):
            prints.load(data, ["one"], workers=1, store=store)


def told(
    patients: Iterable[Patient], *pairs: tuple[Patient, Patient], official: Iterable[Patient] = ()
) -> Found:
    made = tuple(Twin("exact", first, second, 1, 1, 1.0) for first, second in pairs)
    return Found(1, 0, made, tuple(patients), frozenset(official))


def values(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if not line.startswith("#")]


def test_lines_join_all_of_a_family(tmp_path: Path) -> None:
    """Each pair of a chain, in every order; then the file that has the lines puts them into one group."""
    people = [("one", "a"), ("two", "b"), ("two", "c, jr."), ("three", "d")]
    links = [(people[0], people[1]), (people[2], people[3]), (people[1], people[2])]
    table = groups(tmp_path)
    for number, chosen in enumerate(combinations([*links, *links], 3)):
        if len(set(chosen)) < 3:
            continue
        lines = missing_lines(told(people, *chosen), table)
        assert len(values(lines)) == 3
        (tmp_path / str(number)).mkdir()
        after = groups(tmp_path / str(number), *lines)
        assert len({group_of(*patient, groups=after) for patient in people}) == 1


def test_lines_respect_those_that_are_there(tmp_path: Path) -> None:
    table = groups(
        tmp_path, "kits21,*,kits19,no", "other,x,msd/5,no", "other,y,first,no", "other,z,second,no"
    )
    # Who is in one group by a pattern stays with its namesake, built or not.
    twin = told([("kits21", "c1"), ("msd", "7")], (("kits21", "c1"), ("msd", "7")))
    assert values(missing_lines(twin, table)) == ["msd,7,kits19/c1,no"]
    # Nor is a patient moved whom a line names.
    twin = told([("msd", "5"), ("aaa", "1")], (("msd", "5"), ("aaa", "1")))
    assert values(missing_lines(twin, table)) == ["aaa,1,msd/5,no"]
    # Whose groups are one needs no line.
    assert (
        missing_lines(told([("kits19", "c"), ("kits21", "c")], (("kits19", "c"), ("kits21", "c"))), table)
        == []
    )
    # And two whom lines name can be joined by none.
    lines = missing_lines(told([("other", "y"), ("other", "z")], (("other", "y"), ("other", "z"))), table)
    assert values(lines) == []
    assert "by hand" in lines[-1]
    assert lines[-1].endswith("first, second")


def test_a_name_that_would_read_as_a_pattern_is_the_group(tmp_path: Path) -> None:
    twin = told([("one", "a[1]"), ("two", "b")], (("one", "a[1]"), ("two", "b")))
    assert values(missing_lines(twin, groups(tmp_path))) == ["two,b,one/a[1],no"]


def test_an_official_test_patient_takes_the_group_to_test(tmp_path: Path) -> None:
    twin = told([("one", "a"), ("two", "b")], (("one", "a"), ("two", "b")), official=[("two", "b")])
    (line,) = values(missing_lines(twin, groups(tmp_path)))
    assert line.endswith(",yes")


def test_the_verb_prints_lines_to_paste(project: Path) -> None:
    planted(project / "data")
    (project / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(cli_duplicates.duplicates)
    result = CliRunner().invoke(app, ["one", "two", "one", "--data", "data", "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert values(result.stdout.splitlines()) == ["two,p,one/a,no", "two,r,two/q,no"]
    assert "pictures 48, of them left out as blank 10; patients 5; twins exact 1, near 1" in result.stderr
    assert (project / "data/duplicates/lines.csv").read_text() == result.stdout
    with (project / "data/duplicates/twins.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["kind"], row["patient"], row["other_patient"]) for row in rows] == [
        ("exact", "a", "p"),
        ("near", "q", "r"),
    ]
    refused = CliRunner().invoke(app, ["none", "--data", "data"])
    assert refused.exit_code == 1
    assert refused.stderr.count("\n") <= 1


def test_rows_of_many_shards_keep_their_cases(tmp_path: Path) -> None:
    """Each telling picture's thumbnail is its own picture's, whatever shard it lies in."""
    made = [twins.case("CT", number, twins.stored(twins.ct(number))[:2]) for number in range(3)]
    dataset.build(tmp_path, "one", made, shard_bytes=dataset.ONE_CASE)
    seen = prints.load(tmp_path, ["one"], workers=1, store=units.Units("duplicates", tmp_path / "units"))
    assert len(seen.case) == 6
    small = seen.looks.thumbnails(np.arange(6))
    for picture, (case, place) in enumerate(zip(seen.case.tolist(), seen.looks.place.tolist(), strict=True)):
        number = next(one for one, entry in enumerate(made) if entry.patient == seen.cases[case].patient[1])
        shown = made[number].slices[place][0]
        assert (small[picture] == hashes.thumbnail(shown)).all()


def test_where_it_is_written_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("kept")
    with pytest.raises(InputError, match=r"out: is no folder; choose another --out$"):
        stage.write(Found(0, 0, (), (), frozenset()), [], tmp_path / "out")
    assert (tmp_path / "out").read_text() == "kept"


def test_a_shard_that_takes_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset.build(tmp_path, "first", dataset.cases(1))
    monkeypatch.setattr(
        prints.pool,
        "run",
        lambda _, tasks, **options: [pool.Outcome(tasks[0], None, "no result within 0 s")],
    )
    with pytest.raises(InputError, match=r"first/\S+\.parquet: no result within 0 s$"):
        duplicates.find(tmp_path, ["first"], workers=1, store=units.Units("duplicates", tmp_path / "units"))
