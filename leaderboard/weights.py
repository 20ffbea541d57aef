"""Models' weights: the owners' checkpoints, and how a checkpoint becomes `data/weights/NAME.safetensors`.

An owner's file is a pickle. It is read once, by a process of its own (`leaderboard.sam.conversion`);
everything else reads safetensors only.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from cosmos1050k import index, locks
from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.fetch.download import Downloader, Patience

WEIGHTS = Path("data/weights")
#: Below it, where a file grows until it is whole and known to be right.
STAGING = ".fetch"
#: Of a process that converts: its exit status when the file is at fault, and how long it may take.
REFUSED, TIMEOUT_S = 3, 900
NAME = "[a-z0-9][a-z0-9_-]{0,63}"
#: Of the architectures of `leaderboard.sam.network`, counted there.
PARAMETERS = {
    "vit_b": 93_735_472,
    "vit_l": 312_342_832,
    "vit_h": 641_090_608,
    "nano": 3_821_952,
    "tiny": 201_036,
}

_SUM = Field(pattern="^[0-9a-f]{64}$")


class Checkpoint(BaseModel):
    """A checkpoint as its owner gives it away.

    Args:
        architecture: one of `leaderboard.sam.network`.
        url: an official address of `file`.
        sha256: of that file; `sum_from` says who published it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=f"^{NAME}$")
    architecture: str
    file: str = Field(pattern=r"^\w[\w.-]*$")
    url: str = Field(pattern=r"^https?://\S+$")
    sha256: str = _SUM
    sum_from: str
    licence: str
    citation: str


class Refused(InputError):
    """Why a checkpoint was not converted; `lines`: each of its tensors that does not match."""

    def __init__(self, problem: str, lines: Sequence[str] = ()) -> None:
        super().__init__(problem)
        self.lines = tuple(lines)


class Origin(BaseModel):
    """What a safetensors file was made from, in its metadata: the sum is that of the checkpoint.

    `architecture`: None to have it told from the tensors. `part`: what the checkpoint must hold, all of a
    model, its mask decoder alone, or either.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    architecture: str | None
    sha256: str = _SUM
    part: Literal["whole", "mask_decoder", "either"] = "whole"


def _sam(architecture: str, file: str, sha256: str) -> Checkpoint:
    return Checkpoint(
        name=f"sam_{architecture}",
        architecture=architecture,
        file=file,
        url=f"https://dl.fbaipublicfiles.com/segment_anything/{file}",
        sha256=sha256,
        sum_from="the package micro_sam, and the Git LFS pointers of huggingface.co/mashb1t/misc; "
        "the owner names the file by the beginning of its md5",
        licence="Apache-2.0",
        citation="Kirillov et al., Segment Anything, ICCV 2023",
    )


OFFICIAL: Mapping[str, Checkpoint] = {
    checkpoint.name: checkpoint
    for checkpoint in (
        _sam(
            "vit_b",
            "sam_vit_b_01ec64.pth",
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
        _sam(
            "vit_l",
            "sam_vit_l_0b3195.pth",
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        ),
        _sam(
            "vit_h",
            "sam_vit_h_4b8939.pth",
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        ),
        Checkpoint(
            name="medsam",
            architecture="vit_b",
            file="medsam_vit_b.pth",
            url="https://zenodo.org/records/10689643/files/medsam_vit_b.pth",
            sha256="34b34b78c1d18cb8c6bf84cf9c00e135d6d6c965699f3c0e31ef1bc9dcb5be74",
            sum_from="the Git LFS pointer of huggingface.co/spaces/dennistrujillo/MedSAMTest, and projects "
            "that name it for the file of the owner's Google Drive; Zenodo gives an md5",
            licence="CC-BY-4.0 (at Zenodo; the owner's code is Apache-2.0)",
            citation="Ma et al., Segment anything in medical images, Nature Communications 2024",
        ),
    )
}

#: The models that the project ships with their weights: name → architecture.
SHIPPED: Mapping[str, str] = {"sam_nano": "nano"}


def shipped(name: str) -> Path:
    """Where the weights of a model lie that the project ships."""
    return Path(__file__).parent / "models" / name / "weights.safetensors"


def path(name: str) -> Path:
    """Where an owner's weights lie.

    Raises:
        InputError: they are missing, or other ones or no safetensors file are in their place.
    """
    found = _target(name)
    if not _there(_origin(OFFICIAL[name])):
        raise InputError(f"{found}: missing; run `cosmos weights {name}`")
    return found


def open_safetensors(file: Path, framework: str = "numpy") -> safe_open:
    """Opens a safetensors file; of its tensors nothing is read yet.

    Raises:
        InputError: there is none, or it is something else or cut off.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    try:
        return safe_open(file, framework=framework)
    except (OSError, SafetensorError) as error:
        problem = f"no safetensors file, or damaged ({' '.join(str(error).split())[:100]})"
        raise BadFile(str(file), problem, "remove it and make it again") from None


def origin(file: Path) -> Origin | None:
    """What a safetensors file was made from, if it was made here.

    Raises:
        InputError: it can't be read.
    """
    with open_safetensors(file) as opened:
        try:
            return Origin.model_validate(opened.metadata() or {})
        except ValidationError:
            return None


_seen: dict[str, index.Look] = {}


