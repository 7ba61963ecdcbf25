"""The search stage: outcomes with a certificate, and branch and bound where the bound is loose."""

from __future__ import annotations

import threading

import numpy as np

from search.domains.sharding.search.run import run_search
from search.domains.sharding.solution import ShardingSolution
from search.stop import from_budget
from search.types import SearchOutcome
from tests.search.domains.sharding.conftest import Make, Ready, job
from trimtab.results import Reason
from trimtab.specs.sharding import Constraints, DeviceGroup, PlanShard


def run(
    r: Ready, start: ShardingSolution | None = None
) -> tuple[SearchOutcome, list[float]]:
    costs: list[float] = []
    outcome = run_search(
        r.problem,
        r.setup,
        r.models,
        stop=from_budget({"seconds": 60.0}, threading.Event()),
        rng=np.random.default_rng(0),
        on_incumbent=lambda incumbent, solution: costs.append(incumbent.objective),
        start=start,
    )
    return outcome, costs


def test_incumbents_improve_to_the_outcome(ready: Make) -> None:
    r = ready(job(6, 3, slack=4.0, proof_seconds=0.0, kicks=1))
    outcome, costs = run(r)
    assert outcome.termination.reason is Reason.COMPLETED
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == outcome.objective == outcome.solution.cost_ms
    assert outcome.bound is None
    again, _ = run(r, start=outcome.solution)
    assert again.objective <= outcome.objective
    planners = {row["planner"] for row in again.summary["baselines"]}
    assert "earlier attempt" in planners


def test_proofs_of_infeasibility_end_the_search(ready: Make) -> None:
    r = ready(job(6, 2, devices=(DeviceGroup(count=2, memory_gib=0.2),)))
    outcome, costs = run(r)
    assert outcome.termination.reason is Reason.INFEASIBLE
    assert costs == []


def test_branch_and_bound_tightens_a_loose_bound(ready: Make) -> None:
    spec = job(
        5, 2, seed=3, slack=6.0, constraints=Constraints(min_shard_dim=64), kicks=1
    )
    loose, _ = run(ready(spec.model_copy(update={"proof_seconds": 0.0})))
    closed, _ = run(ready(spec.model_copy(update={"proof_seconds": 20.0})))
    before, after = loose.summary["certificate"], closed.summary["certificate"]
    assert before["search_gap"] > 0.005
    assert after["lower_bound_ms"] >= before["lower_bound_ms"]
    assert "closed" in after["method"]


def test_forced_moves_above_the_limit_are_refused(ready: Make) -> None:
    spec = job(2, 2, slack=4.0)
    table = spec.tables[0]
    half = table.dim // 2
    current = tuple(
        PlanShard(table=table.name, offset=d * half, width=half, device=d)
        for d in range(2)
    )
    rules = Constraints(current_plan=current, max_moved_gib=0.0, no_split=(table.name,))
    outcome, _ = run(ready(spec.model_copy(update={"constraints": rules})))
    assert outcome.termination.reason is Reason.NO_SOLUTION_FOUND
    assert "must_move_gib" in outcome.summary
