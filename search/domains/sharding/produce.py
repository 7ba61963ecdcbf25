"""The files a sharding job leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cost_models.sharding.fabric import fabric_of, profiles_of
from cost_models.sharding.problem import Shards, TableArrays
from cost_models.sharding.simulator import compute_ms, step_cost
from search.domains.sharding.diff import diff_plans, to_text
from search.domains.sharding.picture import draw_plan
from search.domains.sharding.problem import GIB, ShardingProblem
from search.domains.sharding.verify import shard_memory
from search.types import Produced
from trimtab.specs.sharding import DeviceLoad, PlanShard, ShardingPlan


def produce(problem: ShardingProblem, shards: tuple[PlanShard, ...], cost_ms: float, workdir: Path) -> list[Produced]:
    """plan.json, plan.svg, and diff.txt when there was a plan before."""
    plan = describe(problem, shards, cost_ms)
    files = [
        _write(workdir / "plan.json", plan.model_dump_json(indent=1), "application/json"),
        _write(workdir / "plan.svg", draw_plan(plan), "image/svg+xml"),
    ]
    if (current := problem.spec.constraints.current_plan) != ():
        text = to_text(diff_plans(problem.tables, current, shards))
        files.append(_write(workdir / "diff.txt", text, "text/plain"))
    return files


def describe(problem: ShardingProblem, shards: tuple[PlanShard, ...], cost_ms: float) -> ShardingPlan:
    """The plan with what each device carries, by the oracle."""
    spec = problem.spec
    arrays = TableArrays.of(problem.tables, batch=spec.global_batch, optimizer=spec.optimizer)
    number = {t.name: i for i, t in enumerate(problem.tables)}
    table = np.array([number[s.table] for s in shards])
    width = np.array([s.width for s in shards])
    device = np.array([s.device for s in shards])
    profiles = profiles_of(spec.devices)
    compute = np.zeros(len(profiles))
    for profile in {p.name: p for p in profiles}.values():
        mine = np.array([p.name == profile.name for p in profiles])
        here = mine[device]
        rows = Shards(table=table[here], width=width[here], group=device[here], groups=len(profiles))
        compute[mine] = compute_ms(arrays, rows, profile).total_ms[mine]
    dims = np.bincount(device, weights=width, minlength=len(profiles))
    step = step_cost(compute, dims, spec.global_batch, fabric_of(spec.devices, spec.fabric))
    memory = np.zeros(len(profiles))
    for shard in shards:
        memory[shard.device] += shard_memory(problem.tables[number[shard.table]], shard.width, spec)
    count = np.bincount(device, minlength=len(profiles))
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
            for d in range(len(profiles))
        ),
        shards=shards,
        tables=problem.tables,
    )


def _write(path: Path, text: str, media_type: str) -> Produced:
    path.write_text(text)
    return Produced(name=path.name, path=path, media_type=media_type)
