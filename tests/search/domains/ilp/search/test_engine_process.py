"""Engine process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from search.domains.ilp.search import engine_process
from search.domains.ilp.search.engine_process import run_engine, worth_injecting
from search.domains.ilp.search.messages import EngineEnded, NewIncumbent, RunMessage
from search.domains.ilp.search.slots import IncumbentSlot
from solvers.types import MilpModel, SolveParams, SolveResult
from tests.search.models import milp, random_cover
from trimtab.results import Limit, Reason, Termination

PARAMS = SolveParams(time_limit_s=5.0)


class ScriptedEngine:
    """Engine that reports `offers` and then ends."""

    def __init__(self, offers: list[tuple[float, Any]], reason: Reason) -> None:
        self._offers, self._reason = offers, reason
        self.injected: list[Any] = []

    def solve(self, model: MilpModel, params: SolveParams, **hooks: Any) -> SolveResult:
        hooks["on_bound"](1.0)
        for objective, x in self._offers:
            hooks["on_incumbent"](objective, x)
            self.injected.append(hooks["injected"]())
        return SolveResult(
            termination=Termination(reason=self._reason, limit=Limit.OTHER, detail="why"),
            primal=None,
            dual_bound=2.0,
            x=None,
            solver="scripted",
            elapsed_s=0.0,
            nodes=4,
            solutions=0,
        )


def run(
    monkeypatch: pytest.MonkeyPatch,
    engine: ScriptedEngine,
    model: MilpModel,
    others: IncumbentSlot | None = None,
) -> tuple[IncumbentSlot, list[RunMessage]]:
    monkeypatch.setattr(engine_process, "make_solver", lambda name: engine)
    slot = IncumbentSlot(model.n)
    sent: list[RunMessage] = []
    run_engine(model, engine="highs", params=PARAMS, slot=slot, others=others)(
        sent.append
    )
    return slot, sent


def test_solutions_that_hold_are_shared_and_the_end_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = random_cover(6, 9, 2)
    total = float(model.c.sum())
    engine = ScriptedEngine(
        [(1.0, np.zeros(9)), (total, np.ones(9)), (total, np.ones(9))], Reason.FEASIBLE
    )
    slot, sent = run(monkeypatch, engine, model)
    assert slot.objective == total, "the infeasible point was left out"
    assert slot.bound == 2.0
    end = EngineEnded(reason="feasible", limit="other", detail="why", nodes=4)
    assert sent == [NewIncumbent(), end]


def test_each_better_solution_of_others_is_injected_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = random_cover(6, 9, 2)
    others = IncumbentSlot(9)
    others.put(1.5, np.ones(9))
    offers = [(float(model.c.sum()), np.ones(9))] * 3
    engine = ScriptedEngine(offers, Reason.FEASIBLE)
    run(monkeypatch, engine, model, others)
    assert engine.injected[0] is not None
    assert engine.injected[1:] == [None, None]


def test_rows_that_clash_are_named() -> None:
    model = milp([1.0, 1.0], [(2.0, [1, 1], np.inf), (-np.inf, [1, 1], 1.0)])
    sent: list[RunMessage] = []
    slot = IncumbentSlot(2)
    run_engine(model, engine="highs", params=PARAMS, slot=slot, others=None)(sent.append)
    end = sent[-1]
    assert isinstance(end, EngineEnded)
    assert end.reason == "infeasible"
    assert end.infeasible_rows is not None
    assert len(end.infeasible_rows) == 2


@pytest.mark.parametrize(
    ("objective", "bound", "injected"),
    [
        (160.0, 119.0, True),  # a set cover
        (-2_100.0, -2_973.0, True),  # an independent set
        (5.0, 5.0, True),
        (0.0, 0.0, True),
        (6.5e9, 9.9e5, False),  # a solution full of penalties
        (1.0, -1.0, False),
        (40.0, 0.0, False),
        (40.0, -np.inf, False),
    ],
)
def test_only_solutions_near_its_bound_are_injected_into_the_engine(
    objective: float, bound: float, injected: bool
) -> None:
    assert worth_injecting(objective, bound) is injected
