"""No question makes the API fail: schemathesis asks what its OpenAPI allows, and what it does not."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from leaderboard.submissions.order import Claim
from leaderboard.submissions.tokens import ROLES
from tests.app.api import png
from tests.app.boards import MODELS, STRATEGIES
from tests.app.submitting import TERMS, declaration, folders, site, unmounted

BOARD = ("/board", "/models", "/models/{name}", "/pairs", "/pairs/{pair}", "/prompt")
PATHS = (
    *BOARD,
    "/submissions",
    "/submissions/{id}",
    "/submissions/requeue-stale",
    *(f"/submissions/{{id}}/{act}" for act in ("withdraw", "requeue", "hide", "unhide")),
    *(f"/work/{{lease}}/{what}" for what in ("weights", "heartbeat", "scores/{source}", "finish", "report")),
    "/work/claim",
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


#: What the board has: questions that get as far as its numbers.
NAMES = {"name": st.sampled_from(MODELS), "pair": st.just("Liver-CT")}
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from(STRATEGIES),
        "selection": st.sampled_from(["oracle", "predicted_iou"]),
        "modality": st.just("CT"),
        "object": st.just("Liver"),
        "pair": st.just("Liver-CT"),
        "source": st.just("sample"),
        "contact": st.sampled_from(["other_source", "may_contain"]),
        "kind": st.lists(st.sampled_from(["baseline", "reported"]), max_size=2),
        "search": st.sampled_from(["b", "A", "none"]),
    },
)
#: Forms that get as far as the model, but for what lies outside of a picture of 20 × 20 pixels.
PLACE = st.integers(0, 20)
RAMP = png(np.arange(400, dtype=np.uint8).reshape(20, 20))
FORMS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "image": st.just([RAMP]),
    },
    optional={
        "points": st.lists(st.tuples(PLACE, PLACE, st.integers(0, 1)), max_size=3).map(json.dumps),
        "box": st.tuples(PLACE, PLACE, PLACE, PLACE).map(json.dumps),
    },
)


#: What gets as far as the desk; the declarations are of weights that are sent along, and none are.
DECLARED = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["mine", "box", "<b>"]),
        "candidates": st.integers(1, 3),
        "preprocessing": st.sampled_from(["sam", "medsam"]),
        "trained_on": st.fixed_dictionaries({"others": st.sampled_from(["none", "train", "all"])}),
    },
).map(lambda more: {"submission": json.dumps(declaration() | more)})
CLAIMS = st.fixed_dictionaries(
    {
        "worker": st.just("lab 2"),
        "devices": st.sampled_from([["cpu"], ["cpu", "cuda"], []]),
        "sources": st.sampled_from([TERMS.sources, {}]),
    }
)
BODIES = {
    "/prompt": (FORMS, "multipart/form-data"),
    "/submissions": (DECLARED, "multipart/form-data"),
    "/work/claim": (CLAIMS, "application/json"),
}


@dataclass(frozen=True)
class Asked:
    """The API, headers with tokens of all roles and with none, and values that its paths know."""

    api: FastAPI
    headers: list[dict[str, str]]
    names: dict[str, st.SearchStrategy[str]]


@pytest.fixture(scope="module")
def server(sample_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("fuzzed")
    with site(folder / "state", folder / "uploads") as ours:
        ours.submit("running", 1)
        granted = ours.desk.claim(
            Claim(worker="lab", devices=("cpu",), sources=TERMS.sources, bases=("sam_nano",))
        )
        assert granted is not None
        known = {"id": ours.submit("waiting", 2), "lease": granted.lease, "source": "toy"}
        # Where it is mounted, what has a line break in its path gets as far as no route of it.
        api = unmounted(sample_state, folders(ours.uploads), ours.desk)
        tokens = [ours.token("ann", role) for role in ROLES]
        yield Asked(api, [*tokens, {}], NAMES | {name: st.just(value) for name, value in known.items()})


@st.composite
def questions(draw: st.DrawFn, operation: APIOperation, names: dict[str, st.SearchStrategy[str]]) -> Case:
    """What the OpenAPI allows, what it does not, and what gets an answer."""
    modes = schemathesis.GenerationMode
    if draw(st.booleans()):
        return draw(operation.as_strategy(generation_mode=draw(st.sampled_from(modes))))
    case = operation.Case(
        path_parameters={name: draw(names[name]) for name in re.findall(r"{(\w+)}", operation.path)}
    )
    if operation.path == "/board":
        case.query = draw(FILTERS)
    if operation.method == "post" and operation.path in BODIES:
        body, case.media_type = BODIES[operation.path]
        case.body = draw(body)
    return case


def fuzzed(server: Asked, examples: int) -> Counter[tuple[str, int]]:
    """Each question gets an answer that the OpenAPI describes; counts how many got which status."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", server.api)
    seen: Counter[tuple[str, int]] = Counter()
    for result in schema.get_all_operations():

        @settings(
            max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None
        )
        @given(case=questions(result.ok(), server.names), headers=st.sampled_from(server.headers))
        def one(case: Case, headers: dict[str, str]) -> None:
            answer = case.call_and_validate(checks=CHECKS, headers=headers)
            seen[case.operation.path, answer.status_code] += 1

        one()
    return seen


def test_no_question_makes_it_fail(server: Asked) -> None:
    assert {path for path, _ in fuzzed(server, examples=6)} == set(PATHS)


@pytest.mark.slow
def test_no_question_makes_it_fail_at_length(server: Asked) -> None:
    seen = fuzzed(server, examples=400)
    assert {path for path, status in seen if status == 200} >= {*BOARD, "/submissions", "/submissions/{id}"}
    assert seen["/prompt", 422]
