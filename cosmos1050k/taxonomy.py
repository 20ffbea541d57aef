"""The taxonomy: the 18 modalities, and every object–modality pair a source's labels give, kept or not.

`python -m cosmos1050k.taxonomy` prints its totals beside the paper's.
"""

import csv
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cosmos1050k.errors import InputError

TABLE = Path(__file__).with_name("taxonomy.csv")

#: Figure 1 of the paper, in its order a…r: a modality's number is its place in this list, from 1.
MODALITIES = (
    "CT",
    "MRI",
    "T1W MRI",
    "T2W MRI",
    "ADC MRI",
    "Cine-MRI",
    "CMR",
    "DW MRI",
    "T1-GD MRI",
    "T2-FLAIR MRI",
    "Histopathology",
    "Electron Microscopy",
    "US",
    "X-ray",
    "Fundus",
    "Colonoscopy",
    "Dermoscopy",
    "Microscopy",
)

#: The objects of the paper's tables 2 and 3, by modality: the 46 pairs whose results it prints.
REPORTED = {
    "CT": ("Aorta", "Brain", "Heart", "Humerus", "Kidney", "Kidney Tumor", "Left Atrium",
           "Left Ventricular Myocardium", "Liver", "Lung", "Lung Tumor", "Pancreas", "Rib",
           "Right Ventricle", "Spleen", "Stomach", "Vertebra"),
    "MRI": ("Aorta", "Femur", "Gall Bladder", "Kidney", "Liver", "Pancreas", "Prostate", "Spine",
            "Spleen", "Stomach", "Tibia"),
    "T1W MRI": ("Brain", "Brain Tumor"),
    "T2W MRI": ("Brain Tumor",),
    "ADC MRI": ("Prostate",),
    "Cine-MRI": ("Left Ventricle",),
    "CMR": ("Right Ventricle",),
    "DW MRI": ("Brain",),
    "T1-GD MRI": ("Brain Tumor",),
    "T2-FLAIR MRI": ("Brain Tumor",),
    "Histopathology": ("Adenocarcinoma",),
    "Electron Microscopy": ("Neural Structures",),
    "US": ("Thyroid Nodules",),
    "X-ray": ("Lung",),
    "Fundus": ("Eye",),
    "Colonoscopy": ("Polyp", "Tool"),
    "Dermoscopy": ("Melanoma",),
    "Microscopy": ("Cell",),
}  # fmt: skip


class Entry(NamedTuple):
    """One line of `taxonomy.csv`.

    `sources` are those that give the pair (of a pair left out: would give it); none where no source can.
    `forced_by` is "paper" when tables 2, 3 or 5 have the pair, or table 1 or section 2.1 names its object;
    else "chosen".
    """

    object: str
    modality: str
    pair: str
    kept: bool
    sources: tuple[str, ...]
    reason: str
    forced_by: str


class Totals(NamedTuple):
    """What is kept, how much of it the paper names, and the reported pairs that no source gives."""

    objects: int
    pairs: int
    modalities: int
    named_objects: int
    named_pairs: int
    missing: tuple[str, ...]


#: What the paper counts (section 2.1): objects, pairs, modalities.
PAPER = (84, 125, 18)


def slug(modality: str) -> str:
    """`T1W MRI` → `t1w_mri`: the name of a modality's folder and of its configuration in `load_dataset`."""
    return re.sub(r"[^a-z0-9]+", "_", modality.lower()).strip("_")


def pair(object_name: str, modality: str) -> str:
    """The object–modality pair as the paper writes it: `Kidney-CT`."""
    return f"{object_name}-{modality}"


