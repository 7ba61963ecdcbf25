"""The solvers, brute force, both readers and the exact check agree on random small programs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solvers.exact import check
from solvers.table import SOLVERS, make_solver
from solvers.two_readings import load
from solvers.types import MilpModel, SolveParams
from tests.solvers.models import INF, brute_force, milp
from tests.solvers.texts import write_mps
from trimtab.results import Reason

# Without a gap that counts as closed: SCIP stops at one that HiGHS happens to close.
PARAMS = SolveParams(time_limit_s=20.0, relative_gap=0.0)
numbers = st.integers(-6, 6).map(float) | st.sampled_from([0.5, -0.25, 0.1, 1.7, -2.3])


@st.composite
def models(draw: st.DrawFn, *, continuous: bool = False) -> MilpModel:
    n = draw(st.integers(1, 5))
    lower = draw(st.lists(st.integers(-2, 1), min_size=n, max_size=n))
    spans = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    rows = []
    for _ in range(draw(st.integers(0, 4))):
        coefficients = draw(st.lists(numbers, min_size=n, max_size=n))
        low = draw(st.integers(-8, 6).map(float) | st.just(-INF))
        high = (
            draw(st.sampled_from([low, low + 2, low + 5, INF]))
            if low > -INF
            else draw(st.integers(-6, 8).map(float))
        )
        rows.append((coefficients, low, high))
    integer = (
        draw(st.lists(st.booleans(), min_size=n, max_size=n)) if continuous else True
    )
    return milp(
        draw(st.lists(numbers, min_size=n, max_size=n)),
        rows,
        lower=lower,
        upper=[low + span for low, span in zip(lower, spans, strict=True)],
        integer=integer,
        offset=draw(st.sampled_from([0.0, 2.5, -1.0])),
        maximize=draw(st.booleans()),
    )


FAST = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)


@FAST
@given(model=models())
def test_integer_programs(model: MilpModel) -> None:
    best = brute_force(model)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.mps"
        path.write_text(write_mps(model))
        loaded = load(path)
    for name in SOLVERS:
        result = make_solver(name).solve(loaded.model, PARAMS)
        if best is None:
            assert result.termination.reason in (
                Reason.INFEASIBLE,
                Reason.INFEASIBLE_OR_UNBOUNDED,
            ), name
            continue
        assert result.termination.reason is Reason.OPTIMAL, (name, result)
        assert result.primal == pytest.approx(best[0], abs=1e-6), name
        assert result.x is not None
        checked = check(loaded.exact, result.x.tolist())
        assert checked.feasible, (name, checked)
        assert checked.max_integrality == 0
        assert float(checked.objective) == pytest.approx(
            loaded.model.in_user_sense(best[0]), abs=1e-6
        )


@FAST
@given(model=models(continuous=True))
def test_mixed_programs(model: MilpModel) -> None:
    """HiGHS and SCIP agree, and the exact check agrees with both."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.mps"
        path.write_text(write_mps(model))
        loaded = load(path)
    results = {
        name: make_solver(name).solve(loaded.model, PARAMS) for name in ("highs", "scip")
    }
    first, second = results.values()
    assert first.termination.reason is second.termination.reason
    if first.x is None or second.x is None:
        assert first.x is second.x is None
        return
    assert first.primal == pytest.approx(second.primal, abs=1e-5)
    for name, result in results.items():
        assert result.x is not None
        checked = check(loaded.exact, result.x.tolist())
        assert checked.feasible, (name, checked)


@FAST
@given(model=models(), slack=st.sampled_from([0.0, 0.3, 1.0]))
def test_cutoffs(model: MilpModel, slack: float) -> None:
    """A cutoff at the optimum leaves no solution, and one above it leaves the optimum."""
    best = brute_force(model)
    if best is None:
        return
    for name in SOLVERS:
        params = SolveParams(time_limit_s=20.0, cutoff=best[0] + slack)
        result = make_solver(name).solve(model, params)
        if slack == 0.0:
            assert result.x is None, name
            assert result.termination.reason is Reason.INFEASIBLE, (name, result)
        else:
            assert result.primal == pytest.approx(best[0], abs=1e-6), name
