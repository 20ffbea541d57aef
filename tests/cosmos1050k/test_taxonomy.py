"""The taxonomy has every pair of the paper, of every sheet and of every source, once and under one name."""

import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cosmos1050k import sources, taxonomy
from cosmos1050k.errors import InputError
from tests.conftest import ROOT

SHARED = ROOT.parent / "shared"
ENTRIES = {entry.pair: entry for entry in taxonomy.entries()}
KEPT = taxonomy.kept_pairs()
REGISTERED = [name for name in sources.slugs() if name != "sample"]  # the sample is not part of COSMOS 1050K

#: The 53 sources: the paper's table 1, with VerSe19 and VerSe20 as one.
_SLUGS = """
    abdomenct_1k acdc amos_2022 autolaparo brainptm_2021 brats20 camus cellseg_challenge_neurips_2022 chaos
    chase_db1 chest_ct_segmentation crag crossmoda cvc_clinicdb drive endotect_2020 epfl_em
    etis_larib_polyp_db feta han_seg i2cvb ichallenge_amd ichallenge_palm idrid_2018 iseg_2019 isic_2018 ixi
    kipa22 kits19 kits21 kvasir_instrument kvasir_seg livscar luna16 m_and_ms malbcv_abdomen montgomery_cxr
    mrspineseg msd nci_isbi_2013 promise12 qubiq_2021 siim_acr_pneumothorax ski10 sliver07 sstem_isbi2012
    stare tls01_4c2021_c04 tn_scui_2020 totalsegmentator_v1 verse warwick_qu_glas word
"""
SLUGS = set(re.findall(r"\w+", _SLUGS))

#: Tables 2 and 3 of the paper, row by row ("Arota" read as Aorta).
TABLES_2_3 = """
    Aorta-CT, Brain-CT, Heart-CT, Humerus-CT, Kidney-CT, Kidney Tumor-CT, Left Atrium-CT,
    Left Ventricular Myocardium-CT, Liver-CT, Lung-CT, Lung Tumor-CT, Pancreas-CT, Rib-CT, Right Ventricle-CT,
    Spleen-CT, Stomach-CT, Vertebra-CT, Aorta-MRI, Femur-MRI, Gall Bladder-MRI, Kidney-MRI, Liver-MRI,
    Pancreas-MRI, Prostate-MRI, Spine-MRI, Spleen-MRI, Stomach-MRI, Tibia-MRI, Brain-T1W MRI,
    Brain Tumor-T1W MRI, Brain Tumor-T2W MRI, Prostate-ADC MRI, Left Ventricle-Cine-MRI, Right Ventricle-CMR,
    Brain-DW MRI, Brain Tumor-T1-GD MRI, Brain Tumor-T2-FLAIR MRI, Thyroid Nodules-US, Lung-X-ray, Eye-Fundus,
    Tool-Colonoscopy, Polyp-Colonoscopy, Adenocarcinoma-Histopathology, Melanoma-Dermoscopy, Cell-Microscopy,
    Neural Structures-Electron Microscopy
"""
REPORTED = {" ".join(name.split()) for name in TABLES_2_3.split(",")}

#: A sheet's name → the taxonomy's, where they differ.
RENAMED = {
    "Gallbladder": "Gall Bladder",
    "Gland": "Adenocarcinoma",
    "Haemorrhage": "Hemorrhage",
    "Neuronal Structure": "Neural Structures",
    "Throat And Hypopharynx Cancer Lesion": "Throat and Hypopharynx Cancer Lesion",
    "Thyroid Nodule": "Thyroid Nodules",
    "Vertebrae": "Vertebra",
    "field of view": "Eye",
}
RENAMED_IN = {("mrspineseg", "Vertebrae"): "Spine"}

