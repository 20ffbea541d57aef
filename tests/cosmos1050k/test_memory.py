"""How much memory a worker takes from a case's files to its written rows, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from isal import igzip

MB = 2**20
#: What may be taken besides three times the decoded volume: the interpreter and its libraries are in it.
SPARE = 300 * MB

#: Builds a case so many times; prints the most memory it ever held after the imports and after each time.
WORKER = """
import sys
from pathlib import Path
import cv2
from cosmos1050k import rows, shard_writer
from cosmos1050k.source import Case, Label, Mask

def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

folder, view, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
cv2.setNumThreads(1)
labels = (Label(object="Liver", value=1), Label(object="Kidney", value=2, instances="sides"),
          Label(object="Rib", value=3))
case = Case(case="a", patient="p", modality="CT", view=view, image="image.nii.gz",
            masks=(Mask(file="mask.nii.gz", labels=labels),))
paths = {name: folder / name for name in case.files}
print(most())
for _ in range(times):
    found = rows.rows_of(case, "source", "train", paths, dict.fromkeys(paths, ""))
    shard_writer.write_rows(folder / "rows.parquet", found.table, row_group_rows=found.table.num_rows)
    print(most(), found.table.num_rows)
    del found
"""


def write(folder: Path, shape: tuple[int, int, int]) -> int:
    """A CT-like volume of noise and its mask, slice by slice; returns the volume's bytes."""
    random = np.random.default_rng(1050)
    some = [random.normal(0, 30, shape[:2]).astype(np.int16) for _ in range(7)]
    organs = np.zeros(shape[:2], np.uint8)
    across = shape[0] // 8
    organs[across : 3 * across, across : 3 * across] = 1
    organs[5 * across : 7 * across, across : 2 * across] = 2
    organs[5 * across : 7 * across, 3 * across : 4 * across] = 2  # apart from the other: two sides
    organs[:across, : across // 2] = 3
    for name, dtype, slices in (("image", np.int16, some), ("mask", np.uint8, [organs])):
        header = nib.Nifti1Header()
        header.set_data_shape(shape)
        header.set_data_dtype(dtype)
        header["vox_offset"], header["magic"] = 352, b"n+1"
        header.set_sform(np.diag([0.7, 0.7, 1, 1]), 1)
        with igzip.open(folder / f"{name}.nii.gz", "wb", compresslevel=1) as stream:
            stream.write(header.binaryblock + bytes(4))
            for k in range(shape[2]):
                stream.write(slices[k % len(slices)].tobytes(order="F"))
    return int(np.prod(shape)) * 2


def measured(folder: Path, view: str, times: int) -> tuple[list[int], int]:
    """The most bytes held after the imports and after each time, and the number of rows."""
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(folder), view, str(times)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, *others = (line.split() for line in done.stdout.splitlines())
    return [int(first[0]), *(int(most) for most, _ in others)], int(others[-1][1])


@pytest.mark.parametrize("view", ["transverse", "sagittal"])
def test_memory_is_bounded_and_flat_over_cases(tmp_path: Path, view: str) -> None:
    volume = write(tmp_path, (256, 256, 160))
    (_, once, twice, *_, last), rows = measured(tmp_path, view, 6)
    assert rows > 100
    assert once < 3 * volume + SPARE
    assert last < twice + 10 * MB


@pytest.mark.slow
@pytest.mark.parametrize("view", ["transverse", "sagittal", "coronal"])
def test_a_large_volume_takes_less_than_2_gb(tmp_path: Path, view: str) -> None:
    """512 × 512 × 1000 of int16 and its mask; three times the volume and the spare are less than 2 GB too."""
    volume = write(tmp_path, (512, 512, 1000))
    (_, once, twice, last), rows = measured(tmp_path, view, 3)
    assert rows > 200
    assert once < 3 * volume + SPARE < 2e9
    assert last < twice + 50 * MB
