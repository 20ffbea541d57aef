"""Whatever the bytes are: refused with a reason, nothing in them is run, little memory is taken."""

import json
import os
import pickle
import struct
import subprocess
import sys
from math import prod
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from leaderboard.sam.tensors import shapes
from leaderboard.submissions.checkpoint import check, header
from leaderboard.submissions.refusals import Refused
from tests.leaderboard.submissions.files import NETWORK, File, framed
from tests.leaderboard.submissions.hostile import canary, hostile

MOST = 10**9
#: A model's mask decoder: a smaller file.
GOOD = File(
    Random(0), wanted={name: shape for name, shape in shapes(NETWORK).items() if name.startswith("mask_")}
)

#: Prints how much a process's memory grew at most while it checked the files of a folder, in KiB.
MEASURE = """
import sys
from pathlib import Path
from leaderboard.submissions.checkpoint import check
from leaderboard.submissions.refusals import Refused

def peak():
    # Not `ru_maxrss`: that of a child begins with its parent's.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

before, codes = peak(), []
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        check(path, "vit_b" if path.stem == "large" else "tiny", 10**9)
    except Refused as error:
        codes.append(error.code)
assert not {"torch", "safetensors.torch"} & set(sys.modules)
print(peak() - before, len(codes))
"""


def shown(error: Refused) -> None:
    """What people read is one short line in plain signs."""
    assert str(error).isprintable()
    assert len(str(error)) < 400


def all_refused(folder: Path, count: int, seed: int) -> None:
    for made in hostile(folder, count, seed):
        with pytest.raises(Refused) as error:
            check(made.path, NETWORK, MOST)
        assert error.value.code in made.codes, (made, str(error.value))
        shown(error.value)
        assert str(folder) not in str(error.value)
        made.path.unlink()
    assert not canary(folder).exists()


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    all_refused(tmp_path, 50, seed=0)


@pytest.mark.slow
def test_more_hostile_files_are_refused(tmp_path: Path) -> None:
    all_refused(tmp_path, 500, seed=1)


def test_the_canary_would_sing(tmp_path: Path) -> None:
    """The pickles are real: who opens one finds the file."""
    first = next(hostile(tmp_path, 1))
    pickle.loads(first.path.read_bytes())
    assert canary(tmp_path).exists()


@pytest.mark.slow
def test_little_memory_is_taken(tmp_path: Path) -> None:
    """Of hostile files, and of one of 375 MB that is right."""
    count = len(list(hostile(tmp_path, 50)))
    place, fields = 0, {}
    for name, shape in shapes("vit_b").items():
        stop = place + 4 * prod(shape)
        fields[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [place, stop]}
        place = stop
    large, begin = tmp_path / "large.safetensors", framed(json.dumps(fields))
    large.write_bytes(begin)
    os.truncate(large, len(begin) + place)  # zeros, which take no room on the disk
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, refusals = map(int, done.stdout.split())
    assert refusals == count
    assert grown < 64 * 1024


def only_refusals(folder: Path, content: bytes) -> None:
    """Of these bytes comes a refusal, or a file that the library opens too."""
    path = folder / "drawn.safetensors"
    path.write_bytes(content)
    try:
        check(path, NETWORK, MOST)
    except Refused as error:
        shown(error)
        return
    with safe_open(path, "numpy") as opened:
        assert set(opened.keys()) == set(header(path, MOST))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.fixed_dictionaries(
    {}, optional={name: JSON | st.just(value) for name, value in next(iter(GOOD.fields.values())).items()}
)
SIGNS = [sign.encode() for sign in '{}[]",:\\0123456789 -']
PIECES = st.binary(max_size=6) | st.sampled_from(SIGNS)


@settings(max_examples=200)
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), PIECES), max_size=4), keeps=st.booleans())
def test_any_change_of_a_header(folder: Path, edits: list[tuple[float, int, bytes]], keeps: bool) -> None:
    raw = GOOD.header().encode()
    length = len(raw)
    for share, cut, piece in edits:
        place = round(share * len(raw))
        raw = raw[:place] + piece + raw[place + cut :]
    only_refusals(folder, struct.pack("<Q", length if keeps else len(raw)) + raw + GOOD.data)


@settings(max_examples=100)
@given(names=st.lists(st.sampled_from([*GOOD.fields][:5]) | st.text(max_size=9), max_size=5), data=st.data())
def test_any_json_for_a_header(folder: Path, names: list[str], data: st.DataObject) -> None:
    drawn = {name: data.draw(FIELDS | JSON) for name in names}
    if data.draw(st.booleans()):
        drawn["__metadata__"] = data.draw(JSON)
    fields = {**GOOD.fields, **drawn} if data.draw(st.booleans()) else drawn
    only_refusals(folder, framed(json.dumps(fields), GOOD.data))