#: The modalities of a task or folder; a label elsewhere has all of its sheet's.
FOUR_SEQUENCES = ["T1W MRI", "T1-GD MRI", "T2W MRI", "T2-FLAIR MRI"]
PARTS = {
    "Task01_BrainTumour": FOUR_SEQUENCES, "Task02_Heart": ["MRI"], "Task03_Liver": ["CT"],
    "Task04_Hippocampus": ["MRI"], "Task05_Prostate": ["T2W MRI", "ADC MRI"], "Task06_Lung": ["CT"],
    "Task07_Pancreas": ["CT"], "Task08_HepaticVessel": ["CT"], "Task09_Spleen": ["CT"],
    "Task10_Colon": ["CT"], "prostate": ["MRI"], "brain-growth": ["MRI"], "brain-tumor": FOUR_SEQUENCES,
    "kidney": ["CT"], "pancreas": ["CT"], "pancreatic-lesion": ["CT"],
}  # fmt: skip

#: What is kept beside the sheets' kept labels: unions of parts, and masks that lie in the release.
ADDED = {
    "brats20": [f"Brain Tumor-{modality}" for modality in FOUR_SEQUENCES],
    "msd": [*(f"Brain Tumor-{modality}" for modality in FOUR_SEQUENCES),
            "Prostate-T2W MRI", "Prostate-ADC MRI"],
    "nci_isbi_2013": ["Prostate-T2W MRI"],
    "brainptm_2021": ["Brain-T1W MRI", "Brain-DW MRI"],
    "drive": ["Eye-Fundus"],
}  # fmt: skip

#: What a sheet keeps and the taxonomy doesn't: intestine (the exclusions win), and labels without a voxel.
LEFT_OUT = {
    "amos_2022": ["Duodenum-CT", "Duodenum-MRI", "Bladder-MRI", "Prostate/Uterus-MRI"],
    "totalsegmentator_v1": ["Duodenum-CT"],
    "word": ["Duodenum-CT"],
}

#: Section 2.1 of the paper and what follows from it.
EXCLUDED = """Airway Tree, Breast Cancer, Cochlea, Colon, Duodenum, Hepatic Vessel, Intestine, Mandible,
    Renal Artery, Renal Vein, Small Bowel, Thyroid Gland, Ureter"""

#: Other spellings of what the taxonomy has.
NOT_SO = {
    "Arota", "Callosum", "Gallbladder", "Gland", "Instrument", "Left Lung", "Neuronal Structure",
    "Optic Disk", "Rib Left", "Skin Lesion", "Thyroid Nodule", "Urinary Bladder", "Vertebrae", "Vessel",
}  # fmt: skip


def given_by(slug: str) -> set[str]:
    return {entry.pair for entry in KEPT.values() if slug in entry.sources}


def sheets() -> list[dict]:
    found = sorted((SHARED / "sources").glob("*.yaml"))
    if not found:
        pytest.skip("no sheets in shared/sources beside the project")
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in found]


def sheet_slug(sheet: dict) -> str:
    return "verse" if sheet["slug"] in ("verse19", "verse20") else sheet["slug"]


def sheet_labels(sheet: dict) -> Iterator[tuple[str, bool]]:
    """Pair and keep flag of every label a sheet lists, in every modality it has."""
    labels, slug = sheet["labels"], sheet_slug(sheet)
    older = labels.get("old_release", {}).get("map", [])
    for label in [*labels["map"], *labels.get("map_2023", []), *older]:
        name = RENAMED_IN.get((slug, label["object"]), RENAMED.get(label["object"], label["object"]))
        part = label.get("task") or (label.get("folder") if slug == "qubiq_2021" else None)
        for modality in PARTS[part] if part else label.get("applies_to", sheet["modalities"]):
            yield taxonomy.pair(name, modality), label["keep"]


def test_the_paper_s_46_pairs_are_kept_and_forced_by_it() -> None:
    assert len(REPORTED) == 46
    assert KEPT.keys() >= REPORTED
    assert all(KEPT[name].forced_by == "paper" and KEPT[name].sources for name in REPORTED)
    by_modality = taxonomy.REPORTED.items()
    assert {taxonomy.pair(name, modality) for modality, names in by_modality for name in names} == REPORTED


