"""One person's demo, and many: what is shown and kept, what is fed back, what ends with a session."""

import gzip
import shutil
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from cosmos1050k.errors import InputError
from leaderboard import models, strategies
from leaderboard.demo.engine import Engine
from leaderboard.demo.folders import Private
from leaderboard.demo.prompting import Prompt
from leaderboard.demo.samples import Samples, stored_prompt
from leaderboard.demo.session import Controls, Session, View
from leaderboard.demo.sessions import Sessions
from leaderboard.metrics import score_masks
from tests.leaderboard import dataset

ENGINE = Engine()
BOX = (6, 5, 20, 17)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("session")
    dataset.build(folder, "sample", dataset.cases(2, seed=1, slices=2))
    return folder


@pytest.fixture
def session(data: Path, tmp_path: Path) -> Session:
    def folder() -> Path:
        new = tmp_path / f"private{len(list(tmp_path.iterdir()))}"
        new.mkdir()
        return new

    made = Session(ENGINE, Samples(data), folder)
    made.controls = Controls(("box",))
    return made


def first(data: Path) -> str:
    samples = Samples(data)
    return samples.of_pair(next(f"{names[0]}-{modality}" for modality, names in samples.pairs().items()), 1)[
        0
    ]


def nifti(path: Path, shape: tuple[int, ...] = (20, 24, 9), affine: np.ndarray | None = None) -> Path:
    values = np.random.default_rng(0).integers(-900, 900, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 2.0, 3.0, 1.0]) if affine is None else affine), path)
    return path


def test_a_sample_is_measured_against_its_truth(session: Session, data: Path) -> None:
    sample = session.load(first(data))
    assert session.target is sample.objects[0]
    session.ask(Prompt(box=BOX))
    answer = session.answers["box"]
    assert answer.mask is not None
    expected = score_masks(answer.mask, session.target.mask)
    assert answer.measured[0]["dice"] == expected["dice"]
    assert answer.measured[0]["hausdorff"] == expected["hausdorff"]
    session.aim(sample.objects[1].index)
    again = score_masks(answer.mask, sample.objects[1].mask)
    assert session.answers["box"].measured[0]["dice"] == again["dice"] != expected["dice"]


def test_a_stored_prompt_gives_the_protocols_mask(session: Session, data: Path) -> None:
    session.controls = Controls(("grabcut", "box"))
    sample = session.load(first(data))
    assert session.target is not None
    session.ask(stored_prompt(session.target, "S6"))
    entry = {name: getattr(session.target, name) for name in ("points_pos", "points_neg", "box")}
    given = strategies.prompts(strategies.STRATEGIES["S6"], [entry])
    rgb = np.repeat(sample.picture[..., None], 3, axis=2)
    for name in ("grabcut", "box"):
        model = models.get(name)
        (expected,) = model.prompt(model.embed([rgb])[0], given)
        mask = session.answers[name].mask
        assert mask is not None
        np.testing.assert_array_equal(mask, expected.masks[0])


def test_who_can_not_answer_says_so_and_the_other_answers(session: Session, data: Path) -> None:
    session.controls = Controls(("box", "grabcut"))
    session.load(first(data))
    session.ask(Prompt(points=((30, 30, True),)))
    assert session.answers["box"].found is None
    assert "box" in session.answers["box"].problem
    assert session.answers["grabcut"].found is not None


def test_the_mask_of_the_round_before_is_fed_back(session: Session, data: Path) -> None:
    session.controls = Controls(("sam_nano",))
    session.load(first(data))
    one, two = Prompt(((30, 30, True),)), Prompt(((30, 30, True), (10, 10, False)))
    session.ask(one)
    assert len(session.answers["sam_nano"].found.masks) == 3  # type: ignore[union-attr]
    session.ask(two)
    alone = session.answers["sam_nano"].found
    session.controls = Controls(("sam_nano",), feedback=True)
    for candidate in (0, 2):
        session.ask(one)
        session.choose(candidate)
        chosen = session.answers["sam_nano"].found.low[candidate]  # type: ignore[union-attr, index]
        session.ask(two)
        expected = ENGINE.ask("sam_nano", session.picture, two, chosen)
        fed = session.answers["sam_nano"].found
        assert fed is not None
        assert len(fed.masks) == 1
        assert fed.low is not None
        assert expected.low is not None
        np.testing.assert_array_equal(fed.low, expected.low)
    assert alone is not None
    assert len(alone.masks) == 3
    session.ask(Prompt())
    assert session.answers == {}


