"""Result files of a sharding job: plan.json, plan.svg and diff.txt."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from search.domains.sharding.constants import GIB
from search.domains.sharding.parse.problem import ShardingProblem
from search.domains.sharding.produce.diff import diff_plans, to_text
from search.domains.sharding.produce.picture import draw_plan
from search.domains.sharding.verify import priced, shard_memory
from search.types import Extra, Produced
from trimtab.specs.sharding import DeviceLoad, PlanShard, ShardingPlan


def produce(
    problem: ShardingProblem, shards: tuple[PlanShard, ...], cost_ms: float, workdir: Path
) -> list[Produced | Extra]:
    """Write plan.json; name plan.svg, and diff.txt when the job has a plan in use."""
    plan = describe(problem, shards, cost_ms)
    path = workdir / "plan.json"
    path.write_text(plan.model_dump_json(indent=1))
    files: list[Produced | Extra] = [
        Produced(name=path.name, path=path, media_type="application/json")
    ]
    files.append(
        Extra(
            name="plan.svg",
            write=lambda path: path.write_text(draw_plan(plan)),
            media_type="image/svg+xml",
        )
    )
    if (current := problem.spec.constraints.current_plan) != ():

        def write_difference(path: Path) -> None:
            path.write_text(to_text(diff_plans(problem.tables, current, shards)))

        files.append(
            Extra(name="diff.txt", write=write_difference, media_type="text/plain")
        )
    return files


def describe(
    problem: ShardingProblem, shards: tuple[PlanShard, ...], cost_ms: float
) -> ShardingPlan:
    """Describe the plan with the loads of each device, by the oracle."""
    spec = problem.spec
    tables = {t.name: t for t in problem.tables}
    step = priced(problem, shards)
    devices = spec.device_count
    device = np.array([s.device for s in shards])
    dims = np.bincount(
        device,
        weights=[s.width * tables[s.table].features for s in shards],
        minlength=devices,
    )
    memory = np.zeros(devices)
    for shard in shards:
        memory[shard.device] += shard_memory(tables[shard.table], shard.width, spec)
    count = np.bincount(device, minlength=devices)
    limits = [g.memory_gib * GIB for g in spec.devices for _ in range(g.count)]
    return ShardingPlan(
        cost_ms=cost_ms,
        global_batch=spec.global_batch,
        devices_per_node=spec.fabric.devices_per_node or spec.device_count,
        devices=tuple(
            DeviceLoad(
                device=d,
                compute_ms=float(step.compute_ms[d]),
                forward_ms=float(step.forward_ms[d]),
                backward_ms=float(step.backward_ms[d]),
                memory_bytes=int(memory[d]),
                memory_limit_bytes=int(limits[d]),
                dim=int(dims[d]),
                shards=int(count[d]),
            )
            for d in range(devices)
        ),
        shards=shards,
        tables=problem.tables,
    )
