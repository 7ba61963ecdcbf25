"""One job on one set of devices, with the models that price its plans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from search.domains.sharding.constants import GIB
from search.domains.sharding.encode.plan import Plan, fits, merged
from search.domains.sharding.encode.setup import Setup
from search.domains.sharding.parse.paper_mode import paper_mode_faults
from search.domains.sharding.search.beam import BeamResult
from search.domains.sharding.search.deadlines import Stop, never
from search.domains.sharding.search.loads import plan_cost
from search.domains.sharding.search.models import Models
from search.domains.sharding.search.neuroshard import neuroshard
from search.domains.sharding.search.oracle import Oracle
from search.domains.sharding.search.plan_model import PlanModel, certified_model
from search.domains.sharding.search.planner import SearchResult, search_plan
from search.domains.sharding.search.repair import least_moving_plan, moved_bytes
from search.domains.sharding.search.state import Effort, SearchInputs
from search.domains.sharding.search.working_plan import Limits
from trimtab.specs.sharding import ShardingSpec

OnBetter = Callable[[Plan, float, str], object]  # plan, oracle milliseconds, source

EARLIER_ATTEMPT = "earlier attempt"
# Items x devices; above this, NeuroShard's full beam takes longer than the rest of the search.
_PUBLISHED_SIZE = 700
_REPAIR_S = 5.0  # to repair a plan in use that no longer fits


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A job set up for one number of devices, its certified model and its oracle."""

    spec: ShardingSpec
    setup: Setup
    models: Models
    model: PlanModel
    oracle: Oracle

    @classmethod
    def of(cls, spec: ShardingSpec, setup: Setup, models: Models) -> Instance:
        """Price every option of `setup` with `models`."""
        model = certified_model(
            setup.items,
            setup.arrays,
            setup.profiles,
            setup.fabric,
            models.compute,
            models.exchange,
        )
        oracle = Oracle(
            items=setup.items,
            arrays=setup.arrays,
            profiles=setup.profiles,
            fabric=setup.fabric,
        )
        return cls(spec=spec, setup=setup, models=models, model=model, oracle=oracle)


def search_instance(
    instance: Instance,
    rng: np.random.Generator,
    *,
    stop: Stop = never,
    on_better: OnBetter = lambda plan, cost, source: None,
    start: Plan | None = None,
) -> SearchResult | None:
    """Search for a plan with the effort that the size of the instance allows.

    NeuroShard's own plan is a rival where its networks apply, and so is `start`, the plan of an
    earlier attempt. None when no plan was found; raises NothingFits with a proof that none exists.
    """
    spec, setup = instance.spec, instance.setup
    limits = Limits(
        capacity=setup.capacity,
        moved=moved_budget(spec, setup),
        home_device=setup.home_device,
    )
    inputs = SearchInputs(
        items=setup.items,
        model=instance.model,
        oracle=instance.oracle,
        limits=limits,
        beam=spec.beam,
        current=_start(setup, limits),
        effort=Effort.for_size(len(setup.items), spec.device_count, spec.kicks),
    )

    def rivals() -> dict[str, Plan | None]:
        earlier = {} if start is None else {EARLIER_ATTEMPT: start}
        return {**earlier, **_published_rival(instance, stop)}

    return search_plan(inputs, rng, rivals=rivals, stop=stop, on_better=on_better)


def search_as_published(
    instance: Instance, *, stop: Stop, on_better: OnBetter
) -> SearchResult | None:
    """Search as NeuroShard does, and price its plan by the certified model and the oracle.

    None when no plan was found.
    """
    items, oracle = instance.setup.items, instance.oracle

    def report(plan: Plan, paper_ms: float) -> None:
        plan = merged(items, plan)  # as the answer will be
        on_better(plan, oracle.cost(plan), plan.source)

    result = _published(instance, stop, report)
    if result.best is None:
        return None
    plan = merged(items, result.best)
    model_ms = plan_cost(items, instance.model, plan)
    return SearchResult(
        plan=plan,
        model_ms=model_ms,
        model_best_ms=model_ms,
        oracle_ms=oracle.cost(plan),
        oracle_evaluations=result.graded,
        steps=0,
        kicks=0,
    )


def _published_rival(instance: Instance, stop: Stop) -> dict[str, Plan | None]:
    """Return NeuroShard's plan where its networks apply and the job is small enough to be quick."""
    spec, setup = instance.spec, instance.setup
    if (
        paper_mode_faults(spec, setup.tables)
        or len(setup.items) * spec.device_count > _PUBLISHED_SIZE
    ):
        return {}
    plan = _published(instance, stop, lambda plan, cost: None).best
    return {"neuroshard": None if plan is None else replace(plan, source="neuroshard")}


def _published(
    instance: Instance, stop: Stop, on_best: Callable[[Plan, float], object]
) -> BeamResult:
    spec, setup = instance.spec, instance.setup
    paper = instance.models.paper(
        setup.items, setup.arrays, spec.devices[0].hardware, spec.device_count
    )
    return neuroshard(
        setup.items, paper, setup.capacity, spec.beam, stop=stop, on_best=on_best
    )


def moved_budget(spec: ShardingSpec, setup: Setup) -> float:
    """Return the bytes that the search may move away from home.

    Negative when the bytes that must move exceed the limit; infinite without a limit.
    """
    limit = spec.constraints.max_moved_gib
    if limit is None or setup.in_use is None:
        return np.inf
    return setup.in_use.budget(limit * GIB)


def _start(setup: Setup, limits: Limits) -> Plan | None:
    """Return the plan in use, repaired when it does not fit and moved bytes are limited.

    None without a plan in use, or when no repair stays within the limit.
    """
    current = setup.current
    if (
        current is None
        or not np.isfinite(limits.moved)
        or fits(setup.items, current, setup.capacity)
    ):
        return current
    assert setup.home_device is not None
    repaired = least_moving_plan(
        setup.items, current, setup.home_device, setup.capacity, seconds=_REPAIR_S
    )
    if repaired is None:
        return None
    moved = moved_bytes(setup.items, repaired, setup.home_device)
    return repaired if moved <= limits.moved * (1 + 1e-12) else None
