"""Mutated files: each is refused in one line or read as its container's own library reads it."""

from pathlib import Path

import pytest

from tests.cosmos1050k import fuzzing
from tests.cosmos1050k.fuzzed import FUZZED


@pytest.mark.slow
@pytest.mark.parametrize("reader", FUZZED)
def test_a_thousand_mutations(reader: str, tmp_path: Path) -> None:
    report = fuzzing.run([reader], 1000, tmp_path)[reader]
    print(reader, dict(report.counts))
    assert not report.wrong, "\n".join(report.wrong[:20])


def test_a_slice_of_them(tmp_path: Path) -> None:
    reports = fuzzing.run(list(FUZZED), 40, tmp_path)
    for reader, report in reports.items():
        print(reader, dict(report.counts))
    wrong = [line for report in reports.values() for line in report.wrong]
    assert not wrong, "\n".join(wrong[:20])
