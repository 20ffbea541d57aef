"""What to cite: every source and the paper in CITATIONS.bib, as the sheets have it; the card leads there."""

import json
import re
from pathlib import Path

import pytest
import yaml

from cosmos1050k import card, sources
from tests.conftest import ROOT

BIB = ROOT / "cosmos1050k" / "CITATIONS.bib"
SHEETS = ROOT.parent / "shared" / "sources"
PAPER = "huang2024sam"
REQUIRED = {
    "article": {"author", "title", "journal", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "misc": {"author", "title", "year"},
}
HEAD = re.compile(r"@(\w+)\{(\w+),\s*")
FIELD = re.compile(r"(\w+)\s*=\s*\{")


def value_at(text: str, start: int) -> int:
    """Where the value that begins at `start`, after its brace, ends: at the brace that closes it."""
    depth = 1
    for place in range(start, len(text)):
        if text[place - 1] != "\\":
            depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place
    raise ValueError(f"a brace is not closed after {text[start : start + 30]!r}")


def parsed(text: str) -> list[tuple[str, str, dict[str, str]]]:
    """Kind, key and fields of each entry; anything but entries, blank lines and % lines is an error."""
    text = re.sub(r"^%.*$", "", text, flags=re.MULTILINE).strip()
    entries, place = [], 0
    while place < len(text):
        if not (head := HEAD.match(text, place)):
            raise ValueError(f"no entry begins at {text[place : place + 30]!r}")
        fields: dict[str, str] = {}
        place = head.end()
        while field := FIELD.match(text, place):
            end = value_at(text, field.end())
            if field[1] in fields or text[end : end + 2] != "},":
                raise ValueError(f"{head[2]}: the field {field[1]} is there twice or has no comma")
            fields[field[1]] = " ".join(text[field.end() : end].split())
            place = re.compile(r"\s*").match(text, end + 2).end()
        if text[place : place + 1] != "}":
            raise ValueError(f"{head[2]}: no field begins at {text[place : place + 30]!r}")
        entries.append((head[1], head[2], fields))
        place = re.compile(r"\s*").match(text, place + 1).end()
    return entries


ENTRIES = parsed(BIB.read_text(encoding="utf-8"))
FIELDS = {key: fields for _, key, fields in ENTRIES}


def plain(value: str) -> str:
    """A value without the braces that keep its capitals, and without LaTeX's escapes."""
    return re.sub(r"\\([&%#_$])", r"\1", re.sub(r"^\{(.*)\}$", r"\1", value))


def source_of(key: str) -> str:
    """`brats20` for its third work, `brats20_3`."""
    first, _, number = key.rpartition("_")
    return first if first in FIELDS and number.isdecimal() else key


def sheets() -> list[tuple[str, dict]]:
    """Slug and sheet of each source; VerSe's two sheets are one source."""
    found = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(SHEETS.glob("*.yaml"))]
    if not found:
        pytest.skip("no sheets in shared/sources beside the project")
    return [("verse" if sheet["slug"].startswith("verse") else sheet["slug"], sheet) for sheet in found]


def works(sheet: dict) -> list[dict]:
    return sheet["citation"] if isinstance(sheet["citation"], list) else [sheet["citation"]]


def test_keys_are_unique_and_count_from_two() -> None:
    assert len(FIELDS) == len(ENTRIES)
    for slug in {source_of(key) for key in FIELDS}:
        number = sum(source_of(key) == slug for key in FIELDS)
        assert {slug, *(f"{slug}_{n}" for n in range(2, number + 1))} <= set(FIELDS)


def test_all_sources_and_the_paper_are_there() -> None:
    cited = {source_of(key) for key in FIELDS} - {PAPER, "sample"}
    assert len(cited) == 53
    assert set(sources.slugs()) - {"sample"} <= cited
    assert {"sample", PAPER} <= set(FIELDS)
    assert (FIELDS[PAPER]["volume"], FIELDS[PAPER]["pages"]) == ("92", "103061")


