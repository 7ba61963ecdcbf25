"""All planners of the comparison behind one signature: a job in, cost and seconds out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.encode.setup import set_up
from search.domains.sharding.encode.shards import to_shards
from search.domains.sharding.parse.problem import ShardingProblem, parse
from search.domains.sharding.search.bound.certificate import prove
from search.domains.sharding.search.ensemble import member_costs
from search.domains.sharding.search.instance import Instance, search_instance
from search.domains.sharding.search.models import Models
from search.domains.sharding.search.neuroshard import neuroshard
from search.domains.sharding.search.phases import NothingFits
from search.domains.sharding.search.starts import BASELINES, baseline_plans
from search.domains.sharding.verify import verify_plan
from trimtab.results import VerificationStatus
from trimtab.specs.sharding import PlanShard, ShardingSpec
from workers.bench.sharding.torchrec_baseline import VARIANTS, plan_with_torchrec


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Outcome of one planner on one task."""

    cost_ms: float | None  # by the oracle; None: no plan
    seconds: float  # processor time, from the tables to the plan
    extra: Mapping[str, Any] | None = None


Planner = Callable[[ShardingSpec, Models], Planned]


def ours(spec: ShardingSpec, models: Models) -> Planned:
    """Plan as a trimtab job does, from tables to certificate."""
    began = time.process_time()
    problem = parse(spec, {})
    setup = set_up(problem)
    instance = Instance.of(spec, setup, models)
    try:
        result = search_instance(instance, np.random.default_rng(0))
    except NothingFits:
        return Planned(
            cost_ms=None,
            seconds=time.process_time() - began,
            extra={"proved_impossible": True},
        )
    if result is None:
        return Planned(cost_ms=None, seconds=time.process_time() - began)
    proof = prove(
        setup.items, instance.model, setup.capacity, result.plan, stop=lambda: False
    )
    interval = models.interval(
        member_costs(models, setup, result.plan), float(setup.arrays.dim.mean())
    )
    seconds = time.process_time() - began
    _check(problem, to_shards(setup, result.plan), result.oracle_ms)
    return Planned(
        cost_ms=result.oracle_ms,
        seconds=seconds,
        extra={
            "gap": max(0.0, 1 - proof.lower_bound_ms / result.model_ms),
            "search_gap": max(0.0, 1 - proof.lower_bound_ms / result.model_best_ms),
            "model_ms": result.model_ms,
            "lower_bound_ms": proof.lower_bound_ms,
            "shards": len(result.plan.option),
            "covered": None
            if interval is None
            else bool(interval[0] <= result.oracle_ms <= interval[1]),
        },
    )


def as_published(spec: ShardingSpec, models: Models) -> Planned:
    """Plan as NeuroShard does: the paper's networks, beam and grid, evaluated in numpy."""
    began = time.process_time()
    problem = parse(spec, {})
    setup = set_up(problem)
    paper = models.paper(
        setup.items, setup.arrays, spec.devices[0].hardware, spec.device_count
    )
    result = neuroshard(
        setup.items,
        paper,
        setup.capacity,
        spec.beam,
        stop=lambda: False,
        on_best=lambda plan, cost: None,
    )
    seconds = time.process_time() - began
    if result.best is None:
        return Planned(cost_ms=None, seconds=seconds)
    return Planned(
        cost_ms=_price(problem, to_shards(setup, result.best)),
        seconds=seconds,
        extra={"model_ms": result.cost},
    )


def heuristic(name: str) -> Planner:
    """Return the planner of a greedy baseline."""

    def plan(spec: ShardingSpec, models: Models) -> Planned:
        began = time.process_time()
        problem = parse(spec, {})
        setup = set_up(problem)
        plans: dict[str, Plan | None] = dict(
            baseline_plans(
                setup.items, setup.arrays, setup.capacity, np.random.default_rng(1)
            )
        )
        seconds = time.process_time() - began
        chosen = plans[name]
        cost = None if chosen is None else _price(problem, to_shards(setup, chosen))
        return Planned(cost_ms=cost, seconds=seconds)

    return plan


def torchrec(variant: str) -> Planner:
    """Return TorchRec's own planner, with storage counted as for all others."""

    def plan(spec: ShardingSpec, models: Models) -> Planned:
        problem = parse(spec, {})
        group = spec.devices[0]
        shards, seconds = plan_with_torchrec(
            list(spec.tables),
            device_count=spec.device_count,
            memory_bytes_per_device=int(group.memory_gib * 2**30),
            devices_per_node=spec.fabric.devices_per_node or spec.device_count,
            global_batch=spec.global_batch,
            variant=variant,
        )
        return Planned(
            cost_ms=None if shards is None else _price(problem, tuple(shards)),
            seconds=seconds,
        )

    return plan


PLANNERS: Mapping[str, Planner] = MappingProxyType(
    {
        "trimtab": ours,
        "neuroshard": as_published,
        **{name: heuristic(name) for name in BASELINES if name != "torchrec-perf"},
        **{f"torchrec-{variant}": torchrec(variant) for variant in VARIANTS},
    }
)


def _price(problem: ShardingProblem, shards: tuple[PlanShard, ...]) -> float | None:
    """Return the oracle's cost; None when the independent check refuses the plan."""
    from search.domains.sharding.verify import oracle_ms

    cost = oracle_ms(problem, shards)
    verdict = verify_plan(problem, shards, cost)
    return cost if verdict.status is VerificationStatus.VALID else None


def _check(
    problem: ShardingProblem, shards: tuple[PlanShard, ...], claimed: float
) -> None:
    verdict = verify_plan(problem, shards, claimed)
    if verdict.status is not VerificationStatus.VALID:
        raise RuntimeError(f"trimtab's own plan was refused: {verdict.detail}")
