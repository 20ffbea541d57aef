"""What tells releases and layouts of the same volumes apart, on phantoms; and owners' own label volumes."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from cosmos1050k import opening, pool, readers, slicing, sources
from cosmos1050k.errors import BadFile
from cosmos1050k.source import Case, Mask
from cosmos1050k.sources import kits21, totalsegmentator_v1
from tests import phantoms
from tests.cosmos1050k.built_phantoms import built_from, in_this_process, masks_are_true, rows_are_true
from tests.cosmos1050k.real import real
from tests.phantoms import volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "run", in_this_process)


def checked(slug: str, truth: list[TrueRow], folder: Path) -> list[str]:
    """Builds the release in `folder/raw`, holds it against the truth, and says what was skipped."""
    built = built_from(slug, truth, folder)
    rows_are_true(built)
    masks_are_true(built)
    return [entry.reason for entry in built.manifest.skipped]


def found(slug: str, raw: Path) -> list[Case | BadFile]:
    return list(sources.get(slug).cases(raw))


def renamed(truth: list[TrueRow], name: Callable[[str], str]) -> list[TrueRow]:
    """The same rows with their objects under other names."""
    return [
        replace(one, things=[replace(thing, object=name(thing.object)) for thing in one.things])
        for one in truth
    ]


def test_acdc_with_each_file_as_a_folder(tmp_path: Path) -> None:
    truth = phantoms.write("acdc", tmp_path / "raw", patients=1)
    for path in sorted((tmp_path / "raw").rglob("*_frame*.nii.gz")):
        data = gzip.decompress(path.read_bytes())
        path.unlink()
        path.mkdir()
        (path / path.stem).write_bytes(data)
    assert checked("acdc", truth, tmp_path) == []


def test_acdc_of_2017_has_test_images_without_labels(tmp_path: Path) -> None:
    truth = phantoms.write("acdc", tmp_path / "raw", patients=3)
    for path in (tmp_path / "raw/ACDC/database/testing").rglob("*_gt.nii.gz"):
        path.unlink()
    skipped = checked("acdc", [one for one in truth if not one.official_test], tmp_path)
    assert len(skipped) == 2
    assert all("its partner" in reason and "_gt.nii" in reason for reason in skipped)


def test_luna16_with_its_masks_a_folder_deeper(tmp_path: Path) -> None:
    truth = phantoms.write("luna16", tmp_path / "raw", patients=2)
    masks = tmp_path / "raw/LUNA16/seg-lungs-LUNA16"
    masks.rename(masks.with_name("inner"))
    masks.mkdir()
    masks.with_name("inner").rename(masks / masks.name)
    assert checked("luna16", truth, tmp_path) == []


def about_task05(raw: Path) -> tuple[Path, dict[str, Any]]:
    path = raw / "Task05_Prostate/dataset.json"
    return path, json.loads(path.read_text())


def test_msd_takes_the_order_of_the_zones_from_dataset_json(tmp_path: Path) -> None:
    truth = phantoms.write("msd", tmp_path / "raw", patients=1)
    for task in sorted((tmp_path / "raw").glob("Task*")):
        if task.name != "Task05_Prostate":
            shutil.rmtree(task)
    truth = [one for one in truth if one.files[0].startswith("Task05")]
    path, about = about_task05(tmp_path / "raw")
    path.write_text(json.dumps({**about, "labels": {"0": "background", "1": "TZ", "2": "PZ"}}))
    other = {"Prostate Peripheral Zone": "Transition", "Prostate Transition Zone": "Peripheral"}
    turned = renamed(truth, lambda name: f"Prostate {other[name]} Zone" if name in other else name)
    assert checked("msd", turned, tmp_path) == []


@pytest.mark.parametrize(
    "labels", [None, "", "[]", '{"labels": {"1": "PZ"}}', '{"labels": {"a": "PZ", "2": "TZ"}}']
)
def test_msd_without_the_order_of_the_zones_leaves_task_05_out(tmp_path: Path, labels: str | None) -> None:
    phantoms.write("msd", tmp_path, patients=1)
    before = found("msd", tmp_path)
    path, _ = about_task05(tmp_path)
    path.unlink()
    if labels is not None:
        path.write_text(labels)
    problem, *others = found("msd", tmp_path)
    assert isinstance(problem, BadFile)
    assert str(problem).endswith("does not say which labels are PZ and TZ; fetch it again")
    assert others == [case for case in before if isinstance(case, Case) and case.patient != "prostate_01"]
    assert len(others) == len(before) - 2


def test_totalsegmentator_v2_is_refused_in_one_line(tmp_path: Path) -> None:
    phantoms.write("totalsegmentator_v1", tmp_path, patients=2)
    for folder in sorted(tmp_path.rglob("segmentations")):
        for name in ("face", "heart_myocardium", "heart_atrium_left", "heart_atrium_right"):
            (folder / f"{name}.nii.gz").unlink()
        one = (folder / "spleen.nii.gz").read_bytes()
        for number in range(117 - 100):  # what is new in version 2
            (folder / f"costal_cartilage_{number}.nii.gz").write_bytes(one)
    (line,) = found("totalsegmentator_v1", tmp_path)
    assert isinstance(line, BadFile)
    assert str(line) == (
        "Totalsegmentator_dataset/s0000/segmentations: 117 classes, as in version 2 of the dataset; "
        "fetch version 1, zenodo.org/records/6802614"
    )


def test_totalsegmentator_s_damaged_scan_is_skipped_and_its_lists_are_needed(tmp_path: Path) -> None:
    truth = phantoms.write("totalsegmentator_v1", tmp_path / "raw", patients=1)
    root = tmp_path / "raw/Totalsegmentator_dataset"
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(root / "s0000/ct.nii.gz")
    (root / "meta.csv").unlink()
    (root / "s0000/segmentations/colon.nii.gz").unlink()  # not one that is taken
    skipped = checked("totalsegmentator_v1", truth, tmp_path)
    assert len(skipped) == 2
    assert skipped[0].startswith("meta.csv: missing, so the owner's test cases are not known; ")
    assert skipped[1].startswith("Totalsegmentator_dataset/s0864/ct.nii.gz: damaged gzip stream")


def test_totalsegmentator_has_104_classes() -> None:
    assert len({*totalsegmentator_v1.CLASSES, *totalsegmentator_v1.EXCLUDED}) == 104


def test_kits21_before_version_2_has_other_values(tmp_path: Path) -> None:
    truth = phantoms.write("kits21", tmp_path / "raw", patients=2)
    ureter, artery, vein = 2, 3, 4
    for path in sorted((tmp_path / "raw").rglob("aggregated_MAJ_seg.nii.gz")):
        image = nib.load(path)
        labels = np.asanyarray(image.dataobj)
        old = np.array([0, 1, 6, 5], np.uint8)[labels]
        free = np.argwhere(labels == 0)[1000:1300]
        for value, place in zip((ureter, artery, vein), np.split(free, 3), strict=True):
            old[tuple(place.T)] = value
        nib.save(nib.Nifti1Image(old, image.affine, dtype=np.uint8), path)
    # One case with a ureter tells the release, also of the cases without one.
    tumor = sorted((tmp_path / "raw").rglob("tumor_instance-1_annotation-1.nii.gz"))[0]
    shutil.copy(tumor, tumor.with_name("ureter_instance-1_annotation-1.nii.gz"))
    assert checked("kits21", truth, tmp_path) == []


def expected_sides(path: Path) -> dict[str, tuple[int, float]]:
    """Side → voxels and millilitres of value 1, by ITK's components and distance maps."""
    image = sitk.ReadImage(path)
    organ = sitk.Cast(image == 1, sitk.sitkUInt8)
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(organ)
    box = shape.GetBoundingBox(1)
    organ = sitk.RegionOfInterest(organ, box[3:], box[:3])
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(organ, True), sortByObjectSize=True)
    shape.Execute(parts)
    far = [
        sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(parts == n, False, False, True)) for n in (1, 2)
    ]
    numbers = sitk.GetArrayFromImage(parts)
    size = {n: shape.GetNumberOfPixels(n) for n in (1, 2)}
    for number in range(3, shape.GetNumberOfLabels() + 1):
        near = [distance[numbers == number].min() for distance in far]
        size[1 if near[0] <= near[1] else 2] += shape.GetNumberOfPixels(number)
    # ITK's x runs to the patient's left.
    right, left = sorted((1, 2), key=lambda n: shape.GetCentroid(n)[0])
    voxel = float(np.prod(image.GetSpacing())) / 1000
    return {name: (size[n], size[n] * voxel) for name, n in (("left", left), ("right", right))}


