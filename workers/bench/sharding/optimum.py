"""`python -m workers.bench sharding exact`: the search against the optimum of the model.

Tasks of at most 20 tables on at most 4 devices, table-wise and with splits; each solver gets 20 s
on one thread. Reported are the solvers that proved the optimum, whether they agree, and the
distance of the search's model cost and of the certificate from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cost_models.sharding.generator import meta_like
from search.domains.sharding.encode.setup import set_up
from search.domains.sharding.parse.problem import parse
from search.domains.sharding.search.bound import exact
from search.domains.sharding.search.bound.certificate import prove
from search.domains.sharding.search.instance import Instance, search_instance
from search.domains.sharding.search.loads import plan_cost
from search.domains.sharding.search.models import Models
from trimtab.specs.sharding import (
    Constraints,
    DeviceGroup,
    MemoryModel,
    Optimizer,
    ShardingSpec,
)

_SECONDS = 20.0


def run(
    models: Models, *, count: int, seed: int, say: Callable[[str], object]
) -> Iterator[dict[str, Any]]:
    """Yield one line for each task; half of the tasks forbid splits."""
    for k in range(min(count, 12)):
        spec = _job(seed, k)
        setup = set_up(parse(spec, {}))
        instance = Instance.of(spec, setup, models)
        items, model, oracle = setup.items, instance.model, instance.oracle
        result = search_instance(instance, np.random.default_rng(seed))
        proof = (
            None
            if result is None
            else prove(items, model, setup.capacity, result.plan, stop=lambda: False)
        )
        line: dict[str, Any] = {
            "task": k,
            "tables": len(spec.tables),
            "devices": spec.device_count,
            "splits_allowed": not spec.constraints.no_split,
            "search_model_ms": None if result is None else result.model_best_ms,
            "certificate_ms": None if proof is None else proof.lower_bound_ms,
        }
        for solver in ("highs", "scip"):
            solved = exact.solve(
                items,
                model,
                setup.capacity,
                seconds=_SECONDS,
                solver=solver,
                confirm=None,
            )
            if solved is None:
                continue
            plan = solved.plan
            line[solver] = {
                "bound_ms": solved.lower_bound_ms,
                "plan_ms": None if plan is None else plan_cost(items, model, plan),
                "optimal": solved.optimal,
                "plan_oracle_ms": None if plan is None else oracle.cost(plan),
            }
        line["search_oracle_ms"] = None if result is None else result.oracle_ms
        say(f"exact: task {k} done")
        yield line


def _job(seed: int, k: int) -> ShardingSpec:
    rng = np.random.default_rng((seed, 77, k))
    count = int(rng.integers(6, 21))
    devices = int(rng.integers(2, 5))
    widths = rng.choice([128, 64, 32], count)
    tables = tuple(
        t.model_copy(update={"dim": int(w)})
        for t, w in zip(meta_like(count, rng), widths, strict=True)
    )
    need = sum(t.rows * t.dim * 4 for t in tables) / 2**30
    whole = k % 2 == 0
    return ShardingSpec(
        tables=tables,
        devices=(DeviceGroup(count=devices, memory_gib=1.6 * need / devices + 1),),
        optimizer=Optimizer.SGD,
        memory_model=MemoryModel.WEIGHTS,
        constraints=Constraints(
            no_split=tuple(t.name for t in tables) if whole else (), min_shard_dim=32
        ),
    )
