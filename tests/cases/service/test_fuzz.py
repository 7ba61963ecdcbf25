"""The fuzzer of the service with few cases.

`python -m workers.bench fuzz service --cases 10000` runs it in full.
"""

from __future__ import annotations

from collections import Counter

import pytest

from workers.bench.fuzz.cli import run_case


def test_random_requests_are_answered_and_explained(
    request: pytest.FixtureRequest,
) -> None:
    cases = max(100, round(5_000 * request.config.getoption("--scale")))
    labels: Counter[str] = Counter()
    for index in range(cases):
        outcome = run_case("service", 7, index)
        labels[outcome.label] += 1
        assert outcome.finding is None, (index, outcome.finding)
    assert labels["submit-202"] > cases / 20  # some are valid, ...
    assert labels["submit-422"] > cases / 20  # ... and some are not
