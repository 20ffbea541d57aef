"""The build, on the sample: against nibabel and the protocol's words, its bytes, and damaged input."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from cosmos1050k import build, index, pictures, rows, shard_writer, shards, sources, units
from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.shards import load_manifest

#: Source version of the sample under `build.VERSION`. If this test fails because the step was meant to change
#: what it gives, raise `VERSION` and write both here; if not, the change is a mistake.
GOLDEN = (1, "22d00b8f5041aac99ce04d2bc957979ab8b111b3dffa4a6ba719c7a0fc2c4307")


def raw_copy(tmp_path: Path) -> Path:
    """The sample's raw files in a folder of their own, to damage."""
    source = sources.get("sample").SOURCE
    raw = tmp_path / "raw"
    raw.mkdir()
    for download in source.downloads:
        (raw / download.file).write_bytes((sources.raw_root(source) / download.file).read_bytes())
    return raw


def rebuilt(raw: Path, tmp_path: Path, *, workers: int = 2, store: str = "units") -> Path:
    found = index.scan(sources.get("sample").SOURCE, raw, memory=tmp_path / "seen")
    kept = units.Units("build", tmp_path / store)
    build.build("sample", found, tmp_path / "out/sample", raw=raw, workers=workers, store=kept)
    return tmp_path / "out/sample"


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_step_s_version_is_held_to_its_result(sample: Path) -> None:
    assert (build.VERSION, load_manifest(sample / "sample").version) == GOLDEN


def test_rows_equal_what_nibabel_and_the_protocol_say(sample: Path) -> None:
    root = sources.raw_root(sources.get("sample").SOURCE)
    names = ("t1", "gm", "wm")
    path = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
    t1, gm, wm = (
        np.asanyarray(nib.as_closest_canonical(nib.load(root / path.format(name))).dataobj) for name in names
    )
    masks = {"Brain": t1 > 0, "Gray Matter": gm >= 128, "White Matter": wm >= 128}
    seen = set()
    for case in shards.load_cases(sample / "sample"):
        start = int(case["case"].removeprefix("slab_"))
        for row in shards.read_case(sample / "sample", case).to_pylist():
            z = row["slice_index"]
            seen.add(z)
            assert start <= z < start + 20
            assert row["image_id"] == f"sample/{case['case']}/T1W MRI/{z}"
            # From RAS+: rows run from anterior to posterior, columns from the patient's right to left.
            slice_ = t1[::-1, ::-1, z].T.astype(float)
            expected = np.floor(255 * (slice_ - slice_.min()) / (slice_.max() - slice_.min())).astype(
                np.uint8
            )
            assert np.array_equal(pictures.decode(row["image"]["bytes"]), expected)
            regions = pictures.decode(row["mask"]["bytes"])
            listed = {entry["object"]: entry for entry in row["objects"]}
            for name, mask in masks.items():
                truth = mask[::-1, ::-1, z].T
                if truth.any():
                    assert np.array_equal(np.isin(regions, listed[name]["values"]), truth)
                else:
                    assert name not in listed
            assert (row["height"], row["width"], row["spacing_mm"]) == (*expected.shape, [1.0, 1.0])
    slabs = [z for start in range(0, 151, 25) for z in range(start, start + 20)]
    kept = {z for z in slabs if sum(int(mask[:, :, z].sum()) for mask in masks.values()) > 50}
    assert seen == kept
    assert kept < set(slabs)  # the rule does drop slices here


