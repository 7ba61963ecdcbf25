"""A job as the search sees it: tables read, constraints resolved, devices numbered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cost_models.sharding.fabric import fabric_of, profiles_of
from cost_models.sharding.hardware import HardwareProfile
from cost_models.sharding.problem import TableArrays
from cost_models.sharding.simulator import FabricModel
from search.domains.sharding.encode.items import GIB, NONE, Items, build_items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.parse.current_plan import InUse, map_current, start_plan
from search.types import InvalidInput
from trimtab.specs.sharding import PlanShard, ShardingSpec, Table, check_tables


@dataclass(frozen=True, kw_only=True)
class ShardingProblem:
    """What came, made ready."""

    spec: ShardingSpec
    tables: tuple[Table, ...]
    assumed: int  # tables without access statistics

    @cached_property
    def checked_arrays(self) -> TableArrays:
        """The tables in numbers for the check and the files: not the search's own arrays, and read once for both."""
        return TableArrays.of(
            self.tables, batch=self.spec.global_batch, optimizer=self.spec.optimizer
        )


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Arrays of one number of devices; a what-if has one of its own."""

    tables: tuple[Table, ...]
    arrays: TableArrays
    items: Items
    profiles: list[HardwareProfile]
    fabric: FabricModel
    capacity: np.ndarray  # (D,) bytes
    current: Plan | None
    home_device: np.ndarray | None  # (shards of the current plan + 1,)
    home: tuple[PlanShard, ...]  # shards of the current plan, as mapped to this job
    in_use: InUse | None
    read_s: float = 0.0  # seconds it took to make this


def parse(spec: ShardingSpec, inputs: Mapping[str, Path]) -> ShardingProblem:
    """Raises InvalidInput when the uploaded list of tables cannot be read or contradicts the constraints."""
    tables = spec.tables
    if spec.tables_file is not None:
        from search.domains.sharding.parse.tables_file import read_tables

        tables = read_tables(inputs["tables_file"], spec.tables_file.name)
        try:
            check_tables(tables)
            spec.check_constraints(tables)
        except ValueError as error:
            raise InvalidInput(f"tables_file: {error}") from error
    return ShardingProblem(
        spec=spec, tables=tables, assumed=sum(t.access is None for t in tables)
    )


def set_up(problem: ShardingProblem, arrays: TableArrays, spec: ShardingSpec) -> Setup:
    """Everything for the devices of `spec` (the job's own, or a what-if's). Raises InvalidInput."""
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
    capacity = np.array([g.memory_gib * GIB for g in spec.devices for _ in range(g.count)])
    return Setup(
        tables=problem.tables,
        arrays=arrays,
        items=items,
        profiles=profiles_of(spec.devices),
        fabric=fabric_of(spec.devices, spec.fabric),
        capacity=capacity,
        current=None
        if in_use is None
        else start_plan(problem.tables, items, in_use, capacity),
        home_device=None if in_use is None else np.append(in_use.device, NONE),
        home=home,
        in_use=in_use,
    )


def to_shards(setup: Setup, plan: Plan) -> tuple[PlanShard, ...]:
    """Columns for every shard: wide ones first, each table from column 0; pieces of a current shard within it."""
    items, tables = setup.items, setup.tables
    options = items.options
    found: list[PlanShard] = []
    free: dict[tuple[int, int], int] = {}  # (item, home) → next column
    order = np.lexsort(
        (plan.device, -options.width[plan.option], plan.home, options.item[plan.option])
    )
    for place in order:
        option, item, home = (
            int(plan.option[place]),
            int(options.item[plan.option[place]]),
            int(plan.home[place]),
        )
        for table in items.members[item]:
            alone = len(items.members[item]) == 1
            width = int(options.width[option]) if alone else tables[table].dim
            first = setup.home[home].offset if home != NONE and alone else 0
            offset = free.get((table, home), first)
            free[(table, home)] = offset + width
            found.append(
                PlanShard(
                    table=tables[table].name,
                    offset=offset,
                    width=width,
                    device=int(plan.device[place]),
                )
            )
    return tuple(found)
