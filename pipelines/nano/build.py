"""Stage `build` of the recipe: a set of phantoms, and the sample, to built sources."""

from pathlib import Path

from tqdm import tqdm

from cosmos1050k import build, index, sources
from pipelines import params, stage
from pipelines.nano.recipe import BUILT, NANO, SAMPLE


def main() -> None:
    name = stage.argument("python -m pipelines.nano.build SET")
    raw, out, workers = NANO / "raw" / name, BUILT / name, params.load().runtime.workers
    folders: dict[str, Path | None] = {path.name: path for path in sorted(raw.iterdir()) if path.is_dir()}
    if name == "seen":
        folders[SAMPLE] = None  # from where it always lies
    for slug, folder in tqdm(folders.items(), unit="source"):
        found = index.scan(sources.get(slug).SOURCE, folder, memory=NANO / f".{name}.seen")
        build.build(slug, found, out / slug, raw=folder, workers=workers)


if __name__ == "__main__":
    with stage.reported():
        main()