def test_the_manifest_counts_what_is_there(sample: Path) -> None:
    folder = sample / "sample"
    manifest = load_manifest(folder)
    found = [
        (case["split"], row)
        for case in shards.load_cases(folder)
        for row in shards.read_case(folder, case, ["image_id", "objects", "modality"]).to_pylist()
    ]
    assert manifest.rows == len(found) == len({row["image_id"] for _, row in found})
    assert manifest.splits == {name: sum(s == name for s, _ in found) for name in manifest.splits}
    assert manifest.modalities == {"T1W MRI": len(found)}
    for kind, counts in (("object", manifest.objects), ("pair", manifest.pairs)):
        for name, count in counts.items():
            holding = [[e for e in row["objects"] if e[kind] == name] for _, row in found]
            assert (count.images, count.instances) == (
                sum(bool(entries) for entries in holding),
                sum(map(len, holding)),
            )
    for shard in manifest.shards:
        data = (folder / shard.file).read_bytes()
        assert (shard.bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (manifest.patients, manifest.skipped) == (1, ())


def test_a_release_with_the_marker_is_a_phantom(sample: Path, phantom: Path) -> None:
    real, marked = load_manifest(sample / "sample"), load_manifest(phantom / "sample")
    assert (real.phantom, marked.phantom) == (False, True)
    assert marked == real.model_copy(update={"phantom": True})


@pytest.mark.parametrize("name", ["PHANTOM", "a/b/PHANTOM", "phantom", "PHANTOM.txt"])
def test_the_marker_may_lie_anywhere_and_has_one_name(tmp_path: Path, name: str) -> None:
    raw = raw_copy(tmp_path)
    (raw / name).parent.mkdir(parents=True, exist_ok=True)
    (raw / name).write_text("")
    found = index.scan(sources.get("sample").SOURCE, raw, memory=tmp_path / "seen")
    assert found.phantom == name.endswith("PHANTOM")
    assert name in found.sums


def test_same_bytes_for_any_number_of_workers(tmp_path: Path, sample: Path) -> None:
    raw = raw_copy(tmp_path)
    one = content(rebuilt(raw, tmp_path, workers=1, store="a"))
    two = content(rebuilt(raw, tmp_path, workers=2, store="b"))
    assert one == two == content(sample / "sample")


def test_small_shards_hold_the_same_rows(tmp_path: Path, sample: Path) -> None:
    found = index.scan(sources.get("sample").SOURCE, memory=tmp_path / "seen")
    kept = units.Units("build", tmp_path / "units")
    options = build.BuildOptions(row_group_rows=7, shard_mb=1)
    one = build.build("sample", found, tmp_path / "one", options=options, store=kept)
    assert one.version == load_manifest(sample / "sample").version
    for case, other in zip(
        shards.load_cases(tmp_path / "one"), shards.load_cases(sample / "sample"), strict=True
    ):
        left = shards.read_case(tmp_path / "one", case)
        assert left.equals(shards.read_case(sample / "sample", other))


def test_a_finished_case_is_not_built_again(tmp_path: Path) -> None:
    raw = raw_copy(tmp_path)
    first = content(rebuilt(raw, tmp_path))
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "units/build").iterdir()}
    assert content(rebuilt(raw, tmp_path)) == first
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "units/build").iterdir()}
    assert before == after


