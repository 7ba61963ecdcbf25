"""Map the plan in use to the tables, devices and constraints of the job.

Tables that are gone are dropped. A shard on a device that is gone, or where a pin forbids it, must
move: it keeps its columns and has no home device, so the search places it without charge. Tables
that may not be split, tables that must be together, and shards narrower than `min_shard_dim` are
joined on the device that holds most of their bytes. The bytes these steps move count toward
`max_moved_gib` first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from search.domains.sharding.constants import NONE
from trimtab.specs.sharding import PlanShard, ShardingSpec, Table


@dataclass(frozen=True, kw_only=True)
class InUse:
    """The plan in use, mapped to a job, and what of it could not be mapped."""

    # Columns as the job may keep them; they cover each table that was in use.
    shards: tuple[PlanShard, ...]
    device: np.ndarray  # (shards,) home device of each, or NONE where it must move
    dropped_tables: tuple[str, ...]
    lost_devices: tuple[int, ...]
    new_tables: tuple[str, ...]
    unavoidable_bytes: int  # on devices that are gone or forbidden by a pin
    forced_bytes: int  # unavoidable_bytes, and the bytes that joining moves

    def budget(self, limit_bytes: float) -> float:
        """Return the bytes that may leave home beyond the forced ones.

        Negative when the forced bytes alone exceed the limit.
        """
        return max(limit_bytes, self.unavoidable_bytes) - self.forced_bytes


def map_current(tables: tuple[Table, ...], spec: ShardingSpec) -> InUse | None:
    """Map the plan in use to the job; None without one."""
    current = spec.constraints.current_plan
    if not current:
        return None
    by_name = {t.name: t for t in tables}
    old: dict[str, list[PlanShard]] = {}
    for shard in sorted(current, key=lambda s: s.offset):
        old.setdefault(shard.table, []).append(shard)
    allowed = _Allowed(spec)
    groups = [
        *spec.constraints.together,
        *((name,) for name in spec.constraints.no_split),
    ]
    group_of = {name: group for group in reversed(groups) for name in group}
    homes = {group: _busiest(group, old, by_name, allowed) for group in groups}
    shards: list[PlanShard] = []
    device: list[int] = []
    unavoidable = forced = 0
    for name, own in old.items():
        if name not in by_name:
            continue
        table = by_name[name]
        column_bytes = table.rows * table.dtype.bytes
        if name in group_of:
            home = homes[group_of[name]]
            whole = PlanShard(table=name, offset=0, width=table.dim, device=max(home, 0))
            mapped = [(whole, home)]
        else:
            least = min(spec.constraints.min_shard_dim, table.dim)
            mapped = list(_widened(own, least, allowed(name)))
        for shard, home in mapped:
            shards.append(shard)
            device.append(home)
            forced += column_bytes * (shard.width - _columns_on(home, shard, own))
        permitted = allowed(*group_of.get(name, (name,)))
        stranded = sum(s.width for s in own if s.device not in permitted)
        unavoidable += column_bytes * stranded
    lost = {s.device for s in current if s.device >= spec.device_count}
    return InUse(
        shards=tuple(shards),
        device=np.array(device, dtype=np.int64),
        dropped_tables=tuple(name for name in old if name not in by_name),
        lost_devices=tuple(sorted(lost)),
        new_tables=tuple(t.name for t in tables if t.name not in old),
        unavoidable_bytes=unavoidable,
        forced_bytes=forced,
    )


class _Allowed:
    """Devices that tables may be on, by the pins."""

    def __init__(self, spec: ShardingSpec) -> None:
        self._every = frozenset(range(spec.device_count))
        self._pins = {p.table: self._every & set(p.devices) for p in spec.constraints.pin}

    def __call__(self, *names: str) -> frozenset[int]:
        """Return the devices that all of `names` may be on."""
        return self._every.intersection(
            *(self._pins[n] for n in names if n in self._pins)
        )


def _busiest(
    group: tuple[str, ...],
    old: dict[str, list[PlanShard]],
    tables: dict[str, Table],
    allowed: _Allowed,
) -> int:
    """Return the allowed device that holds most bytes of the group; NONE when none does."""
    permitted = allowed(*group)
    size: dict[int, int] = {}
    for name in group:
        for shard in old.get(name, ()):
            if shard.device in permitted:
                column_bytes = tables[name].rows * tables[name].dtype.bytes
                size[shard.device] = (
                    size.get(shard.device, 0) + column_bytes * shard.width
                )
    return max(size, key=lambda d: (size[d], -d)) if size else NONE


def _widened(
    own: list[PlanShard], least: int, permitted: frozenset[int]
) -> Iterator[tuple[PlanShard, int]]:
    """Join neighbouring shards of a table until each has `least` columns; yield (shard, home)."""
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
            if shard.device in permitted:
                columns[shard.device] = columns.get(shard.device, 0) + shard.width
        home = max(columns, key=lambda d: (columns[d], -d)) if columns else NONE
        joined = PlanShard(
            table=run[0].table,
            offset=run[0].offset,
            width=sum(s.width for s in run),
            device=max(home, 0),
        )
        yield joined, home


def _columns_on(device: int, shard: PlanShard, own: list[PlanShard]) -> int:
    """Count the columns of `shard` that the plan in use has on `device`."""
    end = shard.offset + shard.width
    return sum(
        max(0, min(end, s.offset + s.width) - max(shard.offset, s.offset))
        for s in own
        if s.device == device
    )
