"""A study from its export to its numbers, which are counted by hand; and all that is refused."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cosmos1050k.errors import InputError
from leaderboard.annotation import folder as layout
from leaderboard.annotation import importing, result
from leaderboard.annotation.importing import Unfit
from leaderboard.studies.effort import Effort
from tests.leaderboard import dataset
from tests.leaderboard.annotation.conftest import KIDNEY, LIVER, SIZE
from tests.leaderboard.boards import Scored
from tests.leaderboard.dataset import rectangle

HEADER = "annotator,task,image,seconds\n"
NOTHING = np.zeros(SIZE, bool)


def draw(folder: Path, who: str, task: str, livers: NDArray[np.bool_], inside: int = 255) -> None:
    """Saves the same masks for both images, the kidneys right."""
    place = folder / "annotations" / who / task
    place.mkdir(parents=True)
    for image in ("001", "002"):
        for number, mask in enumerate((livers, KIDNEY), start=1):
            cv2.imwrite(str(place / f"{image}_{number}.png"), mask.astype(np.uint8) * inside)


def times(folder: Path, *lines: str) -> None:
    (folder / "times.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines))


@pytest.fixture
def annotated(folder: Path) -> Path:
    """Three people: who drew no liver, who drew it 40 columns too wide, and who changed nothing."""
    draw(folder, "ann", "scratch", NOTHING)
    draw(folder, "ann", "corrected", LIVER, inside=1)
    draw(folder, "bob", "scratch", rectangle(20, 20, 119, 69, SIZE) & ~KIDNEY)
    shutil.copytree(folder / "presegmented", folder / "annotations/cleo/corrected")
    times(
        folder,
        "ann,scratch,001.png,60", "ann,scratch,002.png,120", "ann,corrected,001.png,30.5",
        "ann,corrected,002.png,29.5", "", " bob , scratch , 001.png , 6 ", "bob,scratch,002.png,3600",
        "cleo,corrected,001.png,1", "cleo,corrected,002.png,2",
    )  # fmt: skip
    return folder


def test_the_numbers_are_those_counted_by_hand(built: Scored, annotated: Path) -> None:
    """By `test_effort` a missing rectangle takes 9 clicks, one too long 2, the ends of the wrong border."""
    found = importing.read(annotated, built.data)
    assert (found.study, found.model, found.images, found.objects, found.relax) == ("trial", "box", 2, 4, 5)
    right = Effort(per_object=0, per_image=0)
    assert found.presegmented == right
    ann, bob, cleo = (found.annotators[name] for name in ("ann", "bob", "cleo"))
    assert list(found.annotators) == ["ann", "bob", "cleo"]
    assert ann["scratch"].effort == Effort(per_object=4.5, per_image=9)
    assert ann["corrected"].effort == right
    assert bob["scratch"].effort == Effort(per_object=1, per_image=2)
    assert (list(bob), list(cleo)) == (["scratch"], ["corrected"])
    assert [ann["scratch"].minutes, ann["corrected"].minutes] == [1.5, 0.5]
    assert bob["scratch"].minutes == pytest.approx(3606 / 2 / 60)
    assert list(found.of_task("scratch")) == ["ann", "bob"]


def test_an_import_is_repeated_and_replaced_but_no_other_study_s(
    built: Scored, annotated: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "annotation"
    found = importing.read(annotated, built.data)
    path = result.write(found, kept)
    assert (path, result.read(path), result.every(kept)) == (kept / "trial.json", found, [found])
    content = path.read_bytes()
    assert result.write(importing.read(annotated, built.data), kept).read_bytes() == content
    shutil.rmtree(annotated / "annotations/cleo")
    times(annotated, *(f"{w},{i},2" for w in ("ann,scratch", "ann,corrected", "bob,scratch")
                       for i in ("001.png", "002.png")))  # fmt: skip
    result.write(importing.read(annotated, built.data), kept)
    assert list(result.read(path).annotators) == ["ann", "bob"]
    other = found.model_copy(update={"study_sha256": "0" * 64})
    with pytest.raises(InputError, match=r"trial\.json: of another study of that name; rename this one's"):
        result.write(other, kept)
    path.write_text(path.read_text().replace("trial", "others"))
    with pytest.raises(InputError, match=r"trial\.json: of the study others; remove it"):
        result.every(kept)
    assert result.every(tmp_path / "none") == []


def change(name: str, mask: NDArray[np.generic]) -> Callable[[Path], None]:
    return lambda folder: cv2.imwrite(str(folder / name), mask) and None


def add(*lines: str) -> Callable[[Path], None]:
    def added(folder: Path) -> None:
        with (folder / "times.csv").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    return added


ONE = "annotations/ann/scratch/001_1.png"
STEPS = np.tile(np.arange(160, dtype=np.uint8), (120, 1))


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda f: (f / ONE).unlink(), f"{ONE}: missing; save one, empty if there is nothing"),
        (lambda f: (f / ONE).write_bytes(b"GIF89a"), f"{ONE}: no PNG of 8 bits; save it as one"),
        (lambda f: (f / ONE).write_bytes((f / ONE).read_bytes()[:40]),
         f"{ONE}: no PNG of 8 bits; save it as one"),
        (change(ONE, NOTHING.astype(np.uint16)), f"{ONE}: no PNG of 8 bits; save it as one"),
        (change(ONE, np.zeros((*SIZE, 3), np.uint8)),
         f"{ONE}: in colour; save it as gray, 0 outside and 255 inside"),
        (change(ONE, np.zeros((160, 120), np.uint8)),
         f"{ONE}: 120×160, and its image 160×120 pixels; save it in the image's size"),
        (change(ONE, STEPS % 3), f"{ONE}: holds the values 0, 1, 2; save 0 outside and one other inside"),
        (change(ONE, STEPS),
         f"{ONE}: holds the values 0, 1, 2, 3, 4 …; save 0 outside and one other inside"),
        (change(ONE, 255 * KIDNEY.astype(np.uint8)),
         f"{ONE}: lies outside its object's box; another's name?"),
        (change(ONE, 255 * (~LIVER).astype(np.uint8)),
         f"{ONE}: covers all four corners of the image; inverted?"),
        (lambda f: draw(f, "dan", "scratch", LIVER),
         "annotations/dan/scratch: nothing but the model's masks; draw without them, or put these into "
         "corrected"),
        (change("presegmented/002_2.png", NOTHING.astype(np.uint8)),
         "presegmented/002_2.png: changed; put the exported one back, and corrected masks into "
         "annotations/NAME/corrected"),
        (change("annotations/ann/scratch/003_1.png", NOTHING.astype(np.uint8)),
         "annotations/ann/scratch/003_1.png: no mask of this study; name it as in objects.csv"),
        (lambda f: (f / "annotations/ann/adjusted").mkdir(),
         "annotations/ann/adjusted: no folder of a task; there are scratch and corrected"),
        (lambda f: (f / "annotations/ann lee").mkdir(),
         "annotations/ann lee: no folder of a person; name it with letters, digits, - and _ alone"),
        (lambda f: shutil.rmtree(f / "annotations/cleo"),
         "times.csv: cleo, corrected has times and no masks; put these into annotations/cleo/corrected"),
        (lambda f: draw(f, "dan", "scratch", LIVER),
         "times.csv: no time of dan, scratch, 001.png; add a line"),
        (add("ann,scratch,003.png,5"),
         "times.csv, line 11: no image '003.png' in the study; give its file's name, such as 001.png"),
        (add("ann,draw,001.png,5"), "times.csv, line 11: no task 'draw'; there are scratch and corrected"),
        (add(",scratch,001.png,5"), "times.csv, line 11: no annotator; name one"),
        (add("bob,corrected,001.png,-5"),
         "times.csv, line 11: '-5' seconds; give a number from 1 to 3600"),
        (add("bob,corrected,001.png,0.00001"),
         "times.csv, line 11: '0.00001' seconds; give a number from 1 to 3600"),
        (add("bob,corrected,001.png,3600.1"),
         "times.csv, line 11: '3600.1' seconds; give a number from 1 to 3600"),
        (add("bob,corrected,001.png,nan"),
         "times.csv, line 11: 'nan' seconds; give a number from 1 to 3600"),
        (add("bob,corrected,001.png,1m"),
         "times.csv, line 11: '1m' seconds; give a number from 1 to 3600"),
        (add("bob,scratch,001.png,5"),
         "times.csv, line 11: a second time of bob, scratch, 001.png; keep one"),
        (add("bob;scratch"), "times.csv, line 11: 1 values; give 4: annotator, task, image, seconds"),
        (lambda f: (f / "times.csv").write_text("a;b\n"),
         "times.csv: its first line is 'a;b'; make it annotator,task,image,seconds"),
        (add(f"ann,{'x' * 131_073},001.png,5"),
         "times.csv, line 11: no CSV (field larger than field limit (131072)); mend it"),
        (lambda f: (f / "times.csv").unlink(),
         "times.csv: missing; its header is annotator,task,image,seconds"),
        (lambda f: (f / "times.csv").write_bytes(b"\xff\xfe\xfa"),
         "times.csv: can't be read as text in UTF-8; save it as CSV in UTF-8"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line_and_nothing_is_imported(
    built: Scored, annotated: Path, spoil: Callable[[Path], object], problem: str
) -> None:
    spoil(annotated)
    with pytest.raises(Unfit) as raised:
        importing.read(annotated, built.data)
    assert problem in raised.value.problems
    assert raised.value.problems.count(problem) == 1
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith("; nothing was imported")


def test_a_table_that_can_t_be_read_is_one_fault(built: Scored, annotated: Path) -> None:
    (annotated / "times.csv").write_text("a;b\n")
    with pytest.raises(Unfit) as raised:
        importing.read(annotated, built.data)
    assert len(raised.value.problems) == 1


def test_a_wrong_time_is_not_said_to_be_missing_too(built: Scored, annotated: Path) -> None:
    table = annotated / "times.csv"
    lines = table.read_text().splitlines()
    number = next(place for place, line in enumerate(lines) if line.startswith("ann,"))
    lines[number] = lines[number].rpartition(",")[0] + ",soon"
    table.write_text("\n".join(lines))
    with pytest.raises(Unfit) as raised:
        importing.read(annotated, built.data)
    wrong = f"times.csv, line {number + 1}: 'soon' seconds; give a number from 1 to 3600"
    assert list(raised.value.problems) == [wrong]


def test_what_the_model_drew_outside_the_box_may_be_left(built: Scored, annotated: Path) -> None:
    """Of the model's own slips, one left by `cleo` is none of hers."""
    path = annotated / "study.json"
    content = cv2.imencode(".png", 255 * KIDNEY.astype(np.uint8))[1].tobytes()
    study = json.loads(path.read_text())
    for place, name in enumerate(("001", "002")):
        study["images"][place]["objects"][0]["sha256"] = hashlib.sha256(content).hexdigest()
        for folder in ("presegmented", "annotations/cleo/corrected"):
            (annotated / folder / f"{name}_1.png").write_bytes(content)
    path.write_text(json.dumps(study))
    found = importing.read(annotated, built.data)
    assert found.annotators["cleo"]["corrected"].effort == found.presegmented
    assert found.presegmented.per_object > 0


