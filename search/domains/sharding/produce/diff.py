"""What changes between the plan in use and a new one: columns and bytes that leave their device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trimtab.specs.sharding import PlanShard, Table

_SHOWN = 200


@dataclass(frozen=True, kw_only=True)
class TableChange:
    """One table that does not stay as it was."""

    table: str
    moved_columns: int
    moved_bytes: int
    old_shards: int  # 0: the old plan did not have it
    new_shards: int


@dataclass(frozen=True, kw_only=True)
class PlanDiff:
    """New against old. A column has moved when the device that holds that very column is another."""

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
    changes = []
    for name, table in by_table.items():
        before, after = old.get(name), fresh.get(name)
        if before is None or after is None:
            if before is not None or after is not None:
                counts = (_runs(before), _runs(after))
                changes.append(
                    TableChange(
                        table=name,
                        moved_columns=0,
                        moved_bytes=0,
                        old_shards=counts[0],
                        new_shards=counts[1],
                    )
                )
            continue
        moved = int((before != after).sum())
        if moved:
            size = moved * table.rows * table.dtype.bytes
            counts = (_runs(before), _runs(after))
            changes.append(
                TableChange(
                    table=name,
                    moved_columns=moved,
                    moved_bytes=size,
                    old_shards=counts[0],
                    new_shards=counts[1],
                )
            )
    changes.sort(key=lambda c: (-c.moved_bytes, c.table))
    return PlanDiff(
        changes=tuple(changes),
        unchanged=len(by_table) - len(changes),
        moved_bytes=sum(c.moved_bytes for c in changes),
        dropped=tuple(dict.fromkeys(s.table for s in current if s.table not in by_table)),
    )


def to_text(diff: PlanDiff) -> str:
    """For people: the total, then the tables that move most."""
    lines = [
        f"{diff.moved_bytes / 2**30:.3f} GiB of weights move; {diff.unchanged} tables stay, {len(diff.changes)} change"
    ]
    for change in diff.changes[:_SHOWN]:
        what = (
            "new"
            if not change.old_shards
            else f"{change.moved_columns} columns, {change.moved_bytes / 2**30:.3f} GiB"
        )
        lines.append(
            f"  {change.table}: {what}; shards {change.old_shards} -> {change.new_shards}"
        )
    if len(diff.changes) > _SHOWN:
        lines.append(f"  ... and {len(diff.changes) - _SHOWN} more")
    if diff.dropped:
        more = (
            f", ... and {len(diff.dropped) - _SHOWN} more"
            if len(diff.dropped) > _SHOWN
            else ""
        )
        lines.append(
            f"  no longer tables of this job: {', '.join(diff.dropped[:_SHOWN])}{more}"
        )
    return "\n".join(lines) + "\n"


def _columns(
    tables: dict[str, Table], shards: Iterable[PlanShard]
) -> dict[str, np.ndarray]:
    """Device of each column of each table; -1 where none holds it."""
    found: dict[str, np.ndarray] = defaultdict(lambda: np.empty(0, dtype=np.int64))
    for shard in shards:
        if shard.table not in tables:
            continue
        if shard.table not in found:
            found[shard.table] = np.full(tables[shard.table].dim, -1)
        found[shard.table][shard.offset : shard.offset + shard.width] = shard.device
    return found


def _runs(columns: np.ndarray | None) -> int:
    return (
        0 if columns is None or not len(columns) else 1 + int((np.diff(columns) != 0).sum())
    )
