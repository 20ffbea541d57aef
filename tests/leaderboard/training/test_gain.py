from pathlib import Path

import pytest

from cosmos1050k import build, index, sources
from leaderboard import finetuned
from leaderboard.training.finetune import finetune
from leaderboard.training.options import FinetuneOptions
from tests import phantoms
from tests.leaderboard.training.gain import gained

#: Ultrasound: sam_nano has seen none.
LEFT_OUT = ("camus", "tn_scui_2020")


@pytest.mark.slow
def test_finetuning_on_sources_never_seen_gains_on_their_test_patients(project: Path) -> None:
    for slug in LEFT_OUT:
        phantoms.write(slug, project / "raw" / slug, patients=60, seed=2)
        found = index.scan(sources.get(slug).SOURCE, project / "raw" / slug, memory=project / "seen")
        build.build(slug, found, project / "built" / slug, raw=project / "raw" / slug)
    out = finetuned.MODELS / "tuned"
    finetune(out, FinetuneOptions(base="sam_nano"), data=project / "built", sources=LEFT_OUT)
    _, (low, _), patients = gained("sam_nano", "tuned", project / "built", LEFT_OUT, project / "scores")
    assert patients >= 30
    assert low > 0
