"""Set up a job for one number of devices: items, options, device profiles and memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.sharding.fabric import fabric_of
from cost_models.sharding.hardware import HardwareProfile
from cost_models.sharding.problem import TableArrays
from cost_models.sharding.simulator import FabricModel
from search.domains.sharding.constants import GIB, NONE
from search.domains.sharding.encode.current_plan import start_plan
from search.domains.sharding.encode.items import Items, build_items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.parse.current_plan import InUse, map_current
from search.domains.sharding.parse.problem import ShardingProblem
from trimtab.specs.sharding import PlanShard, ShardingSpec, Table


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Arrays of a job for one number of devices; each what-if has one of its own."""

    tables: tuple[Table, ...]
    arrays: TableArrays
    items: Items
    profiles: list[HardwareProfile]  # (D,)
    fabric: FabricModel
    capacity: np.ndarray  # (D,) bytes
    current: Plan | None
    home_device: np.ndarray | None  # (shards of the current plan + 1,) NONE at the end
    home: tuple[PlanShard, ...]  # shards of the current plan, as mapped to this job
    in_use: InUse | None
    read_s: float = 0.0  # seconds that the set-up took


def set_up(
    problem: ShardingProblem,
    *,
    arrays: TableArrays | None = None,
    spec: ShardingSpec | None = None,
) -> Setup:
    """Set up the job, or a what-if of it. Raises InvalidInput.

    arrays: the tables as arrays, where another set-up of the job has them already.
    spec: devices and constraints of the what-if; None: the job's own.
    """
    spec = problem.spec if spec is None else spec
    if arrays is None:
        arrays = TableArrays.of(
            problem.tables, batch=spec.global_batch, optimizer=spec.optimizer
        )
    in_use = map_current(problem.tables, spec)
    home = () if in_use is None else in_use.shards
    rules = spec.constraints.model_copy(update={"current_plan": home})
    items = build_items(
        problem.tables,
        arrays,
        rules,
        devices=spec.device_count,
        memory_model=spec.memory_model,
    )
    capacity = np.array(
        [g.memory_gib * GIB for g in spec.devices for _ in range(g.count)]
    )
    current = None
    if in_use is not None:
        current = start_plan(problem.tables, items, in_use, capacity)
    return Setup(
        tables=problem.tables,
        arrays=arrays,
        items=items,
        profiles=problem.profiles(spec.devices),
        fabric=fabric_of(spec.devices, spec.fabric),
        capacity=capacity,
        current=current,
        home_device=None if in_use is None else np.append(in_use.device, NONE),
        home=home,
        in_use=in_use,
    )
