"""What of the board's scores is published, as the files of a repository: all of real sources."""

from collections.abc import Mapping
from pathlib import Path

from cosmos1050k.errors import InputError
from cosmos1050k.publishing import PAGE, Part, Release, Stays, inserted, placed, written
from cosmos1050k.shards import Manifest, dataset_version
from cosmos1050k.units import MANIFEST
from leaderboard import scores_card
from leaderboard.evaluate import manifest_of
from leaderboard.store.read import BoardReader

#: The names of a repository's files but for its card: a folder per model.
PATTERN = r"[^/]+/([^/]+\.parquet|manifest\.json)"


def release(
    reader: BoardReader, scores: Path, manifests: Mapping[str, Manifest], tag: str, repo: str, dataset: str
) -> Release:
    """What goes to the repository `repo` of the scores on the board, which lie in `scores`; no submission's.

    Args:
        manifests: of the built sources; the board must be of these.
        tag: the published version's.
        dataset: the repository of the images.

    Raises:
        InputError: the board or a model's scores are of another build, missing or damaged.
    """
    board = reader.board()
    if board["dataset_version"] != dataset_version({slug: one.version for slug, one in manifests.items()}):
        raise InputError(
            f"the board is of dataset {board['dataset_version']}, not of what is built; run `make repro`"
        )
    synthetic = [slug for slug, one in manifests.items() if one.phantom]
    taken: dict[str, list[str]] = {model["name"]: [] for model in reader.models() if not model["submitted"]}
    for run in reader.runs():
        if run["model"] in taken and run["source"] not in synthetic:
            taken[run["model"]].append(run["source"])
    taken = {model: own for model, own in taken.items() if own}
    stays = tuple(Stays(f"scores on {slug}", "a phantom: its files are synthetic") for slug in synthetic)
    if not taken:
        return Release(tag, PATTERN, (), stays)
    parts = [_model(scores / model, own, manifests) for model, own in taken.items()]
    page = inserted(scores_card.render(scores, taken, ()), _here(repo, tag, dataset))
    return Release(tag, PATTERN, (*parts, Part("card", (written(PAGE, page),))), stays)


def _model(folder: Path, own: list[str], manifests: Mapping[str, Manifest]) -> Part:
    """A model's files, with a manifest of the sources that go."""
    model = folder.name
    run = manifest_of(folder / MANIFEST, model)
    for slug in own:
        if slug not in run.sources or run.sources[slug].version != manifests[slug].version:
            raise InputError(f"{folder}: of another build of {slug} than the board; run `make repro`")
    run = run.model_copy(update={"sources": {slug: run.sources[slug] for slug in own}})
    files = [placed(f"{model}/{slug}.parquet", folder / f"{slug}.parquet") for slug in own]
    return Part(model, (*files, written(f"{model}/{MANIFEST}", run.model_dump_json(indent=1) + "\n")))


def _here(repo: str, tag: str, dataset: str) -> str:
    return f"""## This repository

The scores of the models on the board, on the version `{tag}` of the dataset (a tag here, too), whose images
are at [{dataset}](https://huggingface.co/datasets/{dataset}), as far as they may be passed on.

```python
from datasets import load_dataset

scores = load_dataset("{repo}", revision="{tag}", split="scores")
```

Or take a copy, for the lines below:

```bash
hf download {repo} --repo-type dataset --revision {tag} --local-dir leaderboard/scores
```
"""
