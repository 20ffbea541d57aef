"""The machine that a stage or command measures on which runs here, wherever models are scored."""

from leaderboard import models
from leaderboard.evaluate import EvaluateOptions, machine_of
from leaderboard.machine import Machine
from pipelines.params import Params


def machine_here(model: str, given: Params) -> Machine:
    """As `evaluate` in params.yaml says; where a cluster has the GPUs and this machine none, the CPU.

    Raises:
        InputError: the model is unknown, or on a GPU without a cluster, and there is none.
    """
    options = given.section("evaluate", EvaluateOptions)
    if given.runtime.cluster is not None and options.device == "cuda":
        options = options.model_copy(update={"device": "auto"})
    return machine_of(
        models.kind(model),
        options,
        image_batch=given.runtime.image_batch,
        prompt_batch=given.runtime.prompt_batch,
    )
