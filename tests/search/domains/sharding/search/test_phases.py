"""The eight phases of the search, each on its own state."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.encode.plan import Plan, fits, merged
from search.domains.sharding.search import phases
from search.domains.sharding.search.state import SearchState
from tests.search.domains.sharding.conftest import Make, Ready, job
from trimtab.specs.sharding import (
    Constraints,
    DeviceGroup,
    MemoryModel,
    Optimizer,
    PlanShard,
    ShardingSpec,
    Table,
)


def packed(small: Ready, **effort: object) -> SearchState:
    state = small.state(**effort)
    phases.pack(state)
    return state


def test_rivals_are_priced_by_the_oracle_and_join_the_pool(small: Ready) -> None:
    state = small.state()
    other = small.random_plan()
    phases.rivals(state, lambda: {"other": other, "failed": None})
    assert state.baselines_ms["failed"] is None
    assert state.baselines_ms["other"] == small.oracle.cost(other)
    assert {
        "random",
        "dim",
        "size",
        "lookup",
        "torchrec-perf",
    } <= state.baselines_ms.keys()
    priced = [cost for cost in state.baselines_ms.values() if cost is not None]
    assert state.oracle_evaluations == len(priced)
    assert state.best_reported_ms == min(priced)
    assert len(state.pool.plans) <= len(priced)


def test_rivals_end_with_the_first_plan_when_time_is_up(small: Ready) -> None:
    state = small.state()
    state.stop = lambda: True
    phases.rivals(state, lambda: pytest.fail("the other planners must not start"))
    assert len(state.pool.plans) == 1


def test_pack_finds_a_plan_that_fits_in_tight_memory(ready: Make) -> None:
    tables = tuple(Table(name=f"t{i}", rows=1_000_000, dim=64) for i in range(5))
    spec = ShardingSpec(
        tables=tables,
        devices=(DeviceGroup(count=4, memory_gib=5 * 64e6 * 4 / 4 / 2**30 + 0.001),),
        optimizer=Optimizer.SGD,
        memory_model=MemoryModel.WEIGHTS,
    )
    state = ready(spec).state()
    phases.pack(state)
    assert state.packed is not None
    assert fits(state.inputs.items, state.packed, state.inputs.limits.capacity)
    assert len(state.packed.option) > 5


def test_pack_raises_with_a_proof_that_nothing_fits(ready: Make) -> None:
    tables = tuple(Table(name=f"t{i}", rows=1_000_000, dim=20) for i in range(3))
    spec = ShardingSpec(
        tables=tables,
        devices=(DeviceGroup(count=2, memory_gib=31.5 * 4e6 / 2**30),),
        memory_model=MemoryModel.WEIGHTS,
    )
    with pytest.raises(phases.NothingFits):
        phases.pack(ready(spec).state())


def test_beam_adds_column_splits_to_the_pool(small: Ready) -> None:
    state = packed(small)
    phases.beam(state)
    sources = {plan.source for _, _, plan in state.pool.plans}
    assert any(source.startswith("beam") for source in sources)
    assert state.pool.best_cost <= state.model_cost(state.packed)


def test_beam_of_a_large_problem_is_the_greedy_grid(small: Ready) -> None:
    state = packed(small, beam_shards=3)
    phases.beam(state)
    assert {plan.source for _, _, plan in state.pool.plans} <= {"packed", "beam 0"}


def test_beam_and_split_need_a_packed_plan(small: Ready) -> None:
    state = small.state()
    phases.beam(state)
    phases.split(state)
    assert state.pool.plans == []


def test_split_adds_level_starts_and_prices_the_best(small: Ready) -> None:
    state = packed(small, levelled=2)
    phases.split(state)
    assert 1 <= len(state.level_ms) <= 2
    for plan in state.pool.from_sources(state.level_ms):
        assert state.level_ms[plan.source] == small.oracle.cost(plan)


def test_split_halves_shards_that_exceed_the_share(small: Ready) -> None:
    state = packed(small, shares=(0.2,))
    phases.split(state)
    (start,) = state.pool.from_sources({"split 0.2"})
    options = small.setup.items.options
    assert len(start.option) > len(state.packed.option)
    columns = [options.dim[plan.option].sum() for plan in (start, state.packed)]
    assert columns[0] == columns[1]


def test_descend_never_worsens_a_plan(small: Ready) -> None:
    state = small.state(starts=2)
    for seed in range(3):
        state.pool.add(small.random_plan(seed))
    before = state.pool.best_cost
    phases.descend(state)
    assert state.pool.best_cost <= before
    assert state.steps > 0
    assert state.oracle_evaluations == 2


def test_kick_ends_after_the_allowed_failures(small: Ready) -> None:
    state = packed(small, kicks=3)
    phases.descend(state)
    before = state.pool.best_cost
    phases.kick(state)
    assert state.kicks >= 3
    assert state.pool.best_cost <= before


def test_choose_takes_the_oracles_preference(small: Ready) -> None:
    state = small.state(slack=np.inf)
    plans = [small.random_plan(seed) for seed in range(4)]
    for plan in plans:
        state.pool.add(plan)
    phases.choose(state)
    assert state.best_ms == min(
        small.oracle.cost(merged(small.setup.items, p)) for p in plans
    )


def test_choose_prefers_a_cheaper_baseline_outside_the_top(small: Ready) -> None:
    state = small.state(top=1)
    good = small.random_plan()
    rival = Plan.of(good.option, (good.device + 1) % 4, "rival")
    state.pool.add(good)
    state.pool.add(rival)
    state.baselines_ms["rival"] = 1e-6
    phases.choose(state)
    assert state.best is not None
    assert state.best.source == "rival"
    assert state.best_ms == 1e-6


def test_polish_lowers_the_oracle_cost_within_the_models_ceiling(small: Ready) -> None:
    state = packed(small, polish=60, polished=1)
    phases.choose(state)
    start_ms = state.best_ms
    ceiling = max(state.model_ceiling_ms, state.model_cost(state.best))
    phases.polish(state)
    assert state.best_ms <= start_ms
    assert state.model_cost(state.best) <= ceiling
    assert state.best_ms == pytest.approx(small.oracle.cost(state.best), rel=1e-9)


def test_a_limit_on_moved_bytes_forbids_kicks(ready: Make) -> None:
    spec = job(6, 2, slack=6.0)
    current = tuple(
        PlanShard(table=t.name, offset=0, width=t.dim, device=i % 2)
        for i, t in enumerate(spec.tables)
    )
    rules = Constraints(current_plan=current, max_moved_gib=0.1)
    state = ready(spec.model_copy(update={"constraints": rules})).state(kicks=3)
    state.pool.add(state.inputs.current)
    phases.kick(state)
    assert state.moves_limited
    assert state.kicks == 0
