"""Gaps, the primal integral and the thinning of traces."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search.trace import Trace, primal_gap, primal_integral, relative_gap
from trimtab.results import Incumbent


def point(
    elapsed_s: float, objective: float | None, bound: float | None = None
) -> Incumbent:
    return Incumbent(elapsed_s=elapsed_s, objective=objective, bound=bound, source="t")


@pytest.mark.parametrize(
    ("objective", "bound", "gap"),
    [
        (0.0, 0.0, 0.0),
        (10.0, 8.0, 0.2),
        (-10.0, -20.0, 0.5),
        (None, 1.0, None),
        (1.0, None, None),
    ],
)
def test_relative_gap(
    objective: float | None, bound: float | None, gap: float | None
) -> None:
    assert relative_gap(objective, bound) == gap


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
@example(3.446888624014247e-283, -5.817417042152458e-276)
def test_primal_gaps_lie_between_0_and_1(objective: float, best: float) -> None:
    assert 0.0 <= primal_gap(objective, best) <= 1.0
    assert primal_gap(objective, best) == primal_gap(best, objective)


def test_the_integral_of_a_step_curve() -> None:
    """Gap 1 for 2 s, then 0.5 for 3 s, then 0."""
    trace = [point(2.0, 20.0), point(3.0, 20.0, bound=5.0), point(5.0, 10.0)]
    assert primal_integral(trace, best=10.0, until_s=9.0) == pytest.approx(2.0 + 1.5)
    assert primal_integral(trace, best=10.0, until_s=4.0) == pytest.approx(2.0 + 1.0)
    assert primal_integral([], best=None, until_s=4.0) == 4.0


def test_thinning_drops_points_that_only_moved_the_bound() -> None:
    trace = Trace(max_points=10)
    improvements = [point(float(i), 100.0 - i) for i in range(4)]
    for step, improvement in enumerate(improvements):
        trace.add(improvement)
        for k in range(5):
            trace.add(point(step + 0.1 * (k + 1), improvement.objective, bound=float(k)))
    assert len(trace.points) <= 10
    assert all(improvement in trace.points for improvement in improvements)
    assert trace.newest == point(3.5, 97.0, bound=4.0)


def test_a_thinned_trace_holds_its_first_and_newest_point() -> None:
    trace = Trace(max_points=8)
    for i in range(100):
        trace.add(point(float(i), -float(i)))
    assert len(trace.points) <= 8
    assert (trace.points[0].objective, trace.points[-1].objective) == (0.0, -99.0)
    times = [p.elapsed_s for p in trace.points]
    assert times == sorted(times)
    with pytest.raises(ValueError, match="expected at least 3"):
        Trace(max_points=2)
