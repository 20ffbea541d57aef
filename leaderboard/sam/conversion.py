"""A checkpoint to safetensors, by `python -m leaderboard.sam.conversion FILE NEW ORIGIN`.

The process is there to read what strangers pickled. It may fail in any way; a refusal is one line on its
standard output.
"""

import re
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from cosmos1050k.errors import BadFile, InputError
from leaderboard.sam import tensors, weights
from leaderboard.weights import REFUSED, Origin

#: What reading may take besides twice the file: a small file that claims more is no checkpoint.
_MEMORY = 4 * 2**30
#: Where training scripts put a model's tensors: MedSAM's and SAM-Med2D's, Lightning's, and plain ones.
_WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "sam", "params", "checkpoint",
    "ema",
)  # fmt: skip
_DEPTH = 3
_PREFIXES = re.compile(r"^(?:(?:module|model|base_model|net|network|sam|sam_model|_orig_mod)\.)+")


def convert(file: Path, new: Path, origin: Origin) -> None:
    """Writes a checkpoint, a whole model or its mask decoder, if it fits its architecture.

    What `origin` leaves open, architecture or part, is told from the tensors and written with them.

    Raises:
        InputError: they don't, or the file holds no tensors or more than tensors.
    """
    state = _read(file)
    origin = _told(origin, state, file)
    wanted = _wanted(str(origin.architecture))
    if origin.part == "mask_decoder":
        wanted = weights.part(wanted)
    weights.check(state, wanted, file)
    # Copied, since safetensors takes none that share memory; one by one, so that nothing is held twice.
    copies = {name: state.pop(name).clone(memory_format=torch.contiguous_format) for name in wanted}
    try:
        save_file(copies, new, metadata=origin.model_dump())
    except (OSError, SafetensorError) as error:
        raise InputError(f"{new.parent}: can't be written ({error}); make room") from None


def _wanted(architecture: str) -> dict[str, torch.Tensor]:
    """Names and shapes alone."""
    return {name: torch.empty(shape, device="meta") for name, shape in tensors.shapes(architecture).items()}


def _told(origin: Origin, state: Mapping[str, torch.Tensor], file: Path) -> Origin:
    """With the architecture and the part that the tensors are of, where they are not given."""
    partial = weights.is_partial(state)
    if origin.part == "either":
        origin = origin.model_copy(update={"part": "mask_decoder" if partial else "whole"})
    if origin.part == "whole" and partial:
        raise BadFile(str(file), "a mask decoder alone", "name the model that it stands on, --base")
    if origin.architecture is not None:
        return origin
    fits = {name: _fit(state, name) for name in tensors.SIZES}
    nearest = max(fits, key=lambda name: fits[name])
    if not fits[nearest]:
        raise BadFile(str(file), "no tensor in it is one of SAM's", "give a checkpoint of a SAM")
    return origin.model_copy(update={"architecture": nearest})


def _fit(state: Mapping[str, torch.Tensor], architecture: str) -> float:
    """The share of an architecture's tensors that are there, in their shapes."""
    wanted = tensors.shapes(architecture)
    there = sum(name in state and state[name].shape == shape for name, shape in wanted.items())
    return there / len(wanted)


def _read(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint in either format, under the names that the owner gives them."""
    with file.open("rb") as stream:
        start = stream.read(9)
    # A safetensors file begins with the length of its header, a JSON object.
    state: Any = _unwrapped(weights.read(file) if start[8:] == b"{" else _unpickled(file))
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise BadFile(
            str(file), "holds more or less than tensors by name", "save the model's state_dict alone"
        )
    return _placed(_stripped(state, file))


def _placed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A mask decoder's own tensors under the names that they have in a model."""
    if "iou_token.weight" in state and not any(name.startswith("image_encoder.") for name in state):
        return {f"mask_decoder.{name}": tensor for name, tensor in state.items()}
    return state


def _unwrapped(content: Any) -> Any:
    """What training scripts put beside their optimizer's state, one dictionary in another."""
    for _ in range(_DEPTH):
        if not isinstance(content, dict):
            break
        inner = next((content[name] for name in _WRAPPERS if isinstance(content.get(name), dict)), None)
        if inner is None:
            break
        content = inner
    return content


def _stripped(state: dict[str, torch.Tensor], file: Path) -> dict[str, torch.Tensor]:
    """Without the names of what the model was wrapped in: by several devices, a compiler, a trainer."""
    found: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        short = _PREFIXES.sub("", name)
        if short in found:
            raise BadFile(
                str(file),
                f"has the tensor {short[:100]!r} twice, under two prefixes",
                "save one of the models",
            )
        found[short] = tensor
    return found


def _unpickled(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 (whatever a stranger's bytes bring about)
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked:
            problem = f"not read: more than tensors, it asks for {asked[1][:80]}"
        else:
            problem = f"no checkpoint that torch can read ({type(error).__name__})"
        raise BadFile(str(file), problem, "save the model's state_dict alone, or as safetensors") from None


def main() -> None:
    file, new, origin = sys.argv[1:]
    limit = _MEMORY + 2 * Path(file).stat().st_size
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        convert(Path(file), Path(new), Origin.model_validate_json(origin))
    except InputError as error:
        sys.stdout.write("\n".join([str(error), *getattr(error, "lines", ())]))
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
