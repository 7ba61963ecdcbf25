"""Jobs of the sharding tests, parsed and set up with the shipped models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from cost_models.sharding.generator import meta_like
from cost_models.sharding.problem import TableArrays
from search.domains.sharding.encode.items import Items, build_items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.encode.setup import Setup, set_up
from search.domains.sharding.parse.problem import ShardingProblem, parse
from search.domains.sharding.search.deadlines import never
from search.domains.sharding.search.instance import Instance, moved_budget
from search.domains.sharding.search.models import Models, shipped
from search.domains.sharding.search.oracle import Oracle
from search.domains.sharding.search.plan_model import PlanModel
from search.domains.sharding.search.state import Effort, SearchInputs, SearchState
from search.domains.sharding.search.working_plan import Limits
from trimtab.specs.sharding import (
    Constraints,
    DeviceGroup,
    MemoryModel,
    Optimizer,
    ShardingSpec,
    Table,
)

WIDTHS = (128, 64, 32, 16)


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A job, parsed and set up."""

    problem: ShardingProblem
    instance: Instance

    @property
    def spec(self) -> ShardingSpec:
        return self.instance.spec

    @property
    def setup(self) -> Setup:
        return self.instance.setup

    @property
    def model(self) -> PlanModel:
        return self.instance.model

    @property
    def oracle(self) -> Oracle:
        return self.instance.oracle

    @property
    def models(self) -> Models:
        return self.instance.models

    @property
    def limits(self) -> Limits:
        return Limits(
            capacity=self.setup.capacity,
            moved=moved_budget(self.spec, self.setup),
            home_device=self.setup.home_device,
        )

    def state(self, **effort: object) -> SearchState:
        """Return the state of a search before its first phase."""
        inputs = SearchInputs(
            items=self.setup.items,
            model=self.model,
            oracle=self.oracle,
            limits=self.limits,
            beam=self.spec.beam,
            current=self.setup.current,
            effort=Effort(**effort),
        )
        return SearchState(
            inputs=inputs,
            rng=np.random.default_rng(0),
            stop=never,
            on_better=lambda plan, cost, source: None,
        )

    def random_plan(self, seed: int = 0) -> Plan:
        """Return whole tables on random devices; it may not fit."""
        whole = self.setup.items.whole
        device = np.random.default_rng(seed).integers(0, self.model.devices, len(whole))
        return Plan.of(whole, device, "random")


Make = Callable[[ShardingSpec], Ready]


def job(
    count: int, ranks: int, *, seed: int = 0, slack: float = 1.6, **more: object
) -> ShardingSpec:
    """Draw a job of tables like Meta's, with `slack` times the memory it needs."""
    rng = np.random.default_rng((4711, seed))
    tables = tuple(
        Table(**{**t.model_dump(), "dim": int(rng.choice(WIDTHS)), "access": t.access})
        for t in meta_like(count, rng)
    )
    need = sum(t.rows * t.dim * 4 for t in tables) / 2**30
    fields = {
        "tables": tables,
        "devices": (DeviceGroup(count=ranks, memory_gib=slack * need / ranks + 0.5),),
        "optimizer": Optimizer.SGD,
        "memory_model": MemoryModel.WEIGHTS,
        "proof_seconds": 0.2,  # by default both solvers take their three seconds in most jobs
        **more,
    }
    return ShardingSpec(**fields)


def items_of(
    *dims: int, devices: int = 2, rows: int = 1000, **constraints: object
) -> Items:
    """Build items of tables t0, t1, ... with these widths, by weights alone."""
    tables = tuple(Table(name=f"t{i}", rows=rows, dim=dim) for i, dim in enumerate(dims))
    arrays = TableArrays.of(tables, batch=1024, optimizer=Optimizer.SGD)
    return build_items(
        tables,
        arrays,
        Constraints(**constraints),
        devices=devices,
        memory_model=MemoryModel.WEIGHTS,
    )


@pytest.fixture(scope="session")
def models() -> Models:
    return shipped()


@pytest.fixture(scope="session")
def ready(models: Models) -> Make:
    def make(spec: ShardingSpec) -> Ready:
        problem = parse(spec, {})
        instance = Instance.of(spec, set_up(problem), models)
        return Ready(problem=problem, instance=instance)

    return make


@pytest.fixture(scope="session")
def small(ready: Make) -> Ready:
    """A job of 10 tables on 4 devices, with ample memory."""
    return ready(job(10, 4, seed=1, slack=6.0))


@pytest.fixture(scope="session")
def two_nodes(ready: Make) -> Ready:
    """A job of 12 tables on 4 unequal devices in two nodes."""
    from trimtab.specs.sharding import Fabric, Hardware

    groups = tuple(
        DeviceGroup(count=2, memory_gib=40, hardware=hardware)
        for hardware in (Hardware.H100, Hardware.V100)
    )
    return ready(job(12, 4, seed=2, devices=groups, fabric=Fabric(devices_per_node=2)))