@pytest.mark.parametrize(("kind", "key", "fields"), ENTRIES, ids=list(FIELDS))
def test_an_entry_is_whole_and_safe_for_latex(kind: str, key: str, fields: dict) -> None:
    assert REQUIRED[kind] <= fields.keys()
    assert all(fields.values())
    assert re.fullmatch(r"(19|20)\d\d", fields["year"])
    assert re.fullmatch(r"10\.\d{4,}/\S+", fields.get("doi", "10.1000/none"))
    for name in fields.keys() - {"doi", "eprint"}:  # styles print these two as they stand
        assert not re.search(r"(?<!\\)[&%#$_~^]", fields[name]), name


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (("2022},\n}\n", "2022"), "not closed"),
        (("2022},", "2022}"), "no comma"),
        (("year", "title"), "twice"),
        (("  year = {", "  year = "), "no field begins"),
        (("@misc", "misc"), "no entry begins"),
    ],
)
def test_a_damaged_entry_is_found(damage: tuple[str, str], message: str) -> None:
    sound = "% one\n@misc{some,\n  author = {Ma, J.},\n  title = {{A \\& {B}}},\n  year = {2022},\n}\n"
    assert parsed(sound * 2) == [
        ("misc", "some", {"author": "Ma, J.", "title": "{A \\& {B}}", "year": "2022"}),
    ] * 2  # fmt: skip
    with pytest.raises(ValueError, match=message):
        parsed(sound.replace(*damage))


@pytest.mark.parametrize("slug", sources.slugs())
def test_what_a_source_asks_to_cite_is_its_first_entry(slug: str) -> None:
    citation = sources.get(slug).SOURCE.citation
    assert plain(FIELDS[slug]["title"]) in citation
    first = plain(FIELDS[slug]["author"]).split(",")[0].split(" and ")[0]
    assert citation.startswith(first) or slug == "tls01_4c2021_c04"  # its organisers have no names


def test_the_entries_of_a_source_are_its_sheet_s_works() -> None:
    found: dict[str, list[dict]] = {}
    for slug, sheet in sheets():
        seen = found.setdefault(slug, [])
        seen += [work for work in works(sheet) if work not in seen]
    assert found.keys() == {source_of(key) for key in FIELDS} - {PAPER, "sample"}
    for slug, expected in found.items():
        entries = [FIELDS[key] for key in FIELDS if source_of(key) == slug]
        assert [plain(fields["title"]) for fields in entries] == [work["title"] for work in expected]
        for fields, work in zip(entries, expected, strict=True):
            doi = str(work.get("doi") or "")
            assert fields.get("doi", "") == (doi if doi.startswith("10.") else "")
            assert fields["year"] == str(work["year"])
            assert work.get("data_doi", "") in fields.get("note", "")
            authors = [name for name in plain(fields["author"]).split(" and ") if name != "others"]
            assert ("and others" in fields["author"]) == ("et al" in work["authors"])
            for name in authors:  # "Menze, B. H." is "Menze BH" there
                assert re.sub("[., ]", "", name).casefold() in re.sub("[., ]", "", work["authors"]).casefold()


def test_unclear_terms_are_not_redistributable() -> None:
    kept = [slug for slug, sheet in sheets() if sheet["redistributable"] in ("no", "unclear", False)]
    assert len(kept) > 30
    for slug in set(kept) & set(sources.slugs()):
        assert sources.get(slug).SOURCE.redistributable is False, slug


@pytest.mark.slow
def test_the_card_names_licence_terms_and_works_of_each_source(sample: Path, tmp_path: Path) -> None:
    manifest = json.loads((sample / "sample/manifest.json").read_text())
    slugs = sources.slugs()
    for slug in slugs:
        (tmp_path / slug).mkdir()
        (tmp_path / slug / "manifest.json").write_text(json.dumps({**manifest, "source": slug}))
    text = card.render(slugs, tmp_path)
    for source in (sources.get(slug).SOURCE for slug in slugs):
        may = "yes" if source.redistributable else "no"
        row = f"| [{source.name}]({source.homepage}) | {source.licence} | {may} | {source.citation} |"
        assert text.count(row) == 1
    assert "[CITATIONS.bib](CITATIONS.bib)" in text
    assert parsed(text.partition("```bibtex\n")[2].partition("```")[0]) == ENTRIES[:1]
    assert ENTRIES[0][1] == PAPER