def test_the_list_of_46_is_the_paper_s_tables() -> None:
    table = SHARED / "paper" / "tables_2_3.csv"
    if not table.exists():
        pytest.skip("no shared/paper/tables_2_3.csv beside the project")
    with table.open(encoding="utf-8") as file:
        assert {f"{row['object']}-{row['modality']}" for row in csv.DictReader(file)} == REPORTED


def test_eighteen_modalities_all_with_objects() -> None:
    assert len(taxonomy.MODALITIES) == 18
    assert {entry.modality for entry in KEPT.values()} == set(taxonomy.MODALITIES)


def test_each_pair_is_there_once_and_in_order() -> None:
    places = [
        (entry.object.casefold(), taxonomy.MODALITIES.index(entry.modality)) for entry in ENTRIES.values()
    ]
    assert places == sorted(set(places))
    with taxonomy.TABLE.open(encoding="utf-8") as file:
        assert sum(1 for _ in file) == len(places) + 1


def test_one_object_has_one_name() -> None:
    """No two names differ by case, blanks, plural or British spelling alone."""
    names = {entry.object for entry in ENTRIES.values()}
    plain = {
        re.sub(r"[^a-z]|s\b", "", name.lower().replace("aem", "em").replace("our", "or")) for name in names
    }
    assert len(plain) == len(names)
    assert not names & NOT_SO
    words = {word for name in names for word in re.split(r"[ /-]", name)}
    assert {word for word in words if not word[0].isupper()} == {"and", "enhancing"}


def test_what_is_left_out_has_a_reason_and_the_exclusions_are_left_out() -> None:
    assert all(entry.reason for entry in ENTRIES.values() if not entry.kept)
    kept = {entry.object for entry in KEPT.values()}
    excluded = {" ".join(name.split()) for name in EXCLUDED.split(",")}
    assert excluded <= {entry.object for entry in ENTRIES.values()} - kept
    assert all(entry.reason.startswith("excluded") for entry in ENTRIES.values() if entry.object in excluded)


def test_the_sources_named_are_the_53() -> None:
    assert len(SLUGS) == 53
    assert {slug for entry in KEPT.values() for slug in entry.sources} == SLUGS
    assert {slug for entry in ENTRIES.values() for slug in entry.sources} == SLUGS
    assert set(REGISTERED) <= SLUGS


def test_the_53_are_those_of_the_sheets() -> None:
    assert {sheet_slug(sheet) for sheet in sheets()} == SLUGS


@pytest.mark.parametrize("slug", REGISTERED)
def test_a_source_declares_what_the_taxonomy_keeps_of_it(slug: str) -> None:
    assert set(sources.get(slug).SOURCE.pairs) == given_by(slug)


def test_every_label_of_a_sheet_is_decided() -> None:
    """A kept label is a kept line of that source, or left out for a reason; nothing else is kept of it."""
    kept: dict[str, set[str]] = {slug: set(added) for slug, added in ADDED.items()}
    for sheet in sheets():
        slug = sheet_slug(sheet)
        for name, keep in sheet_labels(sheet):
            assert name in ENTRIES, f"{slug}: {name}"
            kept.setdefault(slug, set()).update([name] if keep else [])
            assert ENTRIES[name].kept or (slug in ENTRIES[name].sources and ENTRIES[name].reason), name
    for slug, names in kept.items():
        assert names - given_by(slug) == set(LEFT_OUT.get(slug, ())), slug
        assert given_by(slug) <= names, slug


def test_the_totals_by_hand(tmp_path: Path) -> None:
    table = damaged(
        tmp_path,
        "Liver,CT,Liver-CT,yes,msd;word,,paper",
        "Liver,MRI,Liver-MRI,yes,,no sheet gives it,paper",
        "Rectum,CT,Rectum-CT,yes,word,,chosen",
        "Rectum,MRI,Rectum-MRI,no,word,scattered,chosen",
    )
    found = taxonomy.totals(table)
    assert (found.objects, found.pairs, found.modalities) == (2, 3, 2)
    assert (found.named_objects, found.named_pairs) == (1, 2)
    assert set(found.missing) == REPORTED - {"Liver-CT"}  # Liver-MRI is kept, and nobody has it
    assert [entry.pair for entry in taxonomy.entries(table) if not entry.kept] == ["Rectum-MRI"]
    assert taxonomy.kept_pairs(table)["Liver-CT"].sources == ("msd", "word")


