"""What of a build may go: by each source's own word, by the marks of phantoms, by the manifests alone."""

import ast
import fnmatch
import hashlib
import json
import re
import shutil
from html import escape
from pathlib import Path

import pytest
import yaml

from cosmos1050k import publishing, sources
from cosmos1050k.errors import InputError
from tests.leaderboard import dataset

#: By the words that their files are written in, not by what the registry makes of them.
FREE = {
    path.stem
    for path in Path(sources.__file__).parent.glob("[!_]*.py")
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.keyword) and node.arg == "redistributable"
    if isinstance(node.value, ast.Constant) and node.value.value is True
}


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All sources, built: each has the same few rows."""
    data = tmp_path_factory.mktemp("every")
    dataset.build(data, "sample", dataset.cases(2, slices=1))
    for slug in sources.slugs():
        if slug != "sample":
            shutil.copytree(data / "sample", data / slug)
            told(data, slug, source=slug, version=hashlib.sha256(slug.encode()).hexdigest())
    return data


@pytest.fixture
def data(every: Path, tmp_path: Path) -> Path:
    """Three of them, to be changed: two that may be passed on, one that may not."""
    for slug in ("kits19", "luna16", "brats20"):
        shutil.copytree(every / slug, tmp_path / slug)
    return tmp_path


def told(data: Path, slug: str, **changes: object) -> None:
    """Changes a built source's manifest."""
    path = data / slug / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def page(release: publishing.Release, name: str = "README.md") -> str:
    content = release.files[name].content
    assert isinstance(content, bytes)
    return content.decode()


def test_of_all_sources_those_go_whose_licence_lets(every: Path) -> None:
    assert 10 < len(FREE) < len(sources.slugs()) - 10
    release = publishing.dataset(sources.slugs(), every, "lab/cosmos")
    assert {name.split("/")[1] for name in release.files if name.startswith("data/")} == FREE
    assert {part.name for part in release.parts} == FREE | {"mark", "card"}
    assert {one.name for one in release.stays} == set(sources.slugs()) - FREE
    for one in release.stays:
        assert sources.get(one.name).SOURCE.licence in one.reason
    recipes = page(release, "RECIPES.md")
    for slug in sources.slugs():
        assert (f"`cosmos build {slug}`" in recipes) == (slug not in FREE), slug
        assert (hashlib.sha256(slug.encode()).hexdigest() in recipes) == (slug not in FREE), slug


def test_the_header_s_globs_match_the_shards_that_go_and_each_in_its_split(every: Path) -> None:
    release = publishing.dataset(sources.slugs(), every, "lab/cosmos")
    shards = {name for name in release.files if name.endswith(".parquet") and name.count("/") == 3}
    header = yaml.safe_load(page(release).split("---\n")[1])
    found: dict[str, str] = {}
    for entry in header["configs"][0]["data_files"]:
        for glob in entry["path"]:
            matched = fnmatch.filter(shards, glob)
            assert matched, f"{glob} matches nothing that goes"
            found |= dict.fromkeys(matched, entry["split"])
    assert found == {name: name.split("/")[3].split("-")[0] for name in shards}


def test_a_phantom_stays_and_makes_no_version(data: Path) -> None:
    slugs = ["kits19", "luna16", "brats20"]
    told(data, "luna16", phantom=True)
    release = publishing.dataset(slugs, data, "lab/cosmos")
    assert not any("luna16" in name for name in release.files)
    assert "data/luna16" not in page(release) + page(release, "croissant.json")
    assert "Of the same version are `brats20`, whose images are not here." in page(release)
    assert [one.reason for one in release.stays if one.name == "luna16"] == [
        "a phantom: its files are synthetic"
    ]
    version = json.loads((data / "luna16/manifest.json").read_text())["version"]
    assert not any(version[:12] in page(release, name) for name in ("README.md", "RECIPES.md"))
    real = {slug: hashlib.sha256(slug.encode()).hexdigest() for slug in ("brats20", "kits19")}
    tag = hashlib.sha256(json.dumps(real, sort_keys=True).encode()).hexdigest()[:16]
    assert release.tag == tag
    assert publishing.dataset(slugs, data, "lab/cosmos", edition=3).tag == f"{tag}.3"