def test_a_mask_of_all_may_be_right_where_an_object_reaches_the_border(annotated: Path) -> None:
    entry = layout.load(annotated)[0].images[0].objects[0]
    everything = np.ones(SIZE, bool)
    assert "inverted" in importing._slip(everything, entry)
    for box in ((0, 20, 79, 69), (20, 0, 79, 69), (20, 20, 159, 69), (20, 20, 79, 119)):
        assert not importing._slip(everything, entry.model_copy(update={"box": box}))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"index": 1', '"index": 99', "001.png is another image than the dataset's 'first/case"),
        ('"index": 1', '"index": 2', "001.png is another image than the dataset's 'first/case"),
        ('"height": 120', '"height": 121', "001.png is another image than the dataset's 'first/case"),
        ('"index": 1', '"index": -1', "damaged or of another release; take it from the folder as exported"),
        ('"first": "', '"second": "', "damaged or of another release; take it from the folder as exported"),
        ('"001.png"', '"../001.png"', "damaged or of another release; take it from the folder as exported"),
        ('"001_1.png"', '"/001_1.png"', "damaged or of another release; take it from the folder as exported"),
        ('"closed": [', '"closed": ["other",', "damaged or of another release; take it from the folder as"),
    ],
)
def test_a_study_that_was_changed_by_hand_is_refused(
    built: Scored, annotated: Path, old: str, new: str, problem: str
) -> None:
    path = annotated / "study.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=re.escape(f"study.json: {problem}")):
        importing.read(annotated, built.data)


