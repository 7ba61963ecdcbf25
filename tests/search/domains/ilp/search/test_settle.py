"""Settlement of claims: supported, withdrawn, or refused."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.domains.ilp.encode import encode
from search.domains.ilp.search import settle
from search.domains.ilp.search.settle import Settlement, settled_bound, takes_size
from search.stop import from_budget
from search.types import SearchOutcome
from solvers.scaling import ScaledModel
from solvers.types import Floats, MilpModel
from tests.search.domains.ilp.search.runs import problem_of
from tests.search.models import brute_force, milp, random_cover
from trimtab.results import Limit, Reason, Termination
from trimtab.specs.ilp import Engine


@pytest.fixture(autouse=True)
def _no_exact_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "takes_size", lambda model: False)


def claim(
    reason: Reason, x: Floats | None = None, bound: float | None = None
) -> SearchOutcome:
    return SearchOutcome(
        termination=Termination(reason=reason, detail="claimed"),
        solution=x,
        objective=None,
        bound=bound,
    )


class Engines:
    """Answers of other engines, in turn."""

    def __init__(self, *answers: SearchOutcome) -> None:
        self._answers = list(answers)
        self.asked: list[Engine] = []

    def __call__(self, engine: Engine, x: Floats | None) -> SearchOutcome:
        self.asked.append(engine)
        return self._answers.pop(0)


def settled(
    model: MilpModel,
    folder: Path,
    first: SearchOutcome,
    engines: Engines,
    scaled: ScaledModel | None = None,
    cutoff: float | None = None,
) -> SearchOutcome:
    stop = from_budget({"seconds": 60.0}, threading.Event())
    scaled = scaled or encode(model)
    problem = problem_of(model, folder)
    problem = replace(problem, spec=problem.spec.model_copy(update={"cutoff": cutoff}))
    return Settlement(problem, scaled, stop, engines).run(first)


def optimum(model: MilpModel) -> tuple[float, Any]:
    return brute_force(model)


def test_a_proof_that_holds_is_reported(tmp_path: Path) -> None:
    model = random_cover(6, 9, 2)
    best, x = optimum(model)
    engines = Engines()
    outcome = settled(
        model, tmp_path, claim(Reason.OPTIMAL, encode(model).enter(x), best), engines
    )
    assert outcome.termination.reason is Reason.OPTIMAL
    assert (outcome.objective, outcome.bound) == (best, best)
    assert not engines.asked


def test_an_optimal_solution_that_fails_the_check_is_replaced(tmp_path: Path) -> None:
    model = random_cover(6, 9, 2)
    best, x = optimum(model)
    wrong = claim(Reason.OPTIMAL, np.zeros(9), 0.0)
    engines = Engines(claim(Reason.OPTIMAL, encode(model).enter(x), best))
    outcome = settled(model, tmp_path, wrong, engines)
    assert engines.asked == [Engine.CP_SAT], "HiGHS made the claim"
    assert outcome.termination.reason is Reason.OPTIMAL
    assert outcome.objective == best
    assert any("failed the exact check" in note for note in outcome.summary["notes"])


def test_a_solution_contradicts_infeasible(tmp_path: Path) -> None:
    model = random_cover(6, 9, 2)
    engines = Engines(
        claim(Reason.INFEASIBLE), claim(Reason.FEASIBLE, encode(model).enter(np.ones(9)))
    )
    outcome = settled(
        model,
        tmp_path,
        claim(Reason.INFEASIBLE, encode(model).enter(np.ones(9))),
        engines,
    )
    assert outcome.termination.reason is Reason.FEASIBLE
    assert outcome.solution is not None


@pytest.mark.parametrize(
    ("cutoff", "size", "meets"),
    [(0.0, 1.0, True), (-1e-3, 1.0, False), (1e-12, 1e-9, True), (-1e-12, 1e-9, False)],
)
def test_a_solution_meets_a_cutoff_within_rounding(
    tmp_path: Path, cutoff: float, size: float, meets: bool
) -> None:
    """0.1 + 0.2 - 0.3 is 5.6e-17 in doubles; the slack follows the size of the costs."""
    costs = [0.1 * size, 0.2 * size, -0.3 * size]
    model = milp(costs, [(3.0, [1.0, 1.0, 1.0], 3.0)])
    ones = encode(model).enter(np.ones(3))
    claimed = claim(Reason.FEASIBLE, ones)
    outcome = settled(model, tmp_path, claimed, Engines(), cutoff=cutoff)
    assert (outcome.solution is not None) is meets


def test_numbers_too_far_apart_withdraw_a_claim(tmp_path: Path) -> None:
    model = random_cover(6, 9, 2)
    best, x = optimum(model)
    doubtful = replace(encode(model), doubt="numbers are too far apart")
    start = encode(model).enter(x)
    inexact = claim(Reason.OPTIMAL, start, best)
    outcome = settled(
        model,
        tmp_path,
        inexact,
        Engines(claim(Reason.FEASIBLE, start), inexact),
        doubtful,
    )
    assert outcome.termination.reason is Reason.FEASIBLE
    assert outcome.bound is None, "no bound is certain"
    outcome = settled(model, tmp_path, inexact, Engines(inexact), doubtful)
    assert outcome.termination.reason is Reason.OPTIMAL, "CP-SAT works in integers"


@pytest.mark.parametrize(("maximize", "sign"), [(False, 1.0), (True, -1.0)])
def test_a_stored_bound_proves_by_the_same_rules(maximize: bool, sign: float) -> None:
    scaled = encode(replace(random_cover(6, 9, 2), maximize=maximize))

    def held(bound: float, scaled: ScaledModel = scaled) -> tuple[float | None, bool]:
        return settled_bound(scaled, objective=sign * 10.0, bound=sign * bound)

    assert held(10.0) == (sign * 10.0, True)
    assert held(10.0 + 5e-6) == (sign * 10.0, True), "it overshoots by the tolerance"
    assert held(10.0 - 5e-6) == (sign * (10.0 - 5e-6), True)
    assert held(9.99) == (sign * 9.99, False)
    assert held(10.01) == (None, False), "it contradicts the solution"
    assert held(10.0, replace(scaled, doubt="numbers are too far apart")) == (None, False)


def test_no_solution_that_holds_is_left_to_the_pipeline(tmp_path: Path) -> None:
    model = random_cover(6, 9, 2)
    wrong = claim(Reason.FEASIBLE, np.zeros(9), 0.0)
    wrong = replace(
        wrong, termination=Termination(reason=Reason.FEASIBLE, limit=Limit.TIME)
    )
    outcome = settled(model, tmp_path, wrong, Engines())
    assert outcome.solution is not None, "verify refuses it with the reason"
    assert outcome.termination.limit is Limit.TIME


def test_small_linear_models_are_proved_exactly() -> None:
    assert takes_size(random_cover(6, 9, 2))
    assert not takes_size(random_cover(3, 5_000, 2))
