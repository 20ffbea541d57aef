"""Stage `build`: one source from its raw files to shards."""

from pathlib import Path

from cosmos1050k import build, index
from cosmos1050k.shards import DATA, Manifest
from pipelines import params, stage


def describe(manifest: Manifest, out: Path) -> None:
    """Prints what was built and each case that was not."""
    for entry in manifest.skipped:
        print(f"skipped {manifest.source}/{entry.case}: {entry.reason.removeprefix(f'{entry.case}: ')}")
    empty = f"{manifest.empty} without an object to keep, " if manifest.empty else ""
    excluded = f", {_excluded(manifest)}" if manifest.excluded else ""
    print(
        f"{manifest.source}: {manifest.rows} images of {manifest.cases} cases, "
        f"{empty}{len(manifest.skipped)} skipped{excluded}; "
        f"version {manifest.version[:12]}, in {out}"
    )
    if manifest.phantom:
        print(f"{manifest.source} is a phantom: its files are synthetic")


def _excluded(manifest: Manifest) -> str:
    """How many cases and slices are left out, by `exclusions.csv`."""
    slices = sum(entry.slice is not None for entry in manifest.excluded)
    counts = (("case", len(manifest.excluded) - slices), ("slice", slices))
    words = (f"{number} {what}{'s' if number > 1 else ''}" for what, number in counts if number)
    return f"{' and '.join(words)} excluded"


def main() -> None:
    slug = stage.argument("python -m pipelines.build SOURCE")
    given = params.load()
    out = DATA / slug
    manifest = build.build(
        slug,
        index.load(slug),
        out,
        options=given.section("build", build.BuildOptions),
        workers=given.runtime.workers,
        case_timeout_s=given.runtime.build_case_timeout_s,
        cluster=given.runtime.cluster,
    )
    describe(manifest, out)


if __name__ == "__main__":
    with stage.reported():
        main()
