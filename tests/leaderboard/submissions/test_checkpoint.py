"""What is right passes, with the sums that the rest of the project makes; links, pipes and changes do not."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from cosmos1050k.errors import InputError
from leaderboard.finetuned import tensors_sha256
from leaderboard.sam import tensors
from leaderboard.submissions import checkpoint
from leaderboard.submissions.checkpoint import Checked, check, header
from leaderboard.submissions.refusals import Refused
from leaderboard.weights import shipped
from tests.leaderboard.submissions.files import NETWORK, POSITION, POSITION_SHAPE, File, framed

MOST = 10**9
TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
SHAPES = tensors.shapes(NETWORK)
DECODER = [name for name in SHAPES if name.startswith("mask_decoder.")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is right."""
    path = tmp_path / "given.safetensors"
    path.write_bytes(File(Random(0)).bytes())
    return path


@contextmanager
def refused(code: str, *words: str) -> Iterator[None]:
    """The block ends in one line with this code, which holds these words."""
    with pytest.raises(Refused) as error:
        yield
    assert error.value.code == code
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def right(path: Path, part: str, network: str = NETWORK) -> Checked:
    """The check of a file that passes it, held against sums that are made another way."""
    found = check(path, network, MOST)
    content = path.read_bytes()
    assert (found.part, found.bytes) == (part, len(content))
    assert found.tensors_sha256 == tensors_sha256(path)
    assert found.file_sha256 == hashlib.sha256(content).hexdigest()
    return found


def test_the_shipped_model_passes_whole_and_in_part(tmp_path: Path) -> None:
    right(shipped("sam_nano"), "whole", "nano")
    state = load_file(shipped("sam_nano"))
    own = {name: tensor for name, tensor in state.items() if name.startswith("mask_decoder.")}
    for part, chosen in (("whole", state), ("mask_decoder", own)):
        sums = set()
        for name, dtype in TYPES.items():
            copy = tmp_path / f"{part}-{name}.safetensors"
            save_file({name: tensor.to(dtype) for name, tensor in chosen.items()}, copy, {"format": "pt"})
            sums.add(right(copy, part, "nano").tensors_sha256)
        assert len(sums) == 3
    # A deeper encoder cut to the names of the smaller one.
    save_file({name: state[name] for name in SHAPES}, tmp_path / "cut.safetensors")
    with refused("shapes", "'image_encoder.pos_embed'", "[1, 16, 16, 192], not [1, 16, 16, 64]"):
        check(tmp_path / "cut.safetensors", NETWORK, MOST)


def test_the_same_weights_have_one_sum(file: Path) -> None:
    first = right(file, "whole")
    state = load_file(file)
    save_file(state, file, {"format": "pt", "note": "another header"})
    second = right(file, "whole")
    assert first.tensors_sha256 == second.tensors_sha256
    assert first.file_sha256 != second.file_sha256
    state[POSITION][0, 0, 0, 0] += 1
    save_file(state, file)
    assert right(file, "whole").tensors_sha256 != first.tensors_sha256


def test_the_largest_numbers_are_finite(file: Path) -> None:
    for dtype, of in TYPES.items():
        state = {name: torch.full(shape, torch.finfo(of).max, dtype=of) for name, shape in SHAPES.items()}
        state[POSITION].fill_(torch.finfo(of).min)
        save_file(state, file)
        assert {tensor.dtype for tensor in header(file, MOST).values()} == {dtype}
        right(file, "whole")


