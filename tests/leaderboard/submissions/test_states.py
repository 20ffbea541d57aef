"""The ways between the states, against a picture drawn by hand."""

from leaderboard.submissions import refusals
from leaderboard.submissions.states import FINAL, MEANINGS, STATES, TRANSITIONS, State

#: From, to, and who goes that way.
PICTURE = """
received   validating  server
received   rejected    server
received   withdrawn   person
validating queued      server
validating received    server
validating rejected    server
validating failed      server
validating withdrawn   person
queued     running     worker
queued     withdrawn   person
running    scored      worker
running    queued      server
running    rejected    worker
running    failed      server
running    withdrawn   person
scored     published   server
scored     queued      server
scored     failed      server
scored     withdrawn   person
published  queued      person
published  withdrawn   person
failed     queued      person
failed     withdrawn   person
"""
WAYS = [tuple(line.split()) for line in PICTURE.strip().splitlines()]


def test_the_ways_are_those_of_the_picture() -> None:
    ways = [(source, target) for source in STATES for target in TRANSITIONS[source]]
    assert sorted(ways) == sorted((source, target) for source, target, _ in WAYS)
    assert set(TRANSITIONS) == set(STATES) == set(MEANINGS)


def test_without_a_person_every_submission_comes_to_an_end() -> None:
    """Who leaves a state that is not final is no person, and comes to one that persons alone leave."""
    alone: dict[str, set[str]] = {state: set() for state in STATES}
    for source, target, who in WAYS:
        if who != "person":
            alone[source].add(target)
    assert {state for state in STATES if not alone[state]} == set(FINAL)

    def reached(state: str, seen: frozenset[str] = frozenset()) -> set[str]:
        further = alone[state] - seen
        return {state}.union(*(reached(one, seen | {state}) for one in further))

    for state in STATES:
        assert reached(state) & set(FINAL), state


def test_what_ended_badly_for_good_stays_there() -> None:
    ended: list[State] = ["rejected", "withdrawn"]
    assert [state for state in STATES if not TRANSITIONS[state]] == ended


def test_a_refusal_is_one_line_with_a_code_that_is_known() -> None:
    assert all(code == code.lower() and "\n" not in text for code, text in refusals.CODES.items())
    error = refusals.Refused("shapes", "x: wrong; mend it")
    assert (str(error), error.code) == ("x: wrong; mend it", "shapes")
