"""Search phase of the kind: plan, certificate, branch and bound, what-ifs, and the outcome.

The call order, from a job to a plan:

- `run.run_search` proves a job infeasible (`infeasible`) or builds an `instance.Instance`: the
  learned model of its devices (`plan_model`) and the oracle (`oracle`);
- `instance.search_instance` adds the plans to compete with (an earlier attempt, NeuroShard's) and
  calls `planner.search_plan`, the eight steps of the search;
- each step is a function of `phases` on one `state.SearchState`: start plans (`starts`, `level`,
  `packing`), `beam`, `polish` and `local_search`; every plan goes to its pool, and the oracle
  chooses among the cheapest;
- `run.run_search` then bounds the model's cost (`bound.certificate`, `bound.exact`), plans for
  other numbers of devices (`what_if`) and writes the summary (`summary`).
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from search.domains.sharding.encode.plan import Plan, fits, merged
from search.domains.sharding.encode.setup import Setup
from search.domains.sharding.encode.shards import from_shards, to_shards
from search.domains.sharding.parse.problem import ShardingProblem
from search.domains.sharding.search import no_plan
from search.domains.sharding.search.bound import exact
from search.domains.sharding.search.bound.certificate import Certificate, prove
from search.domains.sharding.search.deadlines import Until, deadlines
from search.domains.sharding.search.ensemble import member_costs
from search.domains.sharding.search.infeasible import prove_infeasible
from search.domains.sharding.search.instance import (
    EARLIER_ATTEMPT,
    Instance,
    OnBetter,
    moved_budget,
    search_as_published,
    search_instance,
)
from search.domains.sharding.search.loads import plan_cost
from search.domains.sharding.search.models import Models
from search.domains.sharding.search.phases import NothingFits
from search.domains.sharding.search.planner import SearchResult
from search.domains.sharding.search.summary import gap, summarise
from search.domains.sharding.search.what_if import what_if
from search.domains.sharding.solution import ShardingSolution
from search.stop import StoppingCriterion
from search.types import OnIncumbent, SearchOutcome
from trimtab.certificates import statement
from trimtab.results import Incumbent, Reason, Termination
from trimtab.specs.sharding import Method

_LOOSE = 0.005  # a gap below this is not worth branch and bound
_LEAST_PROOF_S = 0.2


def run_search(
    problem: ShardingProblem,
    setup: Setup,
    models: Models,
    *,
    stop: StoppingCriterion,
    rng: np.random.Generator,
    on_incumbent: OnIncumbent,
    start: ShardingSolution | None = None,
) -> SearchOutcome:
    """Return the plan, its certificate, and the cost on other numbers of devices.

    start: the plan of an earlier attempt at the job.
    """
    began = time.monotonic()
    if (proof := prove_infeasible(setup)) is not None:
        return no_plan.infeasible(proof)
    if moved_budget(problem.spec, setup) < 0:
        return no_plan.must_move_more(problem.spec, setup)
    priced = time.monotonic()
    instance = Instance.of(problem.spec, setup, models)
    search_ends, proof_ends = deadlines(
        stop, read_s=setup.read_s, model_s=time.monotonic() - priced
    )

    def report(plan: Plan, cost: float, source: str) -> None:
        on_incumbent(
            Incumbent(elapsed_s=0.0, objective=cost, source=source),
            lambda: ShardingSolution(shards=to_shards(setup, plan), cost_ms=cost),
        )

    try:
        result = _search(instance, rng, search_ends, report, start)
    except NothingFits:
        return no_plan.impossible(problem, setup)
    if result is None:
        return no_plan.nothing_found(stop)
    certificate = prove(
        setup.items, instance.model, setup.capacity, result.plan, stop=proof_ends
    )
    result, certificate = _tightened(instance, result, certificate, proof_ends, report)
    summary = summarise(problem, setup, result, certificate)
    summary["planning_s"] = time.monotonic() - began
    summary["interval_ms"] = models.interval(
        member_costs(models, setup, result.plan), float(setup.arrays.dim.mean())
    )
    if problem.spec.what_if:
        summary["what_if"] = what_if(problem, setup.arrays, models, rng, proof_ends)
    return SearchOutcome(
        termination=_termination(stop, result, certificate),
        solution=ShardingSolution(
            shards=to_shards(setup, result.plan), cost_ms=result.oracle_ms
        ),
        objective=result.oracle_ms,
        # The certificate bounds the model's cost, which is another number: see the summary.
        bound=None,
        summary=summary,
        weights=models.digests,
    )


def _search(
    instance: Instance,
    rng: np.random.Generator,
    ends: Until,
    report: OnBetter,
    start: ShardingSolution | None,
) -> SearchResult | None:
    """Search by the method of the job."""
    if instance.spec.method is Method.NEUROSHARD:
        return search_as_published(instance, stop=ends, on_better=report)
    earlier = None
    if start is not None:
        earlier = from_shards(instance.setup, start.shards, EARLIER_ATTEMPT)
    return search_instance(instance, rng, stop=ends, on_better=report, start=earlier)


def _tightened(
    instance: Instance,
    result: SearchResult,
    certificate: Certificate,
    ends: Until,
    report: OnBetter,
) -> tuple[SearchResult, Certificate]:
    """Run branch and bound on a small job whose bound is loose.

    Its bound replaces the certificate's when it is better, and its plan the result's when the
    oracle prefers it.
    """
    spec, items, capacity = instance.spec, instance.setup.items, instance.setup.capacity
    seconds = min(spec.proof_seconds, 0.5 * ends.left_s())
    loose = gap(result.model_best_ms, certificate.lower_bound_ms) > _LOOSE
    excluded = (
        spec.method is Method.NEUROSHARD or spec.constraints.max_moved_gib is not None
    )
    if (
        seconds < _LEAST_PROOF_S
        or not loose
        or excluded
        or not exact.is_small(items, instance.model)
        or ends()
    ):
        return result, certificate
    solved = exact.solve(items, instance.model, capacity, seconds=seconds, stop=ends)
    if solved is None:
        return result, certificate
    if solved.lower_bound_ms > certificate.lower_bound_ms:
        closed = ", closed" if solved.optimal else ""
        certificate = replace(
            certificate,
            lower_bound_ms=solved.lower_bound_ms,
            method=f"branch and bound ({solved.solver}){closed}",
            multipliers=(),
        )
    # With a plan cut off by the clock, equal seeds would give different answers; a closed one
    # is always the same.
    if solved.optimal and solved.plan is not None and fits(items, solved.plan, capacity):
        plan = merged(items, solved.plan)
        model_ms = plan_cost(items, instance.model, plan)
        cost = instance.oracle.cost(plan)
        result = replace(result, model_best_ms=min(result.model_best_ms, model_ms))
        if cost < result.oracle_ms:
            result = replace(result, plan=plan, model_ms=model_ms, oracle_ms=cost)
            report(plan, cost, plan.source)
    return result, certificate


def _termination(
    stop: StoppingCriterion, result: SearchResult, certificate: Certificate
) -> Termination:
    detail = statement(result.model_ms, certificate.lower_bound_ms)
    if stop.limit is not None:
        return Termination(reason=Reason.FEASIBLE, limit=stop.limit, detail=detail)
    return Termination(reason=Reason.COMPLETED, detail=detail)
