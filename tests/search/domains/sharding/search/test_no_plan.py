"""Outcomes without a plan name the reason and the remedy."""

from __future__ import annotations

from search.domains.sharding.search import no_plan
from search.domains.sharding.search.infeasible import Infeasible
from tests.search.domains.sharding.conftest import Make, Ready, job
from trimtab.results import Limit, Reason
from trimtab.specs.sharding import Constraints, PlanShard


class Expired:
    limit = Limit.TIME


def test_infeasible_by_counting() -> None:
    proof = Infeasible(argument="2 GiB are missing", missing_bytes=2**31, tables=("a",))
    outcome = no_plan.infeasible(proof)
    assert outcome.termination.reason is Reason.INFEASIBLE
    assert outcome.termination.detail == proof.argument
    assert outcome.summary == {"missing_gib": 2.0, "tables": ["a"]}
    assert outcome.solution is None


def test_impossible_by_branch_and_bound_names_the_largest_tables(small: Ready) -> None:
    outcome = no_plan.impossible(small.problem, small.setup)
    largest = max(small.problem.tables, key=lambda t: t.rows * t.dim)
    assert outcome.termination.reason is Reason.INFEASIBLE
    assert outcome.summary["tables"][0] == largest.name
    assert "min_shard_dim" in outcome.termination.detail


def test_forced_bytes_above_the_limit_say_what_to_allow(ready: Make) -> None:
    spec = job(2, 2, slack=4.0)
    table = spec.tables[0]
    half = table.dim // 2
    current = tuple(
        PlanShard(table=table.name, offset=d * half, width=half, device=d)
        for d in range(2)
    )
    rules = Constraints(current_plan=current, max_moved_gib=0.0, no_split=(table.name,))
    r = ready(spec.model_copy(update={"constraints": rules}))
    outcome = no_plan.must_move_more(r.spec, r.setup)
    need = half * table.rows * 4 / 2**30
    assert outcome.termination.reason is Reason.NO_SOLUTION_FOUND
    assert outcome.summary == {"must_move_gib": need}
    assert f"{need:.3f} GiB of current_plan must" in outcome.termination.detail


def test_nothing_found_keeps_the_limit() -> None:
    termination = no_plan.nothing_found(Expired()).termination
    assert (termination.reason, termination.limit) == (
        Reason.NO_SOLUTION_FOUND,
        Limit.TIME,
    )
