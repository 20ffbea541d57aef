"""The step from rows to scores is held to its `VERSION` by its result on the sample."""

import hashlib
import json
from pathlib import Path

from cosmos1050k import shards
from leaderboard import models, score

#: sha256 over the scores of `box` on the sample, ten digits each. If this test fails because the step was
#: meant to change what it gives, raise `score.VERSION` and write both here; if not, it is a mistake.
GOLDEN = (1, "6936c48bce38e88e5c0573e2c65fb35ea499d29aa863aa89cfb5e3cfe80ebd0f")


def test_the_step_s_version_is_held_to_its_result(sample: Path) -> None:
    folder = sample / "sample"
    digest = hashlib.sha256()
    for case in shards.load_cases(folder):
        rows = shards.read_case(folder, case, score.COLUMNS)
        for row in score.score(models.get("box"), rows, ["S5", "S6"], "").to_pylist():
            # Whole numbers and square roots of them: the same on every machine, to ten digits at least.
            values = {k: f"{v:.10g}" if isinstance(v, float) else v for k, v in sorted(row.items())}
            digest.update(json.dumps(values).encode())
    assert (score.VERSION, digest.hexdigest()) == GOLDEN
