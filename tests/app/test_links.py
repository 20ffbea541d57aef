"""Links: the state of a tab as a query string, and back."""

from dataclasses import dataclass, fields
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from app import links

TEXTS = st.text(max_size=40).filter(lambda text: "\0" not in text)
NAMES = st.lists(TEXTS.filter(bool), max_size=5).map(tuple)


@dataclass(frozen=True)
class State:
    text: str = ""
    named: str = "first"
    many: tuple[str, ...] = ()
    some: tuple[str, ...] = ("a", "b")
    number: int = 0


@given(st.builds(State, TEXTS, TEXTS, NAMES, NAMES, st.integers(0, 10**9 - 1)))
def test_a_link_leads_back_to_its_state(state: State) -> None:
    query = links.query(state, "here")
    told = QueryParams(query.removeprefix("?")).multi_items()  # as a server reads it
    assert links.state(State, told) == state
    assert links.tab(told) == "here"
    assert query.isascii()


def test_what_is_as_by_default_is_left_out() -> None:
    assert links.query(State(), "here") == "?tab=here"
    assert links.query(State(text="a b&c", some=()), "here") == "?tab=here&text=a+b%26c&some="


@given(st.lists(st.tuples(st.sampled_from([field.name for field in fields(State)]), st.text()), max_size=8))
def test_any_query_is_a_state(told: list[tuple[str, str]]) -> None:
    state = links.state(State, told)
    assert len(state.text) <= links.LONGEST
    assert state.number >= 0


@pytest.mark.parametrize("text", ["-1", "1e3", "٣", "9" * 10, "", "0x1", " 1"])
def test_what_is_no_number_is_as_by_default(text: str) -> None:
    assert links.state(State, [("number", text)]) == State()


def test_what_is_too_long_or_unknown_is_as_by_default() -> None:
    told = [("text", "x" * (links.LONGEST + 1)), ("named", "a\0"), ("__class__", "x"), ("tab", "t")]
    assert links.state(State, told) == State()
    assert len(links.state(State, [("many", "x")] * 1000).many) == links.MOST


def test_the_link_is_escaped() -> None:
    html = links.html(State(text='"><script>'), "here")
    assert "<script>" not in html
    href = html.split('href="')[1].split('"')[0]
    assert ("text", '"><script>') in parse_qsl(href.replace("&amp;", "&").removeprefix("?"))