def test_an_image_counts_once(built: Scored, annotated: Path) -> None:
    path = annotated / "study.json"
    study = json.loads(path.read_text())
    path.write_text(json.dumps({**study, "images": [*study["images"], study["images"][0]]}))
    with pytest.raises(InputError, match=r"study\.json: damaged or of another release"):
        importing.read(annotated, built.data)


def test_a_study_without_sources_is_refused(built: Scored, annotated: Path) -> None:
    path = annotated / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sources": {}}))
    with pytest.raises(InputError, match=r"study\.json: damaged or of another release"):
        importing.read(annotated, built.data)


def test_all_faults_are_told_at_once(built: Scored, annotated: Path) -> None:
    (annotated / ONE).unlink()
    (annotated / "annotations/bob/scratch/002_2.png").write_bytes(b"")
    add("eve,scratch,001.png,5")(annotated)
    with pytest.raises(
        Unfit, match=r"has times and no masks; .* \(and 2 more\); nothing was imported$"
    ) as raised:
        importing.read(annotated, built.data)
    assert [line.split(":")[0] for line in raised.value.problems] == [
        "times.csv", ONE, "annotations/bob/scratch/002_2.png",
    ]  # fmt: skip


def test_a_study_of_nobody_and_what_is_no_study_are_refused(
    built: Scored, folder: Path, tmp_path: Path
) -> None:
    (folder / "annotations").mkdir()
    (folder / "annotations/.DS_Store").touch()
    with pytest.raises(Unfit, match=r"nobody's masks in annotations/; README\.md there says"):
        importing.read(folder, built.data)
    with pytest.raises(InputError, match=r"study\.json: can't be read .* give a folder of `cosmos export"):
        importing.read(tmp_path, built.data)
    (folder / "study.json").write_text(json.dumps({"model": "box"}))
    with pytest.raises(InputError, match=r"study\.json: damaged or of another release"):
        importing.read(folder, built.data)


def test_another_version_than_is_built_is_refused(built: Scored, annotated: Path, tmp_path: Path) -> None:
    other = built.copy(tmp_path / "other")
    other.build("first", dataset.cases(2))
    with pytest.raises(InputError, match=r"of version [0-9a-f]{16} of first, and built is [0-9a-f]{16}; "):
        importing.read(annotated, other.data)
    other.build("second", dataset.cases(2))
    shutil.copytree(built.data / "first", other.data / "first", dirs_exist_ok=True)
    assert importing.read(annotated, other.data).objects == 4  # another source more is no other version
