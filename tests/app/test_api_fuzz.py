"""No question makes the API fail: schemathesis asks what its OpenAPI allows, and what it does not."""

import json
import re
from collections import Counter
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

from app.api import PREFIX
from tests.app.api import png, served
from tests.app.boards import MODELS, STRATEGIES

PATHS = ("/board", "/models", "/models/{name}", "/pairs", "/pairs/{pair}", "/prompt")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def server(sample_state: Path, tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return served(sample_state, tmp_path_factory.mktemp("uploads"))


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


@st.composite
def questions(draw: st.DrawFn, operation: APIOperation) -> Case:
    """What the OpenAPI allows, what it does not, and what gets an answer."""
    modes = schemathesis.GenerationMode
    if draw(st.booleans()):
        return draw(operation.as_strategy(generation_mode=draw(st.sampled_from(modes))))
    case = operation.Case(
        path_parameters={name: draw(NAMES[name]) for name in re.findall(r"{(\w+)}", operation.path)}
    )
    if operation.path == "/board":
        case.query = draw(FILTERS)
    if operation.path == "/prompt":
        case.body, case.media_type = draw(FORMS), "multipart/form-data"
    return case


def fuzzed(server: FastAPI, examples: int) -> Counter[tuple[str, int]]:
    """Each question gets an answer that the OpenAPI describes; counts how many got which status."""
    schema = schemathesis.openapi.from_asgi(f"{PREFIX}/openapi.json", server)
    seen: Counter[tuple[str, int]] = Counter()
    for result in schema.get_all_operations():

        @settings(
            max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None
        )
        @given(case=questions(result.ok()))
        def one(case: Case) -> None:
            seen[case.operation.path, case.call_and_validate(checks=CHECKS).status_code] += 1

        one()
    return seen


def test_no_question_makes_it_fail(server: FastAPI) -> None:
    assert {path for path, _ in fuzzed(server, examples=10)} == set(PATHS)


@pytest.mark.slow
def test_no_question_makes_it_fail_at_length(server: FastAPI) -> None:
    seen = fuzzed(server, examples=400)
    assert {path for path, status in seen if status == 200} == set(PATHS)
    assert seen["/prompt", 422]
