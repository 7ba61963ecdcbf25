"""The plan in use, mapped to the tables, devices and constraints of the job.

Tables that are gone are dropped. A shard on a device that is gone, or where a pin forbids it, has to move anyway: it keeps
its columns and loses its home, so that the search may place it at no charge. A table that may not be split, tables that
must be together, and shards narrower than `min_shard_dim` are joined where most of their bytes are. What these steps move
counts toward `max_moved_gib` first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, vstack

from search.domains.sharding.encode.items import NONE, Items
from search.domains.sharding.encode.plan import Plan, fits
from solvers.table import make_solver
from solvers.types import MilpModel, SolveParams
from trimtab.specs.sharding import PlanShard, ShardingSpec, Table

_MAX_COUNTS = 40_000  # integer variables of the repair; larger jobs rely on first fit


@dataclass(frozen=True, kw_only=True)
class InUse:
    """Shards that the job starts from, and what happened to the rest of the plan in use."""

    shards: tuple[
        PlanShard, ...
    ]  # columns as the job may keep them; every column of each table that was in use
    device: np.ndarray  # (shards,) home of each, or NONE where it must move
    dropped_tables: tuple[str, ...]
    lost_devices: tuple[int, ...]
    new_tables: tuple[str, ...]
    unavoidable_bytes: int  # on devices that are gone or forbidden by a pin
    forced_bytes: int  # unavoidable_bytes, and what joining moves

    def budget(self, limit_bytes: float) -> float:
        """Bytes that may leave their home beyond those that must; negative: even the forced ones exceed the limit."""
        return max(limit_bytes, self.unavoidable_bytes) - self.forced_bytes


def map_current(tables: tuple[Table, ...], spec: ShardingSpec) -> InUse | None:
    """Map the plan in use to the job; None without one."""
    current = spec.constraints.current_plan
    if not current:
        return None
    by_name = {t.name: t for t in tables}
    held: dict[str, list[PlanShard]] = {}
    for shard in sorted(current, key=lambda s: s.offset):
        held.setdefault(shard.table, []).append(shard)
    allowed = _Allowed(spec)
    groups = [*spec.constraints.together, *((name,) for name in spec.constraints.no_split)]
    joined = {name: group for group in reversed(groups) for name in group}
    homes = {group: _busiest(group, held, by_name, allowed) for group in groups}
    shards: list[PlanShard] = []
    device: list[int] = []
    unavoidable = forced = 0
    for name, own in held.items():
        if name not in by_name:
            continue
        table = by_name[name]
        if name in joined:
            home = homes[joined[name]]
            kept = [
                (
                    PlanShard(table=name, offset=0, width=table.dim, device=max(home, 0)),
                    home,
                )
            ]
        else:
            kept = list(
                _widened(own, min(spec.constraints.min_shard_dim, table.dim), allowed(name))
            )
        for shard, home in kept:
            shards.append(shard)
            device.append(home)
            forced += (
                table.rows
                * table.dtype.bytes
                * (shard.width - _columns_on(home, shard, own))
            )
        may = allowed(*joined.get(name, (name,)))
        unavoidable += (
            table.rows
            * table.dtype.bytes
            * sum(s.width for s in own if s.device not in may)
        )
    return InUse(
        shards=tuple(shards),
        device=np.array(device, dtype=np.int64),
        dropped_tables=tuple(name for name in held if name not in by_name),
        lost_devices=tuple(
            sorted({s.device for s in current if s.device >= spec.device_count})
        ),
        new_tables=tuple(t.name for t in tables if t.name not in held),
        unavoidable_bytes=unavoidable,
        forced_bytes=forced,
    )


def start_plan(
    tables: tuple[Table, ...], items: Items, in_use: InUse, capacity: np.ndarray
) -> Plan:
    """The plan in use as a plan of the job: what has no home goes where there is most room, cut up if it must be.

    It may not fit: the memory of devices may have become too small for what they hold.
    """
    number = {t.name: i for i, t in enumerate(tables)}
    item_of = {table: item for item, group in enumerate(items.members) for table in group}
    index = _options_by_width(items)
    rows: list[tuple[int, int, int]] = []  # option, device, home
    seen: set[int] = set()
    for place, shard in enumerate(in_use.shards):
        item = item_of[number[shard.table]]
        whole = len(items.members[item]) > 1
        if whole and item in seen:
            continue
        seen.add(item)
        option = int(items.whole[item]) if whole else index[item][shard.width]
        rows.append((option, int(in_use.device[place]), place))
    rows += [
        (int(items.whole[item]), NONE, NONE)
        for item in range(len(items))
        if item not in seen
    ]
    return _first_fit(items, rows, capacity, index)


def least_moving_plan(
    items: Items,
    plan: Plan,
    home_device: np.ndarray,
    capacity: np.ndarray,
    *,
    seconds: float,
) -> Plan | None:
    """The plan that fits and moves fewest bytes away from home, among cuts of the shards of `plan`; None: none found."""
    options, devices = items.options, len(capacity)
    index = _options_by_width(items)
    # Shards cut from one home, or one new item, are filled together.
    keys = [
        (int(h), int(options.item[o])) for o, h in zip(plan.option, plan.home, strict=True)
    ]
    parts = list(dict.fromkeys(keys))
    width = {key: 0 for key in parts}
    for key, option in zip(keys, plan.option, strict=True):
        width[key] += int(options.width[option])
    cuts = [
        (p, o)
        for p, key in enumerate(parts)
        for w, o in index[key[1]].items()
        if w <= width[key]
    ]
    if len(cuts) * devices > _MAX_COUNTS:
        return None
    part, option = (
        np.repeat(np.array(column), devices) for column in zip(*cuts, strict=True)
    )
    device = np.tile(np.arange(devices), len(cuts))
    every = np.arange(len(device))
    total = np.array([float(width[key]) for key in parts])
    home = home_device[np.array([key[0] for key in parts])][part]
    away = (home != NONE) & (home != device)
    may = options.memory[option] <= capacity[device]
    if items.allowed is not None:
        may &= items.allowed[options.item[option], device]
    memory = coo_matrix(
        (options.memory[option] / capacity[device], (device, every)),
        shape=(devices, len(every)),
    )
    cover = coo_matrix(
        (options.width[option].astype(float), (part, every)), shape=(len(parts), len(every))
    )
    matrix = vstack([memory, cover]).tocsr()
    scale = max(float(options.weight_bytes.max()), 1.0)
    solved = make_solver("highs").solve(
        MilpModel(
            c=options.weight_bytes[option] / scale * away
            + 1e-6,  # of equal ones, fewer shards
            col_lower=np.zeros(len(every)),
            col_upper=np.where(may, total[part] // options.width[option], 0.0),
            integrality=np.ones(len(every), dtype=bool),
            indptr=matrix.indptr.astype(np.int32),
            indices=matrix.indices.astype(np.int32),
            data=matrix.data,
            row_lower=np.concatenate([np.full(devices, -np.inf), total]),
            row_upper=np.concatenate([np.ones(devices), total]),
        ),
        SolveParams(time_limit_s=seconds, threads=1),
    )
    if solved.x is None:
        return None
    times = np.round(solved.x).astype(int)
    homes = np.array([key[0] for key in parts], dtype=np.int64)[part]
    repaired = Plan.of(
        np.repeat(option, times),
        np.repeat(device, times),
        "current plan, repaired",
        home=np.repeat(homes, times),
    )
    return repaired if fits(items, repaired, capacity) else None


def moved_bytes(items: Items, plan: Plan, home_device: np.ndarray) -> float:
    """Bytes of weights away from home."""
    home = home_device[plan.home]
    return float(
        items.options.weight_bytes[plan.option] @ ((home != NONE) & (home != plan.device))
    )


class _Allowed:
    """Devices that tables may be on, by the pins."""

    def __init__(self, spec: ShardingSpec) -> None:
        self._every = frozenset(range(spec.device_count))
        self._pins = {p.table: self._every & set(p.devices) for p in spec.constraints.pin}

    def __call__(self, *names: str) -> frozenset[int]:
        """Devices that all of `names` may be on."""
        return self._every.intersection(*(self._pins[n] for n in names if n in self._pins))


def _busiest(
    group: tuple[str, ...],
    held: dict[str, list[PlanShard]],
    tables: dict[str, Table],
    allowed: _Allowed,
) -> int:
    """The allowed device that holds most bytes of the group; NONE when none does."""
    may = allowed(*group)
    size: dict[int, int] = {}
    for name in group:
        for shard in held.get(name, ()):
            if shard.device in may:
                column = tables[name].rows * tables[name].dtype.bytes
                size[shard.device] = size.get(shard.device, 0) + column * shard.width
    return max(size, key=lambda d: (size[d], -d)) if size else NONE


def _widened(
    own: list[PlanShard], least: int, may: frozenset[int]
) -> Iterator[tuple[PlanShard, int]]:
    """Shards of a table and their homes, neighbours joined until each has `least` columns."""
    runs: list[list[PlanShard]] = [[]]
    for shard in own:
        if sum(s.width for s in runs[-1]) >= least:
            runs.append([])
        runs[-1].append(shard)
    if len(runs) > 1 and sum(s.width for s in runs[-1]) < least:
        runs[-2:] = [[*runs[-2], *runs[-1]]]
    for run in runs:
        columns: dict[int, int] = {}
        for shard in run:
            if shard.device in may:
                columns[shard.device] = columns.get(shard.device, 0) + shard.width
        home = max(columns, key=lambda d: (columns[d], -d)) if columns else NONE
        width = sum(s.width for s in run)
        yield (
            PlanShard(
                table=run[0].table, offset=run[0].offset, width=width, device=max(home, 0)
            ),
            home,
        )


def _columns_on(device: int, shard: PlanShard, own: list[PlanShard]) -> int:
    """Columns of `shard` that the plan in use has on `device`."""
    return sum(
        max(
            0,
            min(shard.offset + shard.width, s.offset + s.width)
            - max(shard.offset, s.offset),
        )
        for s in own
        if s.device == device
    )


def _options_by_width(items: Items) -> list[dict[int, int]]:
    index: list[dict[int, int]] = [{} for _ in range(len(items))]
    for option, (item, width) in enumerate(
        zip(items.options.item, items.options.width, strict=True)
    ):
        index[int(item)][int(width)] = option
    return index


def _first_fit(
    items: Items,
    rows: list[tuple[int, int, int]],
    capacity: np.ndarray,
    index: list[dict[int, int]],
) -> Plan:
    """Place what has no device, largest first, where most room is left; cut what fits nowhere."""
    options = items.options
    placed = [row for row in rows if row[1] != NONE]
    room = capacity.astype(float).copy()
    for option, device, _ in placed:
        room[device] -= options.memory[option]
    pending = sorted(
        (row for row in rows if row[1] == NONE), key=lambda row: options.memory[row[0]]
    )
    while pending:
        option, _, home = pending.pop()
        item, width = int(options.item[option]), int(options.width[option])
        allowed = (
            np.ones(len(room), dtype=bool) if items.allowed is None else items.allowed[item]
        )
        device = int(np.where(allowed, room, -np.inf).argmax())
        if options.memory[option] > room[device]:
            narrower = [w for w in index[item] if w < width and width - w in index[item]]
            held = [w for w in narrower if options.memory[index[item][w]] <= room[device]]
            if len(items.members[item]) == 1 and held:
                option = index[item][max(held)]
                pending.append((index[item][width - max(held)], NONE, home))
        room[device] -= options.memory[option]
        placed.append((option, device, home))
    table = np.array(placed, dtype=np.int64)
    return Plan.of(table[:, 0], table[:, 1], "current plan", home=table[:, 2])