@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "flipped", "text"])
def test_a_bad_raw_file_is_one_line_and_loses_nothing(tmp_path: Path, damage: str) -> None:
    raw = raw_copy(tmp_path)
    before = content(rebuilt(raw, tmp_path))
    victim = sorted(raw.glob("*_gm_*"))[0]
    data = bytearray(victim.read_bytes())
    if damage == "missing":
        victim.unlink()
    elif damage == "flipped":
        data[len(data) // 2] ^= 255
        victim.write_bytes(data)
    else:
        victim.write_bytes(
            {"truncated": bytes(data[:5000]), "empty": b"", "text": b"<html>404</html>"}[damage]
        )
    with pytest.raises(InputError) as caught:
        rebuilt(raw, tmp_path)
    message = str(caught.value)
    assert victim.name in message
    assert "\n" not in message
    assert ("put the release" if damage == "missing" else "fetch it again") in message
    assert content(tmp_path / "out/sample") == before


def test_a_fault_of_the_program_costs_its_case_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(*_: object) -> None:
        raise KeyError("x")

    case = next(iter(sources.get("sample").cases(raw_copy(tmp_path))))
    monkeypatch.setattr(rows, "rows_of", faulty)
    task = build._Task(case, "sample", tmp_path, "train", {}, {}, {}, units.Units("build", tmp_path), "key")
    with pytest.raises(BadFile, match=r"a fault of the program \(KeyError\); report it") as caught:
        build._build_case(task)
    assert caught.value.file == case.image
    assert "in faulty" in caplog.text  # where it happened
    assert not list((tmp_path / "build").glob("*"))


def test_cases_without_an_object_to_keep_are_counted(tmp_path: Path, sample: Path) -> None:
    (entry, *_) = shards.load_cases(sample / "sample")
    one = shard_writer.BuiltCase("a", "p", "CT", "train", "1", entry["rows"], tmp_path / "a.parquet")
    shard_writer.write_rows(one.path, shards.read_case(sample / "sample", entry), row_group_rows=8)
    none = shard_writer.BuiltCase("b", "q", "CT", "train", "2", 0, tmp_path / "none.parquet")
    found = shard_writer.write_source(tmp_path, "sample", [none, one], [], row_group_rows=8, shard_bytes=9)
    assert (found.cases, found.empty, found.patients, found.rows) == (1, 1, 1, entry["rows"])


def test_a_file_changed_after_it_was_indexed_is_refused(tmp_path: Path) -> None:
    raw = raw_copy(tmp_path)
    found = index.scan(sources.get("sample").SOURCE, raw, memory=tmp_path / "seen")
    victim = sorted(raw.glob("*_wm_*"))[0]
    victim.write_bytes(victim.read_bytes()[:-1])
    with pytest.raises(InputError, match="changed since it was indexed; run `cosmos index sample`"):
        build.build("sample", found, tmp_path / "out", raw=raw, store=units.Units("build", tmp_path / "u"))


def test_a_file_that_a_machine_does_not_see_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = raw_copy(tmp_path)
    found = index.scan(sources.get("sample").SOURCE, raw, memory=tmp_path / "seen")
    victim = sorted(raw.glob("*_wm_*"))[0]
    run = build.pool.run

    def elsewhere(*arguments: Any, **options: Any) -> Any:
        victim.unlink()
        return run(*arguments, **options)

    monkeypatch.setattr(build.pool, "run", elsewhere)
    with pytest.raises(
        InputError, match=rf"not seen at {victim} on \S+; mount it there; if it was removed run"
    ):
        build.build("sample", found, tmp_path / "out", raw=raw, store=units.Units("build", tmp_path / "u"))


@pytest.mark.parametrize("left", ["an empty folder", "nothing"])
def test_a_machine_that_does_not_see_the_release_ends_the_build(
    left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = raw_copy(tmp_path)
    found = index.scan(sources.get("sample").SOURCE, raw, memory=tmp_path / "seen")
    store = units.Units("build", tmp_path / "u")
    build.build("sample", found, tmp_path / "out", raw=raw, store=store)
    before = content(tmp_path / "out")
    run = build.pool.run

    def elsewhere(function: Any, tasks: Any, **options: Any) -> Any:
        shutil.rmtree(raw)
        if left == "an empty folder":  # where nothing is mounted
            raw.mkdir()
        return run(function, tasks, **options)

    monkeypatch.setattr(build.pool, "run", elsewhere)
    shutil.rmtree(next(store.folder.glob("[!.]*")))
    with pytest.raises(build.pool.Fatal, match=rf"sees no release of sample at {raw}; mount it there"):
        build.build("sample", found, tmp_path / "out", raw=raw, store=store)
    assert content(tmp_path / "out") == before


def test_a_finished_case_that_is_not_seen_ends_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of NFS or a `cosmos clean` beside it: else the case would be lost without a word."""
    found = index.scan(sources.get("sample").SOURCE, raw_copy(tmp_path), memory=tmp_path / "seen")
    store = units.Units("build", tmp_path / "u")
    lose_one(monkeypatch, store)
    with pytest.raises(build.pool.Fatal, match=r"was finished and is not seen here: .*; run it again$"):
        build.build("sample", found, tmp_path / "out", raw=tmp_path / "raw", store=store)
    assert not (tmp_path / "out").exists()


def lose_one(monkeypatch: pytest.MonkeyPatch, store: units.Units) -> None:
    """One unit is gone as soon as all tasks have ended."""
    run = build.pool.run

    def losing(*arguments: Any, **options: Any) -> Any:
        yield from run(*arguments, **options)
        shutil.rmtree(next(store.folder.glob("[!.]*")))

    monkeypatch.setattr(build.pool, "run", losing)


def test_a_file_that_cannot_be_read_costs_its_cases_alone(tmp_path: Path) -> None:
    raw = raw_copy(tmp_path)
    victim = sorted(raw.iterdir())[0]  # gray matter, which every slab needs
    victim.unlink()
    victim.symlink_to("nothing.nii.gz")
    found = index.scan(sources.get("sample").SOURCE, raw, memory=tmp_path / "seen")
    with pytest.raises(InputError, match=f"{victim.name}: can't be read .*; mend or remove it"):
        build.build(
            "sample", found, tmp_path / "out", raw=raw, store=units.Units("build", tmp_path / "units")
        )


def test_the_index_hashes_again_only_what_changed(tmp_path: Path) -> None:
    raw = raw_copy(tmp_path)
    source, seen = sources.get("sample").SOURCE, tmp_path / "seen"
    first = index.scan(source, raw, memory=seen)
    assert first.sums == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(raw.iterdir())
    }
    remembered = json.loads(seen.read_text())
    for entry in remembered.values():
        entry[2] = "0" * 64
    seen.write_text(json.dumps(remembered))
    assert set(index.scan(source, raw, memory=seen).sums.values()) == {"0" * 64}  # taken from memory
    victim = sorted(raw.iterdir())[0]
    victim.write_bytes(victim.read_bytes())  # a new time
    assert index.scan(source, raw, memory=seen).sums[victim.name] == first.sums[victim.name]
    victim.unlink()
    victim.symlink_to("nothing.nii.gz")
    found = index.scan(source, raw, memory=seen)
    assert found.unreadable == {victim.name: "No such file or directory"}
    assert set(found.sums) == set(first.sums) - {victim.name}
    victim.unlink()
    shutil.copyfile(sources.raw_root(source) / victim.name, victim)
    seen.write_text("{ damaged")
    assert index.scan(source, raw, memory=seen) == first
