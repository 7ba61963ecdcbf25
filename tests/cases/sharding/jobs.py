"""Sharding jobs of the cases: read, run through the whole pipeline, and the plans an engineer would write by hand."""

from __future__ import annotations

import json
import threading
from functools import cache
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.sharding import build
from search.domains.sharding.parse.problem import parse
from search.domains.sharding.verify import oracle_ms, verify_plan
from search.stop import StoppingCriterion, from_budget
from trimtab.results import RunResult, VerificationStatus
from trimtab.specs.sharding import PlanShard, ShardingPlan, ShardingSpec

INPUTS = Path(__file__).with_name("inputs")


def case(name: str, **more: Any) -> ShardingSpec:
    """The job of an input file."""
    spec = json.loads((INPUTS / f"{name}.json").read_text())["spec"]
    return ShardingSpec.model_validate({**spec, **more}, strict=False)


@cache
def domain() -> Any:
    return build()


def run(
    spec: ShardingSpec,
    folder: Path,
    *,
    seconds: float = 300.0,
    stop: StoppingCriterion | None = None,
) -> tuple[RunResult, ShardingPlan | None]:
    """The result, checked by the pipeline, and the plan it leaves."""
    stop = stop or from_budget({"seconds": seconds}, threading.Event())
    finished = pipeline.run(domain(), spec, inputs={}, workdir=folder, stop=stop, seed=0)
    plans = [p.path for p in finished.produced if p.name == "plan.json"]
    plan = (
        ShardingPlan.model_validate_json(plans[0].read_text(), strict=False)
        if plans
        else None
    )
    assert (
        finished.result.objective is None
        or finished.result.verification.status is VerificationStatus.VALID
    )
    return finished.result, plan


def level_by_hand(spec: ShardingSpec, order: list[str], widths: list[int]) -> float:
    """Milliseconds of the plan that gives every device one shard of each width, tables in `order` cut to serve it."""
    dim = {t.name: t.dim for t in spec.tables}
    left = iter(order)
    name, offset = next(left), 0
    shards: list[PlanShard] = []
    for width in widths:
        for device in range(spec.device_count):
            if offset >= dim[name]:
                name, offset = next(left), 0
            assert offset + width <= dim[name], "the widths divide the tables"
            shards.append(PlanShard(table=name, offset=offset, width=width, device=device))
            offset += width
    problem = parse(spec, {})
    cost = oracle_ms(problem, tuple(shards))
    assert verify_plan(problem, shards, cost).status is VerificationStatus.VALID
    return cost
