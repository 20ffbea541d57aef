"""Stage `train` of the recipe: the network from nothing, its weights and its curve."""

import csv
import io
import shutil
from collections.abc import Sequence

from safetensors.torch import save_file
from tqdm import tqdm

from cosmos1050k import shards, units
from cosmos1050k.disk import replace_text
from leaderboard import weights
from leaderboard.training import scratch
from leaderboard.training.examples import Examples
from pipelines import stage
from pipelines.nano import recipe

#: Of the way from examples to weights; a run under another number does not go on from the state of this.
VERSION = 1


def main() -> None:
    given = recipe.load()
    seen, slugs = recipe.BUILT / "seen", recipe.trained(given)
    # All at hand, decoded: phantoms are small.
    train, validation = (list(tqdm(Examples(seen, slugs, split), split)) for split in ("train", "validation"))
    validation = validation[:: max(len(validation) // given.train.measured, 1)]
    versions = {slug: shards.load_manifest(seen / slug).version for slug in slugs}
    key = units.key(version=VERSION, sources=versions, options=given.train.model_dump(mode="json"))
    made, curve = scratch.train(train, validation, given.train, units.UNITS / "nano" / key / "state.pt")
    recipe.TRAINED.parent.mkdir(parents=True, exist_ok=True)
    halves = {name: tensor.half().contiguous() for name, tensor in made.state_dict().items()}
    save_file(halves, recipe.TRAINED)
    shutil.copyfile(recipe.TRAINED, weights.shipped("sam_nano"))
    replace_text(recipe.CURVE, _table(curve))


def _table(lines: Sequence[dict[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


if __name__ == "__main__":
    with stage.reported():
        main()
