"""Sharding jobs of the cases: build them, run them through the whole pipeline, plan by hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.sharding import build
from search.domains.sharding.domain import ShardingDomain
from search.domains.sharding.parse.problem import parse
from search.domains.sharding.search.models import Models, shipped
from search.domains.sharding.verify import oracle_ms, verify_plan
from search.stop import StoppingCriterion, from_budget
from trimtab.results import RunResult, VerificationStatus
from trimtab.specs.sharding import PlanShard, ShardingPlan, ShardingSpec

INPUTS = Path(__file__).with_name("inputs")


def spec_of(name: str) -> dict[str, Any]:
    """Return the spec of a request in `inputs`, as JSON."""
    return dict(json.loads((INPUTS / f"{name}.json").read_text())["spec"])


def case(name: str, **more: Any) -> ShardingSpec:
    """Return the job of a request in `inputs`."""
    return ShardingSpec.model_validate({**spec_of(name), **more}, strict=False)


@cache
def domain() -> ShardingDomain:
    return build()


@cache
def models() -> Models:
    return shipped()


def run(
    spec: ShardingSpec | Mapping[str, Any],
    folder: Path,
    *,
    seconds: float = 300.0,
    stop: StoppingCriterion | None = None,
) -> tuple[RunResult, ShardingPlan | None]:
    """Run a job; return the result, which the pipeline has checked, and the plan.

    The files are in `folder`.
    """
    if not isinstance(spec, ShardingSpec):
        spec = ShardingSpec.model_validate_json(json.dumps(spec))
    folder.mkdir(exist_ok=True)
    stop = stop or from_budget({"seconds": seconds}, threading.Event())
    finished = pipeline.run(domain(), spec, inputs={}, workdir=folder, stop=stop, seed=0)
    plans = [p.path for p in finished.produced if p.name == "plan.json"]
    plan = None
    if plans:
        plan = ShardingPlan.model_validate_json(plans[0].read_text(), strict=False)
    if finished.result.objective is not None:
        assert finished.result.verification.status is VerificationStatus.VALID
    return finished.result, plan


def tables(count: int = 4, **fields: Any) -> list[dict[str, Any]]:
    """Return equal tables t0, t1, ..."""
    return [
        {"name": f"t{i}", "rows": 100_000, "dim": 64, "pooling": 4.0, **fields}
        for i in range(count)
    ]


def devices(count: int, memory_gib: float = 8.0) -> list[dict[str, Any]]:
    """Return one group of equal devices."""
    return [{"count": count, "memory_gib": memory_gib, "hardware": "a100"}]


def shard(table: str, offset: int, width: int, device: int) -> dict[str, Any]:
    """Return one shard of a plan in use."""
    return {"table": table, "offset": offset, "width": width, "device": device}


def level_by_hand(spec: ShardingSpec, order: list[str], widths: list[int]) -> float:
    """Return the milliseconds of the plan with one shard of each width on every device.

    Tables are cut in `order`.
    """
    dim = {t.name: t.dim for t in spec.tables}
    left = iter(order)
    name, offset = next(left), 0
    shards: list[PlanShard] = []
    for width in widths:
        for device in range(spec.device_count):
            if offset >= dim[name]:
                name, offset = next(left), 0
            assert offset + width <= dim[name], "the widths divide the tables"
            shards.append(
                PlanShard(table=name, offset=offset, width=width, device=device)
            )
            offset += width
    problem = parse(spec, {})
    cost = oracle_ms(problem, tuple(shards))
    assert verify_plan(problem, shards, cost).status is VerificationStatus.VALID
    return cost
