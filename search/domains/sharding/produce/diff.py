"""Difference between the plan in use and a new one: columns and bytes that leave their device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from search.domains.sharding.constants import GIB
from trimtab.specs.sharding import PlanShard, Table

_SHOWN = 200  # tables listed by name


@dataclass(frozen=True, kw_only=True)
class TableChange:
    """A table that the new plan places differently."""

    table: str
    moved_columns: int
    moved_bytes: int
    old_shards: int  # 0: not in the old plan
    new_shards: int


@dataclass(frozen=True, kw_only=True)
class PlanDiff:
    """New plan against old. A column has moved when another device holds that very column."""

    changes: tuple[TableChange, ...]  # most bytes first
    unchanged: int
    moved_bytes: int
    dropped: tuple[str, ...] = ()  # tables of the old plan that are gone


def diff_plans(
    tables: Iterable[Table], current: Iterable[PlanShard], new: Iterable[PlanShard]
) -> PlanDiff:
    """Compare two plans of `tables`; tables that only the old plan has are listed as dropped."""
    by_table = {t.name: t for t in tables}
    current = tuple(current)
    old, fresh = _columns(by_table, current), _columns(by_table, new)
    changes = [
        change
        for name, table in by_table.items()
        if (change := _change(table, old.get(name), fresh.get(name))) is not None
    ]
    changes.sort(key=lambda c: (-c.moved_bytes, c.table))
    return PlanDiff(
        changes=tuple(changes),
        unchanged=len(by_table) - len(changes),
        moved_bytes=sum(c.moved_bytes for c in changes),
        dropped=tuple(dict.fromkeys(s.table for s in current if s.table not in by_table)),
    )


def to_text(diff: PlanDiff) -> str:
    """Write the difference as text: the total, then the tables that move most."""
    lines = [
        f"{diff.moved_bytes / GIB:.3f} GiB of weights move; "
        f"{diff.unchanged} tables stay, {len(diff.changes)} change"
    ]
    for change in diff.changes[:_SHOWN]:
        moved = f"{change.moved_columns} columns, {change.moved_bytes / GIB:.3f} GiB"
        if not change.old_shards:
            moved = "new"
        lines.append(
            f"  {change.table}: {moved}; shards {change.old_shards} -> {change.new_shards}"
        )
    if len(diff.changes) > _SHOWN:
        lines.append(f"  ... and {len(diff.changes) - _SHOWN} more")
    if diff.dropped:
        shown = ", ".join(diff.dropped[:_SHOWN])
        if len(diff.dropped) > _SHOWN:
            shown += f", ... and {len(diff.dropped) - _SHOWN} more"
        lines.append(f"  no longer tables of this job: {shown}")
    return "\n".join(lines) + "\n"


def _change(
    table: Table, before: np.ndarray | None, after: np.ndarray | None
) -> TableChange | None:
    """Compare the device of each column; None when nothing changes."""
    moved = 0
    if before is None or after is None:
        if before is after:
            return None
    elif not (moved := int((before != after).sum())):
        return None
    return TableChange(
        table=table.name,
        moved_columns=moved,
        moved_bytes=moved * table.rows * table.dtype.bytes,
        old_shards=_runs(before),
        new_shards=_runs(after),
    )


def _columns(
    tables: dict[str, Table], shards: Iterable[PlanShard]
) -> dict[str, np.ndarray]:
    """Return the device of each column of each table; -1 where none holds it."""
    devices: dict[str, np.ndarray] = {}
    for shard in shards:
        if shard.table not in tables:
            continue
        if shard.table not in devices:
            devices[shard.table] = np.full(tables[shard.table].dim, -1)
        devices[shard.table][shard.offset : shard.offset + shard.width] = shard.device
    return devices


def _runs(columns: np.ndarray | None) -> int:
    """Count the shards: runs of columns on one device."""
    if columns is None or not len(columns):
        return 0
    return 1 + int((np.diff(columns) != 0).sum())
