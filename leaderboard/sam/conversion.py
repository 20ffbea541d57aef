"""A checkpoint to safetensors, by `python -m leaderboard.sam.conversion FILE NEW ORIGIN`.

The process is there to read what strangers pickled. It may fail in any way; a refusal is one line on its
standard output.
"""

import re
import resource
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from cosmos1050k.errors import BadFile, InputError
from leaderboard.sam import network, weights
from leaderboard.weights import REFUSED, Origin

#: What reading may take besides twice the file: a small file that claims more is no checkpoint.
_MEMORY = 4 * 2**30


def convert(file: Path, new: Path, origin: Origin) -> None:
    """Writes a checkpoint, a whole model or its mask decoder, if it fits its architecture.

    Raises:
        InputError: they don't, or the file holds no tensors or more than tensors.
    """
    with torch.device("meta"):  # names and shapes alone
        wanted = dict(network.build(origin.architecture).state_dict())
    state = _read(file)
    if origin.part == "mask_decoder":
        wanted = weights.part(wanted)
    elif weights.is_partial(state):
        raise BadFile(str(file), "a mask decoder alone", "name the model that it stands on, --base")
    weights.check(state, wanted, file)
    # Copied, since safetensors takes none that share memory; one by one, so that nothing is held twice.
    copies = {name: state.pop(name).clone(memory_format=torch.contiguous_format) for name in wanted}
    try:
        save_file(copies, new, metadata=origin.model_dump())
    except (OSError, SafetensorError) as error:
        raise InputError(f"{new.parent}: can't be written ({error}); make room") from None


def _read(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint in either format.

    Training scripts, MedSAM's among them, put them beside their optimizer's under `model`, and prefix
    `module.` to the names when several devices train.
    """
    with file.open("rb") as stream:
        start = stream.read(9)
    # A safetensors file begins with the length of its header, a JSON object.
    state: Any = weights.read(file) if start[8:] == b"{" else _unpickled(file)
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise BadFile(
            str(file), "holds more or less than tensors by name", "save the model's state_dict alone"
        )
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


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
        sys.stdout.write(str(error))
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
