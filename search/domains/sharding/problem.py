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
from search.domains.sharding.items import GIB, NONE, Items, build_items
from search.domains.sharding.placement import Plan
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
        return TableArrays.of(self.tables, batch=self.spec.global_batch, optimizer=self.spec.optimizer)


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
    home: tuple[PlanShard, ...]
    read_s: float = 0.0  # seconds it took to make this


def parse(spec: ShardingSpec, inputs: Mapping[str, Path]) -> ShardingProblem:
    """Raises InvalidInput when the uploaded list of tables cannot be read or contradicts the constraints."""
    tables = spec.tables
    if spec.tables_file is not None:
        from search.domains.sharding.tables_file import read_tables

        tables = read_tables(inputs["tables_file"], spec.tables_file.name)
        try:
            check_tables(tables)
            spec.check_constraints(tables)
        except ValueError as error:
            raise InvalidInput(f"tables_file: {error}") from error
    return ShardingProblem(spec=spec, tables=tables, assumed=sum(t.access is None for t in tables))


def set_up(problem: ShardingProblem, arrays: TableArrays, spec: ShardingSpec) -> Setup:
    """Everything for the devices of `spec` (the job's own, or a what-if's). Raises InvalidInput."""
    items = build_items(
        problem.tables, arrays, spec.constraints, devices=spec.device_count, memory_model=spec.memory_model
    )
    capacity = np.array([g.memory_gib * GIB for g in spec.devices for _ in range(g.count)])
    current = _current(problem.tables, items, spec)
    home = spec.constraints.current_plan
    return Setup(
        tables=problem.tables,
        arrays=arrays,
        items=items,
        profiles=profiles_of(spec.devices),
        fabric=fabric_of(spec.devices, spec.fabric),
        capacity=capacity,
        current=current,
        home_device=np.array([*(s.device for s in home), NONE]) if current is not None else None,
        home=home,
    )


def _current(tables: tuple[Table, ...], items: Items, spec: ShardingSpec) -> Plan | None:
    """The user's plan as ours; tables it does not have yet go where its devices hold least."""
    shards = spec.constraints.current_plan
    if not shards:
        return None
    number = {t.name: i for i, t in enumerate(tables)}
    item_of = {table: item for item, group in enumerate(items.members) for table in group}
    options = items.options
    index = {(int(i), int(w)): o for o, (i, w) in enumerate(zip(options.item, options.width, strict=True))}
    option: list[int] = []
    device: list[int] = []
    home: list[int] = []
    grouped: dict[int, tuple[int, int]] = {}
    for place, shard in enumerate(shards):
        table = number[shard.table]
        item = item_of[table]
        if len(items.members[item]) > 1:
            if shard.width != tables[table].dim or grouped.get(item, (shard.device, 0))[0] != shard.device:
                names = ", ".join(repr(tables[t].name) for t in items.members[item])
                raise InvalidInput(
                    f"constraints.together wants {names} unsplit on one device, but current_plan has table {shard.table!r} "
                    "split or elsewhere; drop the group, or correct the plan"
                )
            grouped[item] = (shard.device, place)
            continue
        option.append(index[(item, shard.width)])
        device.append(shard.device)
        home.append(place)
    for item, (where, place) in grouped.items():
        option.append(int(items.whole[item]))
        device.append(where)
        home.append(place)
    seen = {number[s.table] for s in shards}
    memory = np.bincount(device, weights=options.memory[option], minlength=spec.device_count)
    for item, group in enumerate(items.members):
        if not any(t in seen for t in group):
            allowed = np.ones(len(memory), dtype=bool) if items.allowed is None else items.allowed[item]
            where = int(np.where(allowed, memory, np.inf).argmin())
            memory[where] += options.memory[items.whole[item]]
            option.append(int(items.whole[item]))
            device.append(where)
            home.append(NONE)
    return Plan.of(np.array(option), np.array(device), "current plan", home=np.array(home, dtype=np.int64))


def to_shards(setup: Setup, plan: Plan) -> tuple[PlanShard, ...]:
    """Columns for every shard: wide ones first, each table from column 0; pieces of a current shard within it."""
    items, tables = setup.items, setup.tables
    options = items.options
    found: list[PlanShard] = []
    free: dict[tuple[int, int], int] = {}  # (item, home) → next column
    order = np.lexsort((plan.device, -options.width[plan.option], plan.home, options.item[plan.option]))
    for place in order:
        option, item, home = int(plan.option[place]), int(options.item[plan.option[place]]), int(plan.home[place])
        for table in items.members[item]:
            alone = len(items.members[item]) == 1
            width = int(options.width[option]) if alone else tables[table].dim
            first = setup.home[home].offset if home != NONE and alone else 0
            offset = free.get((table, home), first)
            free[(table, home)] = offset + width
            found.append(
                PlanShard(table=tables[table].name, offset=offset, width=width, device=int(plan.device[place]))
            )
    return tuple(found)
