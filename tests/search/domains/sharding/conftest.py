from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from cost_models.sharding.generator import meta_like
from search.domains.sharding.encode.setup import Setup, set_up
from search.domains.sharding.parse.problem import ShardingProblem, parse
from search.domains.sharding.search.instance import Instance
from search.domains.sharding.search.models import Models, shipped
from search.domains.sharding.search.oracle import Oracle
from search.domains.sharding.search.plan_model import PlanModel
from trimtab.specs.sharding import DeviceGroup, MemoryModel, Optimizer, ShardingSpec, Table

WIDTHS = (128, 64, 32, 16)


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A job, parsed and set up."""

    problem: ShardingProblem
    instance: Instance

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


def job(
    count: int, ranks: int, *, seed: int = 0, slack: float = 1.6, **more: object
) -> ShardingSpec:
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
        **more,
    }
    return ShardingSpec(**fields)


@pytest.fixture(scope="session")
def models() -> Models:
    return shipped()


@pytest.fixture(scope="session")
def ready(models: Models) -> Callable[[ShardingSpec], Ready]:
    def make(spec: ShardingSpec) -> Ready:
        problem = parse(spec, {})
        return Ready(problem=problem, instance=Instance.of(spec, set_up(problem), models))

    return make
