"""What the tests of pictures, tables and archives share: refusals, damaged bytes, a limit on memory."""

import os
import pickle
import resource
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import Volume, read


def one_line(error: BadFile, name: str) -> BadFile:
    """The error, checked to be one line that names the file and a remedy, and to survive pickling."""
    assert error.file == name
    assert str(error) == f"{name}: {error.problem}; {error.remedy}"
    assert str(error).isprintable()
    assert len(error.problem) > 5
    assert len(error.remedy) > 5
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    return error


def refused(path: Path) -> BadFile:
    with pytest.raises(BadFile) as caught:
        read(path, path.name)
    return one_line(caught.value, path.name)


def slices(volume: Volume) -> list[np.ndarray]:
    """H×W or H×W×3, as a later step takes them; checked to be of the stated kind and contiguous."""
    array = volume.array
    assert array.ndim == 3 + volume.colour
    assert not volume.colour or array.shape[3] == 3
    assert volume.affine is None
    found = [array[:, :, k].swapaxes(0, 1) for k in range(array.shape[2])]
    assert all(one.flags.c_contiguous for one in found)
    return found


def on_mutations(sound: Sequence[bytes], accepts: Callable[[bytes], object], examples: int = 60) -> int:
    """Calls `accepts` with sound files of which some bytes are changed or missing, the same in every run.

    It may raise BadFile, and nothing else.

    Returns:
        How many files were refused so; the others were not.
    """
    refusals = []

    @settings(derandomize=True, database=None, max_examples=examples)
    @given(mutated(sound))
    def each(data: bytes) -> None:
        try:
            accepts(data)
        except BadFile as error:
            refusals.append(str(error))

    each()
    assert all(refusal.isprintable() for refusal in refusals)
    return len(refusals)


@st.composite
def mutated(draw: st.DrawFn, sound: Sequence[bytes], head: int = 200) -> bytes:
    """One of the files with up to four bytes, most at its start, changed; now and then also cut off."""
    data = bytearray(draw(st.sampled_from(sound)))
    for _ in range(draw(st.integers(0, 4))):
        most = min(head, len(data)) if draw(st.integers(0, 3)) else len(data)
        place = draw(st.integers(0, most - 1))
        data[place] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    if not draw(st.integers(0, 4)):
        del data[draw(st.integers(0, len(data) - 1)) :]
    return bytes(data)


def within(megabytes: int, function: Callable[[], object]) -> None:
    """Calls a function in a child that may take no more memory than this, touched or not."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20, resource.RLIM_INFINITY))
            function()
            status = 0
        except BaseException:  # noqa: BLE001 (the parent asserts)
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
