"""The search of one instance: rivals by name, earlier attempts, limits on moved bytes."""

from __future__ import annotations

import numpy as np

from search.domains.sharding.constants import GIB
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.instance import (
    EARLIER_ATTEMPT,
    moved_budget,
    search_as_published,
    search_instance,
)
from search.domains.sharding.search.loads import plan_cost
from tests.search.domains.sharding.conftest import Make, Ready, job
from trimtab.specs.sharding import BeamOptions, Constraints, PlanShard, ShardingSpec

NO_BEAM = BeamOptions(levels=0, width=1, candidates=1, grid=3)


def in_use(limit: float | None) -> ShardingSpec:
    spec = job(6, 2, slack=4.0)
    current = tuple(
        PlanShard(table=t.name, offset=0, width=t.dim, device=i % 2)
        for i, t in enumerate(spec.tables)
    )
    rules = Constraints(current_plan=current, max_moved_gib=limit)
    return spec.model_copy(update={"constraints": rules})


def test_an_earlier_attempt_and_the_published_plan_are_rivals(ready: Make) -> None:
    r = ready(job(6, 4, slack=6.0, kicks=0, beam=NO_BEAM))
    start = r.random_plan()
    result = search_instance(r.instance, np.random.default_rng(0), start=start)
    assert result is not None
    assert result.baselines_ms[EARLIER_ATTEMPT] == r.oracle.cost(start)
    assert "neuroshard" in result.baselines_ms


def test_the_published_plan_is_no_rival_outside_its_setting(ready: Make) -> None:
    r = ready(job(6, 3, slack=6.0, kicks=0, beam=NO_BEAM))
    result = search_instance(r.instance, np.random.default_rng(0))
    assert result is not None
    assert "neuroshard" not in result.baselines_ms


def test_the_published_search_is_priced_by_model_and_oracle(small: Ready) -> None:
    reports: list[float] = []
    result = search_as_published(
        small.instance,
        stop=lambda: False,
        on_better=lambda plan, cost, source: reports.append(cost),
    )
    assert result is not None
    assert result.oracle_ms == small.oracle.cost(result.plan)
    assert result.model_ms == plan_cost(small.setup.items, small.model, result.plan)
    assert reports, "better plans are reported by their oracle cost"


def test_the_published_search_reports_the_plan_that_it_returns(ready: Make) -> None:
    """Beam search puts two shards of one table on a device here; the answer joins them."""
    beam = BeamOptions(levels=10, width=3, candidates=4, grid=5)
    r = ready(job(24, 4, slack=1.1, beam=beam))
    reports: list[tuple[Plan, float]] = []
    result = search_as_published(
        r.instance,
        stop=lambda: False,
        on_better=lambda plan, cost, source: reports.append((plan, cost)),
    )
    assert result is not None
    plan, cost = reports[-1]
    assert cost == result.oracle_ms
    assert len(plan.option) == len(result.plan.option)


def test_moved_bytes_are_limited_only_with_a_plan_and_a_limit(ready: Make) -> None:
    assert moved_budget(in_use(None), ready(in_use(None)).setup) == np.inf
    limited = in_use(0.25)
    assert moved_budget(limited, ready(limited).setup) == 0.25 * GIB


def test_nothing_moves_at_a_limit_of_zero(ready: Make) -> None:
    r = ready(in_use(0.0))
    result = search_instance(r.instance, np.random.default_rng(0))
    assert result is not None
    assert r.setup.current is not None
    moved = {(o, d) for o, d in zip(result.plan.option, result.plan.device, strict=True)}
    stayed = zip(r.setup.current.option, r.setup.current.device, strict=True)
    assert moved == set(stayed)