@settings(max_examples=40)
@given(data=st.data())
def test_what_passes_is_what_the_library_reads(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Tensors in any order, of mixed types, with odd places: the library opens them and finds these bytes."""
    part = data.draw(st.sampled_from(["whole", "mask_decoder"]))
    names = data.draw(st.permutations(list(SHAPES) if part == "whole" else DECODER))
    types = data.draw(st.lists(st.sampled_from(list(TYPES)), min_size=len(names), max_size=len(names)))
    random = torch.Generator().manual_seed(data.draw(st.integers(0, 9)))
    fields: dict[str, Any] = {}
    expected, content = {}, b""
    for name, dtype in zip(names, types, strict=True):
        expected[name] = torch.randn(SHAPES[name], generator=random).to(TYPES[dtype])
        own = expected[name].view(torch.uint8).numpy().tobytes()
        places = [len(content), len(content) + len(own)]
        fields[name] = {"dtype": dtype, "shape": list(SHAPES[name]), "data_offsets": places}
        content += own
    metadata = data.draw(st.none() | st.dictionaries(st.text(max_size=9), st.text(max_size=99), max_size=3))
    if metadata is not None:
        fields["__metadata__"] = metadata
    path = tmp_path_factory.mktemp("drawn") / "given.safetensors"
    spaces = " " * data.draw(st.integers(0, 9))
    path.write_bytes(framed(json.dumps(fields, ensure_ascii=data.draw(st.booleans())) + spaces, content))
    right(path, part)
    found = load_file(path)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_places_are_those_in_the_file(file: Path) -> None:
    content, found = file.read_bytes(), header(file, MOST)
    tensor = found[POSITION]
    assert (tensor.dtype, list(tensor.shape)) == ("F32", POSITION_SHAPE)
    held = load_file(file)[POSITION].numpy().tobytes()
    assert content[tensor.start : tensor.stop] == held


def test_only_regular_files_are_read(file: Path, tmp_path: Path) -> None:
    link, pipe, folder = tmp_path / "link", tmp_path / "pipe", tmp_path / "folder"
    link.symlink_to(file)
    os.mkfifo(pipe)
    folder.mkdir()
    with refused("no-safetensors", "a link"):
        check(link, NETWORK, MOST)
    for path in (pipe, folder, Path("/dev/zero")):
        with refused("no-safetensors", "not a file"):
            header(path, MOST)
    with pytest.raises(InputError, match=r"missing\.safetensors: can't be read \(No such file"):
        check(tmp_path / "missing.safetensors", NETWORK, MOST)


def test_no_more_bytes_than_are_taken(file: Path) -> None:
    size = file.stat().st_size
    assert check(file, NETWORK, size).bytes == size
    with pytest.raises(InputError, match="unknown architecture"):
        check(file, "vit_x", MOST)
    os.truncate(file, 2 * 10**12)
    with refused("too-large", "1 MB at most"):
        check(file, NETWORK, 10**6)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.truncate(path, 600_000),
        lambda path: os.truncate(path, path.stat().st_size + 1),
        lambda path: os.utime(path, ns=(0, 0)),
    ],
)
def test_a_file_that_changes_meanwhile(
    file: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    def shapes(architecture: str) -> dict[str, tuple[int, ...]]:
        change(file)
        return SHAPES

    monkeypatch.setattr(checkpoint.tensors, "shapes", shapes)
    with refused("truncated", "changed while it was read"):
        check(file, NETWORK, MOST)


def test_at_the_bounds(file: Path) -> None:
    """The last that passes, and the first that does not."""
    good, note = File(Random(0)), '{"__metadata__":{"a":"' + "x" * (checkpoint.MOST_METADATA - 1)
    file.write_bytes(good.bytes(note + '"},' + good.header()[1:]))
    right(file, "whole")
    file.write_bytes(good.bytes(note + 'x"},' + good.header()[1:]))
    with refused("header", "100,001 bytes of metadata, 100,000 at most"):
        header(file, MOST)
    file.write_bytes(good.bytes(good.header().ljust(checkpoint.MOST_HEADER)))
    right(file, "whole")
    file.write_bytes(good.bytes(good.header().ljust(checkpoint.MOST_HEADER + 1)))
    with refused("header", "1,000,008 bytes"):
        header(file, MOST)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a":' + "[" * 2_000 + "]" * 2_000 + "}", "nested too deeply"),
        ('{"a":' * 4_000 + "0" + "}" * 4_000, "nested too deeply"),
        ('{"a":[' + "[]," * 10_000 + "[]]}", "more than 10,000 lists and tables"),
        ('{"a":{"dtype":"F32","shape":[0,9999999999999999],"data_offsets":[0,0]}}', "999, negative"),
        ('{"a":{"dtype":"F32","shape":[0,-1],"data_offsets":[0,0]}}', "-1, negative"),
        ('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0]}}', "no type, shape and two places"),
        ('{"a":{"dtype":"F32","shape":[false],"data_offsets":[0,0]}}', "no type, shape and two places"),
        ('{"a":{"dtype":"F32","shape":[0,0,0,0,0,0,0,0,0],"data_offsets":[0,0]}}', "no type, shape and two"),
        ('{"' + "a" * 301 + '":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}', "of 301 characters"),
        ('{"__metadata__":{"a":{}}}', "metadata other than texts"),
        ('{"__metadata__":{"a":"\\ud800"}}', "no JSON in UTF-8"),
        ('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"b":0}}', "more or less than dtype"),
        ('{"a":0,"b":NaN}', "holds NaN"),
        ('{"a":0} {}', "no JSON"),
    ],
)  # fmt: skip
def test_headers_that_are_not_sound(file: Path, text: str, words: str) -> None:
    file.write_bytes(framed(text))
    with refused("header", words):
        header(file, MOST)


def test_tensors_fill_the_file_once(file: Path) -> None:
    def change(of: list[str], start: int, stop: int) -> File:
        changed = File(Random(0))
        for name in of:
            places = changed.fields[name]["data_offsets"]
            changed.fields[name]["data_offsets"] = [places[0] + start, places[1] + stop]
        return changed

    names = list(SHAPES)
    overlapping = change(names[5:], -4, -4)  # in which all bytes are some tensor's
    del overlapping.data[-4:]
    file.write_bytes(overlapping.bytes())
    with refused("layout", f"{names[5]!r} overlaps another"):
        header(file, MOST)
    apart = change(names[5:], 4, 4)
    file.write_bytes(apart.bytes() + b"\0" * 4)
    with refused("layout", f"{names[5]!r} leaves a hole before it"):
        header(file, MOST)
    larger = change(names[-1:], 0, 4)
    file.write_bytes(larger.bytes() + b"\0" * 4)
    with refused("layout", f"{names[-1]!r} has 20 bytes, 16 by its shape"):
        header(file, MOST)
