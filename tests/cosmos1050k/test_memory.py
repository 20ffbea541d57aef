"""How much memory a worker takes from a case's files to its written rows, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from isal import igzip

from cosmos1050k.source import Case, Label, Mask

MB = 2**20
#: What may be taken besides three times the decoded volume: the interpreter and its libraries are in it.
SPARE = 300 * MB

#: Builds a case so many times; prints the most memory it held until then, and its number of rows.
WORKER = """
import sys
from pathlib import Path
import cv2
from cosmos1050k import rows, shard_writer
from cosmos1050k.source import Case

def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

folder, case = Path(sys.argv[1]), Case.model_validate_json(sys.argv[2])
cv2.setNumThreads(1)
paths = {name: folder / name for name in case.files}
for _ in range(int(sys.argv[3])):
    found = rows.rows_of(case, "source", "train", paths, dict.fromkeys(paths, ""))
    shard_writer.write_rows(folder / "rows.parquet", found.table, row_group_rows=found.table.num_rows)
    print(most(), found.table.num_rows)
    del found
"""


def measured(folder: Path, case: Case, times: int) -> tuple[list[int], int]:
    """The most bytes held after each time, and the number of rows."""
    command = [sys.executable, "-c", WORKER, str(folder), case.model_dump_json(), str(times)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    return [int(most) for most, _ in lines], int(lines[-1][1])


def write(path: Path, shape: tuple[int, int, int], slices: Iterable[np.ndarray]) -> int:
    """A .nii.gz of these slices (i, j), one at a time in memory; returns its voxels' bytes."""
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    header.set_sform(np.diag([0.7, 0.7, 1, 1]), 1)
    size = 0
    with igzip.open(path, "wb", compresslevel=1) as stream:
        for number, plane in enumerate(slices):
            if not number:
                header.set_data_dtype(plane.dtype)
                stream.write(header.binaryblock + bytes(4))
            stream.write(plane.tobytes(order="F"))
            size += plane.nbytes
    return size


def noise(shape: tuple[int, int, int]) -> Iterable[np.ndarray]:
    """int16, hard to compress, as CT is; some slices again and again."""
    random = np.random.default_rng(1050)
    some = [random.normal(0, 30, shape[:2]).astype(np.int16) for _ in range(7)]
    return (some[k % 7] for k in range(shape[2]))


def ct(folder: Path, shape: tuple[int, int, int], view: str) -> tuple[Case, int]:
    """A volume and a mask of three organs, one of them in two sides; the case and the volume's bytes."""
    eighth = shape[0] // 8
    organs = np.zeros(shape[:2], np.uint8)
    organs[eighth : 3 * eighth, eighth : 3 * eighth] = 1
    organs[5 * eighth : 7 * eighth, eighth : 2 * eighth] = 2
    organs[5 * eighth : 7 * eighth, 3 * eighth : 4 * eighth] = 2
    organs[:eighth, : eighth // 2] = 3
    volume = write(folder / "image.nii.gz", shape, noise(shape))
    write(folder / "mask.nii.gz", shape, (organs for _ in range(shape[2])))
    labels = (
        Label(object="Liver", value=1),
        Label(object="Kidney", value=2, instances="sides"),
        Label(object="Rib", value=3),
    )
    masks = (Mask(file="mask.nii.gz", labels=labels),)
    return Case(case="a", patient="p", modality="CT", view=view, image="image.nii.gz", masks=masks), volume


@pytest.mark.parametrize("view", [pytest.param("transverse", marks=pytest.mark.slow), "sagittal"])
def test_memory_is_bounded_and_flat_over_cases(tmp_path: Path, view: str) -> None:
    case, volume = ct(tmp_path, (256, 256, 160), view)
    (once, twice, *_, last), rows = measured(tmp_path, case, 6)
    assert rows > 100
    assert once < 3 * volume + SPARE
    assert last < twice + 10 * MB


@pytest.mark.slow
def test_many_masks_take_little_more(tmp_path: Path) -> None:
    """Eighty structures, each in a file as large as half the volume."""
    shape, count = (192, 192, 192), 80
    volume = write(tmp_path / "image.nii.gz", shape, noise(shape))
    masks = []
    for number in range(count):
        empty, plane = np.zeros((2, *shape[:2]), np.uint8)
        left, top = 24 * (number % 8), 19 * (number // 8)
        plane[left : left + 20, top : top + 15] = 1
        planes = [plane if number <= k < number + 25 else empty for k in range(shape[2])]
        write(tmp_path / f"{number}.nii.gz", shape, planes)
        label = Label(object="Rib", value=1, instance=str(number))
        masks.append(Mask(file=f"{number}.nii.gz", labels=(label,)))
    case = Case(
        case="a", patient="p", modality="CT", view="transverse", image="image.nii.gz", masks=tuple(masks)
    )
    (once, twice), rows = measured(tmp_path, case, 2)
    assert rows == count + 24
    assert once <= twice < 3 * volume + SPARE < count * volume / 2


@pytest.mark.slow
@pytest.mark.parametrize("view", ["transverse", "sagittal", "coronal"])
def test_a_large_volume_takes_less_than_2_gb(tmp_path: Path, view: str) -> None:
    """512 × 512 × 1000 of int16 and its mask; three times the volume and the spare are less than 2 GB too."""
    case, volume = ct(tmp_path, (512, 512, 1000), view)
    (once, twice, last), rows = measured(tmp_path, case, 3)
    assert rows > 200
    assert once < 3 * volume + SPARE < 2e9
    assert last < twice + 50 * MB
