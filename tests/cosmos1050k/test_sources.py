"""Over the registry: every source is complete, unique, and pairs its files; the record is closed."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cosmos1050k import sources
from cosmos1050k.errors import InputError
from cosmos1050k.source import Case, Label, Mask, Source
from cosmos1050k.taxonomy import MODALITIES, slug

SLUGS = sources.slugs()


def test_the_registry_is_the_package() -> None:
    folder = Path(sources.__file__).parent
    assert sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__") == SLUGS
    assert "sample" in SLUGS


@pytest.mark.parametrize("name", SLUGS)
def test_a_source_is_complete(name: str) -> None:
    source = sources.get(name).SOURCE
    assert source.slug == name
    assert source.homepage.startswith("https://")
    for text in (source.name, source.licence, source.citation):
        assert text.strip() == text != ""
    assert source.package or source.access != "package"


def test_names_are_unique() -> None:
    names = [sources.get(name).SOURCE.name for name in SLUGS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", [n for n in SLUGS if sources.get(n).SOURCE.package])
def test_a_packaged_source_pairs_files_that_are_there(name: str) -> None:
    module = sources.get(name)
    root = sources.raw_root(module.SOURCE)
    cases = list(module.cases(root))
    assert len({(case.case, case.modality) for case in cases}) == len(cases) > 0
    for case in cases:
        assert all((root / file).is_file() for file in case.files)
        assert case.modality in module.SOURCE.modalities
        assert {label.object for mask in case.masks for label in mask.labels} <= set(module.SOURCE.objects)
    assert cases == list(module.cases(root))  # the order is fixed


def test_the_record_is_closed_and_typed() -> None:
    sample = sources.get("sample").SOURCE.model_dump()
    with pytest.raises(ValidationError, match="licens"):
        Source(**sample, licens="typo")
    for field, wrong in (("modalities", ("T3 MRI",)), ("redistributable", "perhaps"), ("slug", "Sam ple")):
        with pytest.raises(ValidationError, match=field):
            Source(**{**sample, field: wrong})


@pytest.mark.parametrize(
    "sound",
    [
        {"value": 1},
        {"value": (1, 3), "instance": "left"},
        {"above": 0},
        {"above": 127, "up_to": 128, "weight": 255},
        {"colour": (255, 0, 0), "within": 3, "instances": "components"},
        {"above": 0, "instances": "values"},
        {"value": 6, "instances": "sides"},
    ],
)
def test_a_label_has_one_rule(sound: dict) -> None:
    Label(object="Liver", **sound)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "give one of value, above and colour"),
        ({"value": 1, "above": 1}, "give one of value, above and colour"),
        ({"above": 1, "colour": (1, 2, 3)}, "give one of value, above and colour"),
        ({"value": 0}, "0 is the background"),
        ({"value": (1, 0)}, "0 is the background"),
        ({"above": -1}, "0 is the background"),
        ({"above": 3, "up_to": 3}, "up_to goes with a smaller above"),
        ({"value": 3, "up_to": 4}, "up_to goes with a smaller above"),
        ({"value": 3, "within": 4}, "within goes with colour"),
        ({"above": 0, "instances": "values", "instance": "left"}, "its instances name themselves"),
        ({"value": 1, "instances": "values"}, "instances by value need above"),
        ({"at_least": 128}, "at_least"),
    ],
)
def test_a_label_of_no_or_two_rules_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Label(object="Liver", **wrong)


def test_the_values_of_a_label() -> None:
    assert Label(object="Liver", value=6).values == (6,)
    assert Label(object="Liver", value=(6, 2)).values == (6, 2)
    assert Label(object="Liver", above=6).values == ()


def test_a_case_lists_each_file_once_the_image_first() -> None:
    label = Label(object="Liver", value=1)
    case = Case(
        case="a", patient="p", modality="CT", view="transverse", image="z.nii",
        masks=(Mask(file="m.nii", labels=(label,)), Mask(file="z.nii", labels=(label,))),
    )  # fmt: skip
    assert case.files == ("z.nii", "m.nii")


def test_an_unknown_source_is_one_line() -> None:
    with pytest.raises(InputError, match="unknown source 'nowhere'; `cosmos sources` lists"):
        sources.get("nowhere")


def test_the_paper_s_eighteen_modalities() -> None:
    assert len(set(MODALITIES)) == len({slug(name) for name in MODALITIES}) == 18
    assert slug("T2-FLAIR MRI") == "t2_flair_mri"
