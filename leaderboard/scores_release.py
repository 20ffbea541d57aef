"""What of the board's scores is published, as the files of a repository: all of real sources."""

import hashlib
import hmac
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cosmos1050k import publishing
from cosmos1050k.errors import InputError
from cosmos1050k.publishing import PAGE, File, Part, Release, Stays, inserted, placed, written
from cosmos1050k.shards import Manifest, dataset_version, load_cases
from cosmos1050k.units import MANIFEST
from leaderboard import scores_card
from leaderboard.evaluate import SourceRun, manifest_of
from leaderboard.score import SCORES_SCHEMA
from leaderboard.store.read import BoardReader

#: The names of a repository's files but for its card: a folder per model.
PATTERN = r"[^/]+/([^/]+\.parquet|manifest\.json)"
#: The columns by which a row of scores names whom and what it is of.
_NAMES = ("patient", "image_id")


def key(folder: Path) -> bytes:
    """The key of the hashes that stand for a built source's names.

    It is made of its images' content: the same for the same version, and only who has them can make it.

    Raises:
        InputError: its table of cases is missing or damaged.
    """
    digests = "\n".join(case["digest"] for case in load_cases(folder))
    return hashlib.sha256(f"names of {folder.name}\n{digests}".encode()).digest()


def release(
    reader: BoardReader,
    scores: Path,
    manifests: Mapping[str, Manifest],
    tag: str,
    repo: str,
    dataset: str,
    keys: Mapping[str, bytes],
) -> Release:
    """What goes to the repository `repo` of the scores on the board, which lie in `scores`; no submission's.

    Args:
        manifests: of the built sources; the board must be of these.
        tag: the published version's.
        dataset: the repository of the images.
        keys: of each source that may not be passed on; hashes under them go instead of its names.

    Raises:
        InputError: the board or a model's scores are of another build, missing or damaged.
    """
    board = reader.board()
    if board["dataset_version"] != dataset_version({slug: one.version for slug, one in manifests.items()}):
        raise InputError(
            f"the board is of dataset {board['dataset_version']}, not of what is built; run `make repro`"
        )
    synthetic = [slug for slug, one in manifests.items() if one.phantom]
    true = {model: [slug for slug in own if slug not in synthetic] for model, own in reader.taken().items()}
    taken = {model: own for model, own in true.items() if own}
    stays = tuple(Stays(f"scores on {slug}", "a phantom: its files are synthetic") for slug in synthetic)
    if not taken:
        return Release(tag, PATTERN, (), stays)
    parts = [_model(scores / model, own, manifests, keys) for model, own in taken.items()]
    hidden = [slug for slug in manifests if slug in keys and any(slug in own for own in taken.values())]
    stays += tuple(
        Stays(f"the owner's patient and image names in scores on {slug}", "hashes go instead")
        for slug in hidden
    )
    page = inserted(scores_card.render(scores, taken, ()), _here(repo, tag, dataset, hidden))
    mark = publishing.mark("scores on COSMOS 1050K")
    return Release(tag, PATTERN, (mark, *parts, Part("card", (written(PAGE, page),))), stays)


def _model(
    folder: Path, own: Sequence[str], manifests: Mapping[str, Manifest], keys: Mapping[str, bytes]
) -> Part:
    """A model's files, with a manifest of the sources that go."""
    model = folder.name
    run = manifest_of(folder / MANIFEST, model)
    for slug in own:
        if slug not in run.sources or run.sources[slug].version != manifests[slug].version:
            raise InputError(f"{folder}: of another build of {slug} than the board; run `make repro`")
    told = {slug: _told(run.sources[slug], slug, keys.get(slug)) for slug in own}
    run = run.model_copy(update={"sources": told})
    files = [_rows(folder / f"{slug}.parquet", slug, keys.get(slug)) for slug in own]
    return Part(model, (*files, written(f"{model}/{MANIFEST}", run.model_dump_json(indent=1) + "\n")))


def _rows(path: Path, slug: str, key: bytes | None) -> File:
    """A file of scores; with a key, its names are hashes, in whose order its rows stand."""
    file = placed(f"{path.parent.name}/{path.name}", path)
    if key is None:
        return file
    try:
        table = pq.read_table(path, schema=SCORES_SCHEMA)
    except (pa.ArrowException, OSError):
        raise InputError(
            f"{path}: damaged or of another release; run `cosmos evaluate --model {path.parent.name}`"
        ) from None
    for name in _NAMES:
        names = pc.dictionary_encode(table[name]).combine_chunks()
        hashes = pa.array([_hash(key, slug, one) for one in names.dictionary.to_pylist()], pa.string())
        place = table.schema.get_field_index(name)
        table = table.set_column(place, SCORES_SCHEMA.field(name), hashes.take(names.indices))
    # As they stood, rows would tell which hash is which case: cases are built in the order of their names.
    table = table.sort_by([(name, "ascending") for name in ("image_id", "object_index", "strategy")])
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return publishing.made(file.name, out.getvalue())


def _told(run: SourceRun, slug: str, key: bytes | None) -> SourceRun:
    """What a run did with a source, without a place on this machine, and with a key without a name."""
    if key is None:
        failures = {case: publishing.without_paths(reason) for case, reason in run.failures.items()}
        return run.model_copy(update={"failures": failures})
    failed = sorted(_hash(key, slug, image) for image in run.failed_images)
    # A reason may name the case.
    failures = dict.fromkeys(sorted(_hash(key, slug, case) for case in run.failures), "not told here")
    return run.model_copy(update={"failures": failures, "failed_images": failed})


def _hash(key: bytes, slug: str, name: str) -> str:
    return f"{slug}/{hmac.new(key, name.encode(), 'sha256').hexdigest()[:24]}"


def _here(repo: str, tag: str, dataset: str, hidden: Sequence[str]) -> str:
    names = (
        f"\nThe images of {', '.join(f'`{slug}`' for slug in hidden)} may not be passed on, and the owners' "
        "names stay with them: `patient` and `image_id` are hashes there, the same for all models. Who has "
        "built the same version can make them: their key is of the images.\n"
        if hidden
        else ""
    )
    return f"""## This repository

The scores of the models on the board, on the version `{tag}` of the dataset (a tag here, too), whose images
are at [{dataset}](https://huggingface.co/datasets/{dataset}), as far as they may be passed on.
{names}
```python
from datasets import load_dataset

scores = load_dataset("{repo}", revision="{tag}", split="scores")
```

Or take a copy, for the lines below:

```bash
hf download {repo} --repo-type dataset --revision {tag} --local-dir leaderboard/scores
```
"""