@cache
def entries(table: Path = TABLE) -> tuple[Entry, ...]:
    """Every line of the taxonomy, in the file's order.

    Raises:
        InputError: the file is missing or can't be read, or a line of it is damaged.
    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            if next(reader, []) != list(Entry._fields):
                raise InputError(f"{table.name}: the header must be {','.join(Entry._fields)}")
            found: dict[str, Entry] = {}
            for cells in reader:
                entry = _entry(cells, f"{table.name}, line {reader.line_num}")
                if entry.pair in found:
                    raise InputError(f"{table.name}, line {reader.line_num}: {entry.pair} is there twice")
                found[entry.pair] = entry
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise InputError(f"{table.name} can't be read ({problem}); restore it or install again") from problem
    return tuple(found.values())


def _entry(cells: list[str], where: str) -> Entry:
    if len(cells) != len(Entry._fields):
        raise InputError(f"{where}: it must have {len(Entry._fields)} values, not {len(cells)}")
    name, modality, written, kept, listed, reason, forced_by = cells
    sources = tuple(listed.split(";")) if listed else ()
    for right, problem in (
        (re.fullmatch(r"\S+( \S+)*", name), f"the object {name!r} must be words with single spaces"),
        (modality in MODALITIES, f"{modality!r} is none of the {len(MODALITIES)} modalities"),
        (written == pair(name, modality), f"the pair must be {pair(name, modality)}, not {written!r}"),
        (kept in ("yes", "no"), f"kept must be yes or no, not {kept!r}"),
        (
            list(sources) == sorted(set(sources)) and all(re.fullmatch("[a-z0-9_]+", s) for s in sources),
            f"the sources {listed!r} must be slugs, sorted, each once, with ; between them",
        ),
        (reason or (kept == "yes" and sources), "a pair left out, or that no source gives, needs a reason"),
        (forced_by in ("paper", "chosen"), f"forced_by must be paper or chosen, not {forced_by!r}"),
    ):
        if not right:
            raise InputError(f"{where}: {problem}")
    return Entry(name, modality, written, kept == "yes", sources, reason, forced_by)


@cache
def kept_pairs(table: Path = TABLE) -> Mapping[str, Entry]:
    """Pair → its entry, for the pairs that are kept."""
    return {entry.pair: entry for entry in entries(table) if entry.kept}


def totals(table: Path = TABLE) -> Totals:
    """What the taxonomy keeps, to be held against `PAPER`."""
    kept = kept_pairs(table)
    named = [entry for entry in kept.values() if entry.forced_by == "paper"]
    reported = [pair(name, modality) for modality, names in REPORTED.items() for name in names]
    return Totals(
        objects=len({entry.object for entry in kept.values()}),
        pairs=len(kept),
        modalities=len({entry.modality for entry in kept.values()}),
        named_objects=len({entry.object for entry in named}),
        named_pairs=len(named),
        missing=tuple(name for name in reported if name not in kept or not kept[name].sources),
    )


def report(table: Path = TABLE) -> Iterator[str]:
    """The lines of `python -m cosmos1050k.taxonomy`: totals beside the paper's, and what differs."""
    found, kept = totals(table), kept_pairs(table)
    left_out = [entry for entry in entries(table) if not entry.kept]
    nowhere = {entry.object for entry in left_out} - {entry.object for entry in kept.values()}
    yield f"{'':<22} {'here':>6} {'paper':>6} {'named by it':>12} {'chosen':>7} {'left out':>9}"

    def line(name: str, here: int, paper: int | str, named: int, out: int) -> str:
        return f"{name:<22} {here:>6} {paper:>6} {named:>12} {here - named:>7} {out:>9}"

    yield line("objects", found.objects, PAPER[0], found.named_objects, len(nowhere))
    yield line("pairs", found.pairs, PAPER[1], found.named_pairs, len(left_out))
    for modality in MODALITIES:
        here = [entry for entry in kept.values() if entry.modality == modality]
        named = sum(entry.forced_by == "paper" for entry in here)
        out = sum(entry.modality == modality for entry in left_out)
        yield line(f"  {modality}", len(here), "", named, out)
    yield f"{'modalities':<22} {found.modalities:>6} {PAPER[2]:>6}"
    yield ""
    number = sum(map(len, REPORTED.values()))
    yield f"Of the {number} pairs in tables 2 and 3, without a source: {', '.join(found.missing) or 'none'}."
    yield f"Objects {found.objects - PAPER[0]:+}, pairs {found.pairs - PAPER[1]:+} against the paper."
    yield "Its own list is in a supplement not at hand: which of the chosen ones it has is not known."
    yield "Nothing was dropped or split to reach its numbers."


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in report())