def test_the_files_are_the_manifest_s_with_their_bytes(data: Path) -> None:
    (data / "kits19/ct/train-00000-of-00001.parquet.part").write_text("a stray")
    (data / "kits19/.lock").write_text("")
    release = publishing.dataset(["kits19", "brats20"], data, "lab/cosmos")
    shards = [shard["file"] for shard in json.loads((data / "kits19/manifest.json").read_text())["shards"]]
    assert [file.name for file in release.parts[1].files] == [
        f"data/kits19/{name}" for name in (*shards, "cases.parquet", "manifest.json")
    ]
    for file in release.files.values():
        content = file.content if isinstance(file.content, bytes) else file.content.read_bytes()
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest()), file.name
    assert release.bytes == sum(file.size for file in release.files.values())


def test_the_same_build_gives_the_same_release(data: Path) -> None:
    slugs = ["kits19", "luna16", "brats20"]
    assert publishing.dataset(slugs, data, "a/b") == publishing.dataset(slugs, data, "a/b")


def test_what_is_not_whole_is_one_line(data: Path) -> None:
    shard = next((data / "kits19").glob("*/*.parquet"))
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(InputError, match=rf"^{shard}: damaged; build the source again$"):
        publishing.dataset(["kits19"], data, "lab/cosmos")
    shard.unlink()
    with pytest.raises(InputError, match=rf"^{shard}: can't be read \(No such file or directory\)"):
        publishing.dataset(["kits19"], data, "lab/cosmos")
    shard.write_bytes(content)
    (file,) = (f for f in publishing.dataset(["kits19"], data, "a/b").files.values() if f.content == shard)
    file.check()
    shard.write_bytes(b"x" + content[1:])
    with pytest.raises(InputError, match=rf"^{shard}: damaged, or changed meanwhile; make it again$"):
        file.check()


def test_nothing_to_publish_is_one_line(data: Path) -> None:
    told(data, "luna16", phantom=True)
    with pytest.raises(InputError, match=r"^nothing may be published \(brats20: .*; luna16: a phantom"):
        publishing.dataset(["brats20", "luna16"], data, "lab/cosmos")
    with pytest.raises(InputError, match="build the source with `cosmos build verse`"):
        publishing.dataset(["kits19", "verse"], data, "lab/cosmos")


def test_no_reason_tells_whose_machine_it_was(data: Path) -> None:
    reasons = {
        "a.nii: a fault (FileNotFoundError(2, '/home/ann/raw/a.nii')); report it": "(2, '…')); report it",
        "b.nii: not in /home/ann/my raw <1>/kits19; put it there": "b.nii: not in …; put it there",
        "c/d.nii: of 3/4 mm; see https://example.org/home/page, or ../raw": "",
        "e.nii: file:///home/ann/e.nii: truncated": "e.nii: …: truncated",
        "/home/ann/f.nii: PATH=/home/ann": "…: PATH=…",
    }
    skipped = [{"case": reason.partition(":")[0], "reason": reason} for reason in reasons]
    told(data, "kits19", skipped=skipped, excluded=[{"case": "g", "slice": 1, "reason": "as /home/ann says"}])
    release = publishing.dataset(["kits19", "luna16"], data, "lab/cosmos")
    manifest = json.loads(page(release, "data/kits19/manifest.json"))
    here = json.loads((data / "kits19/manifest.json").read_text())
    assert manifest == here | {"skipped": manifest["skipped"], "excluded": manifest["excluded"]}
    everything = page(release) + json.dumps(manifest, ensure_ascii=False)
    assert not re.search(r"/home/ann|my raw|/ann\b", everything)
    for one, (reason, cleaned) in zip(manifest["skipped"], reasons.items(), strict=True):
        assert one["reason"].endswith(cleaned or reason)
        assert escape(f"{one['case']}: {one['reason']}", quote=False) in page(release)
    assert release.files["data/luna16/manifest.json"].content == data / "luna16/manifest.json"


def test_the_card_says_where_it_lies(data: Path) -> None:
    release = publishing.dataset(["kits19", "brats20"], data, "lab/cosmos")
    text = page(release)
    assert f'load_dataset("lab/cosmos", revision="{release.tag}")' in text
    assert "Of the same version are `brats20`, whose images are not here" in text
    assert text.index("\n## This repository\n") < text.index("\n## Loading\n")