def test_slices_of_an_upload_are_kept_in_its_geometry(session: Session, tmp_path: Path) -> None:
    affine = np.array([[0, 0, -3.0, 5], [-1, 0, 0, 7], [0, 2, 0, -9], [0, 0, 0, 1]])
    path = nifti(tmp_path / "scan.nii.gz", affine=affine)
    stored = np.asanyarray(nib.load(path).dataobj)
    session.upload([path])
    expected = np.zeros(stored.shape, bool)
    assert not path.exists()
    assert set(session.windows())
    for plane, axis in (("transverse", 1), ("coronal", 0), ("sagittal", 2)):
        session.look(View(plane, 4))
        height, width = session.picture.pixels.shape
        session.ask(Prompt(box=(0, 0, width - 1, height - 1)))
        session.keep()
        expected[tuple(4 if place == axis else slice(None) for place in range(3))] = True
    name, content = session.download()
    saved = nib.Nifti1Image.from_bytes(gzip.decompress(content))
    assert name == "scan_mask.nii.gz"
    np.testing.assert_array_equal(saved.affine, affine)
    np.testing.assert_array_equal(np.asanyarray(saved.dataobj) > 0, expected)
    session.look(View("sagittal", 4))
    session.drop()
    assert len(session.kept) == 2


def test_a_window_changes_what_the_model_sees(session: Session, tmp_path: Path) -> None:
    session.upload([nifti(tmp_path / "ct.nii.gz")])
    plain = session.picture
    session.look(View("transverse", session.view.index, "bone" if "bone" in session.windows() else "Bone"))
    assert session.view.window
    assert session.picture.key != plain.key
    session.look(View("transverse", session.view.index, "no such window"))
    assert session.view.window is None
    assert session.picture.key == plain.key
    assert session.aspect == 2.0


def test_what_can_not_be_opened_changes_nothing(session: Session, data: Path, tmp_path: Path) -> None:
    session.load(first(data))
    before, shown = session.sample, session.picture
    (tmp_path / "scan.nii.gz").write_bytes(b"no scan")
    folders = set(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"scan\.nii\.gz"):
        session.upload([tmp_path / "scan.nii.gz"])
    assert (session.sample, session.picture) == (before, shown)
    assert set(tmp_path.iterdir()) == folders - {tmp_path / "scan.nii.gz"}


def test_nothing_open_is_a_sentence(session: Session) -> None:
    for action in (
        lambda: session.ask(Prompt(box=BOX)),
        session.keep,
        session.download,
        lambda: session.look(View("picture", 0)),
        lambda: session.everything(8, 0.5, 0.5),
    ):
        with pytest.raises(InputError, match="nothing is open"):
            action()


def test_an_upload_ends_with_its_session(data: Path, tmp_path: Path) -> None:
    private = Private()
    try:
        assert private.path.stat().st_mode & 0o777 == 0o700
        sessions = Sessions(ENGINE, Samples(data), private.folder)
        path = tmp_path / "a.png"
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(path)
        sessions.of("one").upload([path])
        assert sessions.of("two").study is None
        assert list(private.path.rglob("a.png"))
        sessions.end("one")
        assert not list(private.path.rglob("a.png"))
        assert sessions.of("one").study is None
    finally:
        private.close()
    assert not private.path.exists()


def test_a_session_measures_its_masks_too(session: Session, tmp_path: Path) -> None:
    """Of a picture: a byte each pixel, and each pixel of each mask; of the network's logits four."""
    Image.fromarray(np.zeros((300, 400), np.uint8)).save(tmp_path / "a.png")
    session.controls = Controls(("sam_nano", "box"))
    session.upload([tmp_path / "a.png"])
    assert session.nbytes == 300 * 400
    session.ask(Prompt(box=BOX))
    (low,) = (
        answer.found.low
        for answer in session.answers.values()
        if answer.found and answer.found.low is not None
    )
    held = 300 * 400 * (1 + len(low) + 1) + low.size * 4 + low[0].size * 4
    assert held <= session.nbytes < held + 100
    session.clear()
    assert session.nbytes == 300 * 400


def test_the_longest_unused_sessions_make_room(data: Path, tmp_path: Path) -> None:
    nbytes = 20 * 24 * 9 * 2
    sessions = Sessions(
        ENGINE, Samples(data), lambda: Path(tempfile.mkdtemp(dir=tmp_path)), gigabytes=2.5 * nbytes / 1e9
    )
    for key in ("a", "b"):
        sessions.of(key).upload([nifti(tmp_path / f"{key}.nii.gz")])
    sessions.of("a")
    sessions.of("c").upload([nifti(tmp_path / "c.nii.gz")])
    sessions.of("c")
    assert [sessions.of(key).study is None for key in ("c", "a", "b")] == [False, False, True]
    few = Sessions(ENGINE, Samples(data), lambda: tmp_path, most=2)
    held = [few.of(key) for key in "abc"]
    assert len(few) == 2
    assert few.of("c") is held[2]
    idle = Sessions(ENGINE, Samples(data), lambda: tmp_path, idle_s=0)
    old = idle.of("a")
    idle.of("b")
    assert idle.of("a") is not old


def test_what_a_killed_process_left_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    living, dead = Private(), Private()
    dead._lock.close()
    (tmp_path / "cosmos-demo-other").mkdir()  # none of ours: it has no lock
    new = Private()
    assert living.path.exists()
    assert not dead.path.exists()
    assert (tmp_path / "cosmos-demo-other").exists()
    for one in (living, new):
        one.close()
    shutil.rmtree(tmp_path / "cosmos-demo-other")
    assert not list(tmp_path.iterdir())