def test_the_totals_are_printed_beside_the_paper_s() -> None:
    command = [sys.executable, "-m", "cosmos1050k.taxonomy"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    with taxonomy.TABLE.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kept"] == "yes"]
    objects, modalities = {row["object"] for row in rows}, {row["modality"] for row in rows}
    cells = [line.split() for line in done.stdout.splitlines()]
    assert ["objects", str(len(objects)), "84"] in [line[:3] for line in cells]
    assert ["pairs", str(len(rows)), "125"] in [line[:3] for line in cells]
    assert ["modalities", str(len(modalities)), "18"] in cells
    assert "Of the 46 pairs in tables 2 and 3, without a source: none." in done.stdout


def test_importing_reads_no_file_and_no_heavy_library() -> None:
    heavy = "{'numpy', 'pydantic', 'pyarrow'} & set(sys.modules)"
    code = (
        f"import sys, cosmos1050k.taxonomy as t; sys.exit(t.entries.cache_info().currsize or bool({heavy}))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def damaged(
    folder: Path, *lines: str, header: str = "object,modality,pair,kept,sources,reason,forced_by"
) -> Path:
    """A taxonomy of its own folder: what was read once is not read again."""
    path = folder / "taxonomy.csv"
    path.write_text("".join(f"{line}\n" for line in (header, *lines)), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("Liver,CT,Liver-CT,yes,msd,", "line 2: it must have 7 values, not 6"),
        ("Liver,CT,Liver-CT,yes,msd,,paper,more", "line 2: it must have 7 values, not 8"),
        ("", "line 2: it must have 7 values, not 0"),
        ("Liver ,CT,Liver -CT,yes,msd,,paper", "must be words with single spaces"),
        ("Liver,T3 MRI,Liver-T3 MRI,yes,msd,,paper", "'T3 MRI' is none of the 18 modalities"),
        ("Liver,CT,Liver-MRI,yes,msd,,paper", "the pair must be Liver-CT, not 'Liver-MRI'"),
        ("Liver,CT,Liver-CT,Yes,msd,,paper", "kept must be yes or no, not 'Yes'"),
        ("Liver,CT,Liver-CT,yes,word;msd,,paper", "must be slugs, sorted, each once"),
        ("Liver,CT,Liver-CT,yes,msd;msd,,paper", "must be slugs, sorted, each once"),
        ("Liver,CT,Liver-CT,yes,MSD,,paper", "must be slugs, sorted, each once"),
        ("Liver,CT,Liver-CT,no,msd,,paper", "needs a reason"),
        ("Liver,CT,Liver-CT,yes,,,paper", "needs a reason"),
        ("Liver,CT,Liver-CT,yes,msd,,me", "forced_by must be paper or chosen, not 'me'"),
        ('Liver,CT,Liver-CT,yes,msd,"open,paper', "can't be read .*; restore it or install again"),
    ],
)
def test_a_damaged_line_is_one_line_to_the_user(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as raised:
        taxonomy.entries(damaged(tmp_path, line))
    assert str(raised.value).startswith("taxonomy.csv")
    assert "\n" not in str(raised.value)


def test_a_damaged_file_is_one_line_to_the_user(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"taxonomy.csv can't be read .*No such file"):
        taxonomy.entries(tmp_path / "taxonomy.csv")
    line = "Liver,CT,Liver-CT,yes,msd,,paper"
    for name, lines, header, problem in (
        ("twice", [line, line], {}, "line 3: Liver-CT is there twice"),
        ("header", [line], {"header": "object,modality"}, "the header must be object,modality,pair,kept"),
    ):
        (tmp_path / name).mkdir()
        with pytest.raises(InputError, match=problem):
            taxonomy.entries(damaged(tmp_path / name, *lines, **header))
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary.csv can't be read \(.*; restore it or install again"):
        taxonomy.entries(binary)
