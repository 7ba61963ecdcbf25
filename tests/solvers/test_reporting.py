"""The watch over a solve, and its result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from solvers.reporting import (
    Watch,
    crossing_sides,
    finish,
    result_before_solving,
    rounded,
)
from solvers.types import MilpModel, SolveParams
from tests.solvers.models import INF, milp
from trimtab.results import Limit, Reason

MODEL = milp([1, 1], [([1, 1], 1, INF)], upper=[5, 5])


def watch(
    model: MilpModel = MODEL, params: SolveParams | None = None, **calls: Any
) -> Watch:
    calls = {"on_incumbent": None, "on_bound": None, "stop": None} | calls
    return Watch(model, params or SolveParams(), **calls)


def test_rounded() -> None:
    model = milp([1, 1], lower=[0, 0], upper=[1, 1], integer=[True, False])
    assert rounded(model, np.array([0.9999999, -1e-9])).tolist() == [1.0, 0.0]


def test_only_improvements_are_reported() -> None:
    objectives: list[float] = []
    bounds: list[float] = []
    it = watch(
        on_incumbent=lambda value, x: objectives.append(value), on_bound=bounds.append
    )
    for x in ([3.0, 0.0], [4.0, 0.0], [3.0, 0.0], [1.0, 1.0]):
        it.solution(np.array(x))
    for bound in (0.5, 0.2, 1e20, np.nan, 1.0):
        it.dual_bound(bound)
    assert objectives == [3.0, 2.0]
    assert bounds == [0.5, 1.0]
    assert it.solutions == 2


def test_solutions_beyond_the_cutoff_are_ignored() -> None:
    it = watch(params=SolveParams(cutoff=2.0))
    it.solution(np.array([1.0, 1.0]))
    assert it.best is None


def test_an_exception_of_a_callback_stops_the_solve_and_waits() -> None:
    def fails(objective: float, x: object) -> None:
        raise KeyError("mine")

    it = watch(on_incumbent=fails)
    it.solution(np.array([1.0, 0.0]))
    assert it.should_stop()
    with pytest.raises(KeyError, match="mine"):
        finish(it, SolveParams(), solver="s", reason=Reason.FEASIBLE)


@pytest.mark.parametrize(
    ("claim", "solution", "bound", "cutoff", "reason", "limit"),
    [
        (Reason.OPTIMAL, [1.0, 0.0], 1.0, None, Reason.OPTIMAL, None),
        (Reason.OPTIMAL, [1.0, 0.0], 0.5, None, Reason.FEASIBLE, Limit.TARGET_GAP),
        (Reason.OPTIMAL, None, 1.0, None, Reason.NUMERICAL_ERROR, None),
        (Reason.OPTIMAL, None, 1.0, 1.0, Reason.INFEASIBLE, None),
        (Reason.FEASIBLE, None, 0.0, None, Reason.NO_SOLUTION_FOUND, None),
        (Reason.NO_SOLUTION_FOUND, [1.0, 0.0], 0.0, None, Reason.FEASIBLE, None),
    ],
)
def test_claims_are_corrected_by_the_numbers(
    claim: Reason,
    solution: list[float] | None,
    bound: float,
    cutoff: float | None,
    reason: Reason,
    limit: Limit | None,
) -> None:
    params = SolveParams(cutoff=cutoff)
    it = watch(params=params)
    if solution is not None:
        it.solution(np.array(solution))
    it.dual_bound(bound)
    result = finish(it, params, solver="s", reason=claim)
    assert (result.termination.reason, result.termination.limit) == (reason, limit)
    assert (
        result.primal is None
        or result.dual_bound is None
        or result.dual_bound <= result.primal
    )


def test_an_infeasible_cutoff_is_a_bound() -> None:
    params = SolveParams(cutoff=3.0)
    result = finish(watch(params=params), params, solver="s", reason=Reason.INFEASIBLE)
    assert (result.dual_bound, result.x) == (3.0, None)


@pytest.mark.parametrize(
    ("model", "stop", "reason"),
    [
        (milp([]), False, Reason.OPTIMAL),
        (milp([], [([], 1, 2)]), False, Reason.INFEASIBLE),
        (milp([1], lower=[2], upper=[1]), False, Reason.INFEASIBLE),
        (MODEL, True, Reason.NO_SOLUTION_FOUND),
    ],
)
def test_some_solves_need_not_begin(model: MilpModel, stop: bool, reason: Reason) -> None:
    it = watch(model, stop=lambda: stop)
    result = result_before_solving(it, model, SolveParams(), solver="s")
    assert result is not None
    assert result.termination.reason is reason


def test_others_begin() -> None:
    assert result_before_solving(watch(), MODEL, SolveParams(), solver="s") is None
    assert crossing_sides(MODEL) is None
