"""Which names a new model may not take."""

from pathlib import Path

import pytest

from cosmos1050k.errors import InputError
from leaderboard import click_models, finetuned
from leaderboard.own_models import RECORD
from leaderboard.training import result


@pytest.mark.parametrize("name", ["box", "clicked"])
def test_no_checkpoint_takes_the_name_of_a_model_that_is_there(project: Path, name: str) -> None:
    (click_models.CLICK_MODELS / "clicked").mkdir(parents=True)
    (click_models.CLICK_MODELS / "clicked" / RECORD).touch()
    with pytest.raises(InputError, match=f"{name}: a model of the platform has that name; choose another"):
        result.check(finetuned.MODELS / name, "sam_vit_b")
    with pytest.raises(InputError, match=f"^--name {name}: a model of the platform has that name; choose"):
        finetuned.adopt(Path("weights.pth"), name, "vit_b")
    result.check(finetuned.MODELS / "free", "sam_vit_b")