def sha256(file: Path) -> str:
    """A file's sum; one whose size and time are as this process saw them is not read again.

    Raises:
        InputError: it can't be read.
    """
    try:
        look = index.looked(file, _seen)
    except OSError as error:
        raise InputError(f"{file}: can't be read ({error.strerror}); check the name") from None
    _seen[str(file.resolve())] = look
    return look[2]


def fetch(
    name: str,
    file: Path | None = None,
    *,
    keep: bool = False,
    patience: Patience | None = None,
) -> Literal["there", "made"]:
    """Gets the weights of an owner's model: downloaded, checked, converted. What is there already stays.

    Args:
        file: the owner's file, if it is at hand; it stays where it is.
        keep: leaves the downloaded file beside its conversion, from where a later call takes it.

    Raises:
        InputError: there is no such model, its file can't be had or is not the owner's.
    """
    if name not in OFFICIAL:
        known = f"known are {', '.join(OFFICIAL)}"
        raise InputError(f"no owner's weights are called {name!r}; {known}, and --from takes your own")
    checkpoint = OFFICIAL[name]
    kept = WEIGHTS / checkpoint.file
    with alone(WEIGHTS, name):
        if _there(_origin(checkpoint)):
            return "there"
        if file is None and not kept.exists():
            _download(checkpoint, kept if keep else None, patience)
            return "made"
        given = file or kept
        if problem := _problem(given, checkpoint):
            raise BadFile(str(given), problem, "remove it and fetch again")
        convert(given, _target(name), _origin(checkpoint))
    return "made"


def _target(name: str) -> Path:
    return WEIGHTS / f"{name}.safetensors"


def _origin(checkpoint: Checkpoint) -> Origin:
    return Origin(name=checkpoint.name, architecture=checkpoint.architecture, sha256=checkpoint.sha256)


def _there(wanted: Origin) -> bool:
    """Whether the weights are there already.

    Raises:
        InputError: others are in their place.
    """
    found = _target(wanted.name)
    if not found.exists():
        return False
    other = origin(found)
    if other == wanted:
        return True
    of = f"of a file with sha256 {other.sha256[:12]}…" if other else "of unknown origin"
    problem = f"weights {of}, not {wanted.architecture} of {wanted.sha256[:12]}…"
    raise BadFile(str(found), problem, "remove it and make it again")


@contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """No other process makes these weights meanwhile.

    Raises:
        InputError: one does, or the folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / f".{name}.lock").open("w")
    except OSError as error:
        raise InputError(f"{folder}: can't be written ({error.strerror}); mend it") from None
    with opened as held:
        locks.take(held, f"{name}: another process makes these weights; wait until it has ended")
        yield


def _download(checkpoint: Checkpoint, keep: Path | None, patience: Patience | None) -> None:
    """Fetches the owner's file and converts it; a call after a kill goes on where it ended."""
    staged = WEIGHTS / STAGING / checkpoint.file
    staged.parent.mkdir(exist_ok=True)
    downloader = Downloader(checkpoint.file, staged.with_name(f"{staged.name}.part"), patience)
    try:
        downloader(checkpoint.url, staged)
    except InputError as error:
        by_hand = f"or get {checkpoint.url} elsewhere and run `cosmos weights {checkpoint.name} --from FILE`"
        raise InputError(f"{error}; {by_hand}") from None
    if problem := _problem(staged, checkpoint):
        staged.unlink()
        downloader.discard()
        raise InputError(f"{checkpoint.file}: {checkpoint.url} gives {problem}; it was thrown away")
    convert(staged, _target(checkpoint.name), _origin(checkpoint))
    if keep:
        staged.rename(keep)
    else:
        staged.unlink()
    downloader.discard()


def _problem(file: Path, checkpoint: Checkpoint) -> str | None:
    """Why a file is not the owner's."""
    found = sha256(file)
    if found == checkpoint.sha256:
        return None
    return f"another file than the owner's: sha256 {found[:12]}…, not {checkpoint.sha256[:12]}…"


def convert(file: Path, target: Path, made_from: Origin) -> None:
    """Has a checkpoint converted to safetensors, checked; they appear whole, or not at all.

    Only bytes come back from the process that read a stranger's pickle: no object of its making.

    Raises:
        InputError: it does not fit its architecture or can't be read.
    """
    new = target.with_name(f".{target.name}.new")
    command = [sys.executable, "-m", "leaderboard.sam.conversion", str(file), str(new)]
    try:
        done = subprocess.run(
            [*command, made_from.model_dump_json()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if done.returncode == REFUSED:
            first, *lines = done.stdout.decode(errors="replace").splitlines() or [""]
            raise Refused(" ".join(first.split())[:1000], lines)
        if done.returncode < 0:
            killed = signal.Signals(-done.returncode).name
            raise BadFile(
                str(file), f"the process that read it was ended by {killed}", "check it, free memory"
            )
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace"))
        new.replace(target)
    except subprocess.TimeoutExpired:
        raise BadFile(str(file), f"not converted within {TIMEOUT_S} s", "try again, or check it") from None
    except OSError as error:
        raise InputError(f"{target}: can't be written ({error.strerror}); mend it") from None
    finally:
        new.unlink(missing_ok=True)
