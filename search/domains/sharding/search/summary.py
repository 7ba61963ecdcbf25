"""Summary of a search: certificate, baselines, moved bytes and effort."""

from __future__ import annotations

from typing import Any

from search.domains.sharding.constants import GIB
from search.domains.sharding.encode.setup import Setup
from search.domains.sharding.encode.shards import to_shards
from search.domains.sharding.parse.problem import ShardingProblem
from search.domains.sharding.produce.diff import diff_plans
from search.domains.sharding.search.bound.certificate import Certificate
from search.domains.sharding.search.planner import SearchResult
from trimtab.certificates import statement


def summarise(
    problem: ShardingProblem, setup: Setup, result: SearchResult, certificate: Certificate
) -> dict[str, Any]:
    """Return the summary of a result, by the field names of the wire format."""
    spec = problem.spec
    bound = certificate.lower_bound_ms
    oracle = ", ".join(dict.fromkeys(p.name for p in setup.profiles))
    return {
        "tables": len(problem.tables),
        "tables_with_assumed_access": problem.assumed,
        "devices": spec.device_count,
        "shards": len(to_shards(setup, result.plan)),
        "splits": len(result.plan.option) - len(setup.items),
        "found_by": result.plan.source,
        "oracle": f"simulated {oracle}",
        "certificate": {
            "model_ms": result.model_ms,
            "model_best_ms": result.model_best_ms,
            "lower_bound_ms": bound,
            "gap": gap(result.model_ms, bound),
            "search_gap": gap(result.model_best_ms, bound),
            "statement": statement(result.model_ms, bound),
            "method": certificate.method,
            "multipliers": list(certificate.multipliers),
        },
        **_in_use_summary(problem, setup, result),
        "baselines": [
            {"planner": name, "cost_ms": cost}
            for name, cost in result.baselines_ms.items()
        ],
        "search": {
            "oracle_evaluations": result.oracle_evaluations,
            "local_steps": result.steps,
            "kicks": result.kicks,
        },
    }


def gap(cost: float, bound: float) -> float:
    """Return the relative gap between a cost and its lower bound, at least 0."""
    return max(0.0, 1 - bound / cost)


def _in_use_summary(
    problem: ShardingProblem, setup: Setup, result: SearchResult
) -> dict[str, Any]:
    """Return moved bytes and the tables and devices that are gone or new; empty without a plan."""
    in_use = setup.in_use
    if in_use is None:
        return {}
    diff = diff_plans(
        problem.tables,
        problem.spec.constraints.current_plan,
        to_shards(setup, result.plan),
    )
    return {
        "current_plan": {
            "moved_gib": diff.moved_bytes / GIB,
            "must_move_gib": in_use.unavoidable_bytes / GIB,
            "dropped_tables": list(in_use.dropped_tables),
            "lost_devices": list(in_use.lost_devices),
            "new_tables": list(in_use.new_tables),
        }
    }