@pytest.mark.parametrize("case", ["00000", "00002", "00003", "00004", "00007", "00009", "00010", "00015"])
def test_the_two_kidneys_of_real_patients_are_told_apart(case: str) -> None:
    (path,) = real(f"kits19_labels/**/case_{case}/segmentation.nii.gz")
    mask = Mask(file="labels.nii.gz", labels=kits21.LABELS)
    one = Case(case=case, patient=case, modality="CT", image=mask.file, masks=(mask,), view="transverse")
    opened = opening.open_case(one, {mask.file: path})
    sides = {}
    for layer in opened.layers:
        for label in layer.labels:
            if label.object == "Kidney":
                slices = [layer.slices[n] for n in range(opened.depth) if n in layer.slices]
                sides[label.instance] = sum(int((plane == label.value).sum()) for plane in slices)
                columns = [np.flatnonzero((plane == label.value).any(axis=0)) for plane in slices]
                middle = np.concatenate(columns).mean() + layer.slices.left
                assert (middle > opened.size[1] / 2) == (label.instance == "left")  # as it is displayed
    expected = expected_sides(path)
    assert sides == {name: size for name, (size, _) in expected.items()}
    assert all(60 < millilitres < 500 for _, millilitres in expected.values()), expected


def test_real_zones_of_the_prostate_come_through_the_adapter(tmp_path: Path) -> None:
    """Images of two channels are made of the labels, since only these are at hand."""
    (about,) = real("msd_prostate_labels/**/dataset.json")
    paths = real("msd_prostate_labels/**/gt_segmentations/*.nii.gz")
    root = tmp_path / "raw/Task05_Prostate"
    for kind in ("imagesTr", "labelsTr"):
        (root / kind).mkdir(parents=True)
    shutil.copy(about, root / "dataset.json")
    for path in paths:
        arrangement = slicing.anatomical(readers.read(path, path.name).affine, "transverse")
        assert arrangement.axes[0] == 2  # each is stored as it was acquired
    truth = []
    for path in paths[::12]:
        shutil.copy(path, root / "labelsTr")
        image = nib.load(path)
        labels = np.asanyarray(image.dataobj)
        pair = {"T2W MRI": labels * 300.0, "ADC MRI": 700.0 - labels * 200}
        channels = np.stack(list(pair.values()), axis=3).astype(np.float32)
        nib.save(nib.Nifti1Image(channels, image.affine), root / "imagesTr" / path.name)
        codes = "".join(nib.aff2axcodes(image.affine))
        zones = displayed(image, labels)
        drawn = [Drawn("Prostate", None, zones > 0), *(
            Drawn(f"Prostate {name} Zone", None, zones == value)
            for value, name in ((1, "Peripheral"), (2, "Transition"))
        )]  # fmt: skip
        for modality, values in pair.items():
            truth += volumes.rows(
                displayed(image, values.astype(np.float32)),
                drawn,
                volumes.summed(zones, (1, 2)),
                volumes.numbers(zones.shape[0], codes),
                patient=path.name.removesuffix(".nii.gz"),
                modality=modality,
                view="transverse",
                files=(f"Task05_Prostate/imagesTr/{path.name}", f"Task05_Prostate/labelsTr/{path.name}"),
            )
    assert len({one.patient for one in truth}) == 3
    assert checked("msd", truth, tmp_path) == []


def displayed(image: nib.Nifti1Image, array: np.ndarray) -> np.ndarray:
    """Slices × rows × columns, anterior up and the patient's right on the left, from below upwards."""
    canonical = nib.as_closest_canonical(nib.Nifti1Image(array, image.affine, dtype=array.dtype))
    return np.asanyarray(canonical.dataobj)[::-1, ::-1].transpose(2, 1, 0)
