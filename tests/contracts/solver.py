"""The solver's contract. Each implementation subclasses `SolverContract` and gives `make()`."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from solvers.errors import Unsupported
from solvers.feasibility import is_feasible
from solvers.types import MilpModel, SolveParams, Solver, SolveResult
from tests.solvers.models import INF, milp, set_cover
from trimtab.results import Limit, Reason

EASY = set_cover(60, 100, density=0.1, seed=3)
EASY_OPTIMUM = 146.0
# Small enough to build at once, far too hard to close within a test.
HARD = set_cover(300, 400, density=0.1, seed=5)
NO_SOLUTION = (Reason.INFEASIBLE, Reason.INFEASIBLE_OR_UNBOUNDED)


class SolverContract:
    """Requirements on every solver."""

    takes_continuous = True
    takes_unbounded = True
    takes_injected = True

    @pytest.fixture
    def solver(self) -> Solver:
        raise NotImplementedError

    def solve(self, solver: Solver, model: MilpModel, **params: object) -> SolveResult:
        # Every solve of a test ends by itself should the solver not.
        params.setdefault("time_limit_s", 20.0)
        result = solver.solve(model, SolveParams(**params))  # type: ignore[arg-type]
        if result.x is not None:
            assert result.primal == pytest.approx(model.objective(result.x), abs=1e-9)
            assert is_feasible(model, result.x)
        else:
            assert result.primal is None
        if result.primal is not None and result.dual_bound is not None:
            assert result.dual_bound <= result.primal
        assert result.solver == solver.name
        return result

    def optimum(self, solver: Solver, model: MilpModel, **params: object) -> float:
        result = self.solve(solver, model, **params)
        assert result.termination.reason is Reason.OPTIMAL, result.termination
        assert result.primal is not None
        assert result.dual_bound is not None
        assert result.dual_bound == pytest.approx(result.primal, abs=1e-5)
        return result.primal

    # how a solve ends

    def test_optimal(self, solver: Solver) -> None:
        assert self.optimum(solver, EASY) == EASY_OPTIMUM

    def test_infeasible(self, solver: Solver) -> None:
        result = self.solve(solver, milp([1, 1], [([1, 1], 3, INF)]))
        assert result.termination.reason in NO_SOLUTION
        assert result.x is None

    def test_infeasible_only_for_integers(self, solver: Solver) -> None:
        result = self.solve(solver, milp([0, 0], [([2, 2], 1, 1)], upper=[5, 5]))
        assert result.termination.reason in NO_SOLUTION

    def test_unbounded(self, solver: Solver) -> None:
        model = milp([-1, 0], [([1, -1], -INF, 5)], upper=[INF, INF])
        if not self.takes_unbounded:
            assert "bounds" in (solver.why_not(model) or "")
            with pytest.raises(Unsupported, match="bounds"):
                solver.solve(model, SolveParams())
            return
        result = self.solve(solver, model)
        assert result.termination.reason in (
            Reason.UNBOUNDED,
            Reason.INFEASIBLE_OR_UNBOUNDED,
        )
        assert result.x is None
        assert result.proved

    def test_infeasible_beside_an_unbounded_ray(self, solver: Solver) -> None:
        model = milp([-1, 0], [([0, 1], 3, 3), ([0, 1], 4, 4)], upper=[INF, 9])
        if not self.takes_unbounded:
            pytest.skip("takes bounded variables only")
        # Not unbounded: both rows cannot hold. Presolve need not report exactly that.
        assert self.solve(solver, model).termination.reason in NO_SOLUTION

    def test_time_limit_with_a_solution(self, solver: Solver) -> None:
        result = self.solve(solver, HARD, time_limit_s=1.0)
        assert result.termination.reason is Reason.FEASIBLE
        assert result.termination.limit is Limit.TIME
        assert result.primal is not None
        assert result.dual_bound is not None
        assert result.elapsed_s < 3.0

    def test_time_limit_without_a_solution(self, solver: Solver) -> None:
        result = self.solve(solver, set_cover(600, 1000, density=0.1), time_limit_s=1e-4)
        assert result.termination.reason is Reason.NO_SOLUTION_FOUND
        assert result.termination.limit is Limit.TIME
        assert result.x is None
        assert not result.proved

    def test_allowed_gap_is_not_called_optimal(self, solver: Solver) -> None:
        model = set_cover(60, 100, density=0.1, seed=4)
        result = self.solve(solver, model, relative_gap=0.5)
        assert result.primal is not None
        assert result.dual_bound is not None
        if result.primal - result.dual_bound > 1e-3:
            assert result.termination.reason is Reason.FEASIBLE
            assert result.termination.limit is Limit.TARGET_GAP
            assert not result.proved
        else:
            assert result.termination.reason is Reason.OPTIMAL

    def test_objective_limit(self, solver: Solver) -> None:
        result = self.solve(solver, HARD, objective_limit=1000.0)
        assert result.primal is not None
        assert result.primal <= 1000.0
        assert result.elapsed_s < 10.0

    # hints and cutoffs

    def test_hint_is_used(self, solver: Solver) -> None:
        best = self.solve(solver, HARD, time_limit_s=1.0)
        assert best.x is not None
        seen: list[float] = []
        again = solver.solve(
            HARD,
            SolveParams(time_limit_s=0.5),
            hint=best.x,
            on_incumbent=lambda objective, _x: seen.append(objective),
        )
        assert again.primal is not None
        assert best.primal is not None
        assert again.primal <= best.primal

    def test_partial_hint(self, solver: Solver) -> None:
        hint = np.full(EASY.n, np.nan)
        hint[:10] = 0.0
        result = solver.solve(EASY, SolveParams(time_limit_s=20.0), hint=hint)
        assert result.primal == EASY_OPTIMUM

    def test_wrong_hint_does_no_harm(self, solver: Solver) -> None:
        result = solver.solve(EASY, SolveParams(time_limit_s=20.0), hint=np.zeros(EASY.n))
        assert result.primal == EASY_OPTIMUM
        assert result.termination.reason is Reason.OPTIMAL

    @pytest.mark.parametrize("cutoff", [EASY_OPTIMUM, EASY_OPTIMUM - 0.5, 10.0])
    def test_cutoff_that_nothing_beats(self, solver: Solver, cutoff: float) -> None:
        result = self.solve(solver, EASY, cutoff=cutoff)
        assert result.termination.reason is Reason.INFEASIBLE
        assert result.x is None
        assert result.dual_bound is not None
        assert result.dual_bound >= cutoff

    @pytest.mark.parametrize("offset", [0.0, 1000.0, -1000.0])
    def test_cutoff_just_above_the_optimum(self, solver: Solver, offset: float) -> None:
        model = replace(EASY, offset=offset)
        assert (
            self.optimum(solver, model, cutoff=EASY_OPTIMUM + offset + 0.5)
            == EASY_OPTIMUM + offset
        )
        result = self.solve(solver, model, cutoff=EASY_OPTIMUM + offset - 0.5)
        assert result.termination.reason is Reason.INFEASIBLE

    def test_cutoff_without_costs(self, solver: Solver) -> None:
        model = milp([0, 0], [([1, 1], 1, INF)], offset=7.0)
        assert (
            self.solve(solver, model, cutoff=7.0).termination.reason is Reason.INFEASIBLE
        )
        assert self.optimum(solver, model, cutoff=7.5) == 7.0

    # stop and callbacks

    def test_stop_ends_and_keeps_the_best(self, solver: Solver) -> None:
        stop = threading.Event()
        result = solver.solve(
            HARD,
            SolveParams(time_limit_s=120.0),
            on_incumbent=lambda _objective, _x: stop.set(),
            stop=stop.is_set,
        )
        assert result.termination.reason is Reason.FEASIBLE
        assert result.termination.limit is Limit.STOPPED
        assert result.x is not None

    def test_stop_before_the_start(self, solver: Solver) -> None:
        result = solver.solve(HARD, SolveParams(time_limit_s=30.0), stop=lambda: True)
        assert result.termination.reason is Reason.NO_SOLUTION_FOUND
        assert result.termination.limit is Limit.STOPPED
        assert result.elapsed_s < 1.0

    def test_incumbents_and_bounds_are_monotone_and_true(self, solver: Solver) -> None:
        incumbents: list[tuple[float, np.ndarray]] = []
        bounds: list[float] = []
        result = solver.solve(
            EASY,
            SolveParams(time_limit_s=20.0),
            on_incumbent=lambda objective, x: incumbents.append((objective, x)),
            on_bound=bounds.append,
        )
        objectives = [objective for objective, _ in incumbents]
        assert objectives == sorted(set(objectives), reverse=True)
        assert objectives[-1] == result.primal == EASY_OPTIMUM
        assert result.solutions == len(objectives)
        for objective, x in incumbents:
            assert objective == EASY.objective(x)
            assert is_feasible(EASY, x)
        assert bounds == sorted(bounds)
        assert max(bounds) <= EASY_OPTIMUM + 1e-6

    def test_what_a_callback_raises_comes_out(self, solver: Solver) -> None:
        class OwnError(Exception):
            pass

        def on_incumbent(_objective: float, _x: np.ndarray) -> None:
            raise OwnError("mine")

        with pytest.raises(OwnError, match="mine"):
            solver.solve(HARD, SolveParams(time_limit_s=10.0), on_incumbent=on_incumbent)

    def test_same_seed_same_answer(self, solver: Solver) -> None:
        model = set_cover(40, 80, density=0.1, seed=9)
        first, second = (self.solve(solver, model, seed=7) for _ in range(2))
        assert first.x is not None
        assert second.x is not None
        assert np.array_equal(first.x, second.x)
        assert first.nodes == second.nodes

    # shapes of models

    def test_maximise(self, solver: Solver) -> None:
        model = milp([-3, -2], [([1, 1], -INF, 1)], offset=-10.0, maximize=True)
        assert model.in_user_sense(self.optimum(solver, model)) == 13.0

    def test_equality_rows(self, solver: Solver) -> None:
        assert (
            self.optimum(solver, milp([2, 3, 4], [([1, 1, 1], 2, 2), ([1, -1, 0], 0, 0)]))
            == 5.0
        )

    def test_two_sided_free_and_empty_rows(self, solver: Solver) -> None:
        rows = [
            ([1, 1, 1], 1, 2),
            ([1, 2, 3], -INF, INF),
            ([0, 0, 0], -1, 1),
            ([0, 0, 0], -INF, INF),
        ]
        assert self.optimum(solver, milp([-5, -4, -3], rows)) == -9.0

    def test_empty_row_that_nothing_satisfies(self, solver: Solver) -> None:
        assert (
            self.solve(solver, milp([1, 1], [([0, 0], 1, INF)])).termination.reason
            in NO_SOLUTION
        )

    def test_general_integers(self, solver: Solver) -> None:
        model = milp(
            [-3, -5],
            [([2, 4], -INF, 25), ([1, -1], -7, 9)],
            lower=[-3, -4],
            upper=[20, 30],
        )
        assert self.optimum(solver, model) == -35.0

    def test_continuous(self, solver: Solver) -> None:
        model = milp(
            [-1, -1.5], [([1, 2], -INF, 3.5)], upper=[2, 2], integer=[True, False]
        )
        if not self.takes_continuous:
            assert "continuous" in (solver.why_not(model) or "")
            with pytest.raises(Unsupported, match="continuous"):
                solver.solve(model, SolveParams())
            return
        assert self.optimum(solver, model) == pytest.approx(-3.125)

    def test_only_continuous(self, solver: Solver) -> None:
        if not self.takes_continuous:
            pytest.skip("takes integers only")
        model = milp(
            [-1, -1],
            [([1, 2], -INF, 4), ([3, 1], -INF, 6)],
            upper=[INF, INF],
            integer=False,
        )
        seen: list[float] = []
        result = solver.solve(
            model,
            SolveParams(),
            on_incumbent=lambda objective, _x: seen.append(objective),
        )
        assert result.termination.reason is Reason.OPTIMAL
        assert result.primal == pytest.approx(-2.8)
        assert seen
        assert seen[-1] == pytest.approx(-2.8)

    def test_fixed_variables(self, solver: Solver) -> None:
        model = milp([1, 1, 1], [([1, 1, 1], 2, INF)], lower=[1, 0, 0], upper=[1, 0, 1])
        assert self.optimum(solver, model) == 2.0

    def test_crossing_bounds(self, solver: Solver) -> None:
        assert (
            self.solve(solver, milp([1], lower=[2], upper=[1])).termination.reason
            is Reason.INFEASIBLE
        )
        assert (
            self.solve(solver, milp([1], [([1], 2, 1)])).termination.reason
            is Reason.INFEASIBLE
        )

    def test_fractional_bounds_of_integers(self, solver: Solver) -> None:
        assert (
            self.optimum(solver, milp([1, -1], lower=[0.5, 0.5], upper=[3.5, 3.5]))
            == -2.0
        )
        assert (
            self.solve(solver, milp([1], lower=[0.2], upper=[0.8])).termination.reason
            in NO_SOLUTION
        )

    def test_no_rows(self, solver: Solver) -> None:
        assert self.optimum(solver, milp([1, -2, 0])) == -2.0

    def test_no_variables(self, solver: Solver) -> None:
        assert self.optimum(solver, milp([], [([], -1, 1)], offset=4.0)) == 4.0
        assert (
            self.solve(solver, milp([], [([], 1, 2)])).termination.reason
            is Reason.INFEASIBLE
        )

    def test_columns_in_no_row(self, solver: Solver) -> None:
        assert (
            self.optimum(solver, milp([1, -1, 3], [([0, 0, 1], 1, 1)], upper=[4, 4, 4]))
            == -1.0
        )

    def test_offset(self, solver: Solver) -> None:
        assert self.optimum(solver, milp([1, 1], [([1, 1], 1, INF)], offset=-2.5)) == -1.5

    def test_no_costs(self, solver: Solver) -> None:
        assert self.optimum(solver, milp([0, 0], [([1, 1], 1, INF)], offset=3.0)) == 3.0

    def test_duplicate_rows_and_stored_zeros(self, solver: Solver) -> None:
        rows = [([1, 1, 0], 1, INF)] * 3
        assert self.optimum(solver, milp([2, 1, 1], rows, keep_zeros=True)) == 1.0

    def test_huge_bounds(self, solver: Solver) -> None:
        model = milp([-1, 1], [([1, -1], -INF, 3)], lower=[-1e9, -1e9], upper=[1e9, 1e9])
        assert self.optimum(solver, model) == -3.0

    def test_decimal_coefficients(self, solver: Solver) -> None:
        # In doubles 0.1 + 0.2 is above 0.3; the point must not be lost to that.
        assert self.optimum(solver, milp([-1, -1], [([0.1, 0.2], -INF, 0.3)])) == -2.0
        assert (
            self.optimum(
                solver, milp([-0.25, -1.125], [([0.1, 0.2], 0.1 + 0.2, 0.1 + 0.2)])
            )
            == -1.375
        )

    def test_injected_solution_is_taken_or_never_asked_for(self, solver: Solver) -> None:
        earlier = self.solve(solver, HARD, time_limit_s=1.0)
        assert earlier.x is not None
        calls: list[float] = []

        def injected() -> np.ndarray | None:
            calls.append(time.monotonic())
            return earlier.x if len(calls) == 1 else None

        seen: list[float] = []
        params = SolveParams(time_limit_s=1.0, seed=1)
        result = solver.solve(
            HARD,
            params,
            injected=injected,
            on_incumbent=lambda value, _x: seen.append(value),
        )
        assert result.primal is not None
        assert earlier.primal is not None
        assert bool(calls) == self.takes_injected
        if calls:
            assert earlier.primal in seen or min(seen) < earlier.primal
            assert result.primal <= earlier.primal

    def test_threads(self, solver: Solver) -> None:
        for threads in (2, 1):
            assert self.optimum(solver, EASY, threads=threads) == EASY_OPTIMUM

    @pytest.mark.parametrize(
        "wrong",
        [
            {"time_limit_s": 0.0},
            {"time_limit_s": math.nan},
            {"threads": 0},
            {"seed": -1},
            {"relative_gap": -0.1},
            {"cutoff": math.inf},
            {"node_limit": -1},
        ],
    )
    def test_params_reject_nonsense(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SolveParams(**wrong)  # type: ignore[arg-type]
