"""Deadlines of search and proof leave time for the check, and never all of it."""

from __future__ import annotations

import pytest

from search.domains.sharding.search.deadlines import Until, deadlines, never, seconds_left
from trimtab.results import Incumbent


class Fixed:
    """A budget that does not change."""

    limit = None

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, best: Incumbent | None) -> bool:
        return self._seconds <= 0

    def remaining_s(self) -> float:
        return self._seconds


@pytest.mark.parametrize(("read_s", "model_s"), [(0.01, 0.01), (0.5, 1.0), (5.0, 4.0)])
@pytest.mark.parametrize("budget", [1.0, 20.0, 120.0, 3600.0])
def test_the_reserve_grows_with_the_job_and_never_takes_all(
    budget: float, read_s: float, model_s: float
) -> None:
    search, proof = deadlines(Fixed(budget), read_s=read_s, model_s=model_s)
    for_check = budget - proof.left_s()
    for_proof = proof.left_s() - search.left_s()
    assert for_check >= min(2 * read_s, 0.5 * budget)
    assert for_proof >= min(model_s, 0.25 * budget)
    assert search.left_s() >= 0.2 * budget
    assert not search()


def test_time_is_unlimited_without_a_limit() -> None:
    search, proof = deadlines(Fixed(float("inf")), read_s=1.0, model_s=1.0)
    assert not search()
    assert not proof()
    assert seconds_left(search) == float("inf")
    assert seconds_left(never) == float("inf")
    assert Until(Fixed(1.0), 2.0)()
    assert seconds_left(Until(Fixed(1.0), 2.0)) == 0.0
