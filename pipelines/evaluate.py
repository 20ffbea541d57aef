"""Stage `evaluate`: one model on every source."""

from collections.abc import Sequence

from cosmos1050k.shards import DATA
from leaderboard.evaluate import SCORES, BoardRows, EvaluateOptions, RunManifest, evaluate
from pipelines import params, stage


def describe(run: RunManifest) -> None:
    """Prints what was scored, what failed and what does not apply."""
    name = run.declaration.name
    for slug, source in run.sources.items():
        for case, reason in source.failures.items():
            print(f"failed {name} on {slug}/{case}: {reason}")
        if lost := source.failed_images:
            print(f"{name} failed on {len(lost)} images of {slug}, which count as 0: {_some(lost)}")
        print(f"{name}: {source.scores} scores on {source.cases} cases of {slug}")
    for strategy, reason in run.not_applicable.items():
        print(f"{name}: {strategy} does not apply, it {reason}")


def _some(images: Sequence[str]) -> str:
    """The first few names; all stand in the manifest."""
    return ", ".join(images[:3]) + (", …" if len(images) > 3 else "")


def main() -> None:
    model = stage.argument("python -m pipelines.evaluate MODEL")
    given = params.load()
    run = evaluate(
        model,
        DATA,
        SCORES / model,
        sources=given.sources,
        protocol_version=given.protocol_version,
        options=given.section("evaluate", EvaluateOptions),
        board_rows=given.section("board_rows", BoardRows),
        workers=given.runtime.workers,
        image_timeout_s=given.runtime.evaluate_image_timeout_s,
        image_batch=given.runtime.image_batch,
        prompt_batch=given.runtime.prompt_batch,
        cluster=given.runtime.cluster,
    )
    describe(run)


if __name__ == "__main__":
    with stage.reported():
        main()
