"""Checks of a plan in use: the shards of each table must be a complete plan of that table.

Tables and devices that the job no longer has are allowed: they are the usual reason to plan again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.specs.sharding import PlanShard, Table

_MULTIPLE = 4  # FBGEMM requires widths that are multiples of 4


def check_current_plan(shards: Iterable[PlanShard], tables: Mapping[str, Table]) -> None:
    """Raise ValueError unless each table of the plan has every column exactly once.

    A table that the job no longer has may have any width.
    """
    by_table: dict[str, list[PlanShard]] = {}
    for shard in shards:
        by_table.setdefault(shard.table, []).append(shard)
    if by_table and not any(name in tables for name in by_table):
        raise ValueError(
            f"constraints.current_plan: none of its {len(by_table)} tables ({_some(by_table)}) "
            f"is in this job ({_some(tables)}); give the plan of these tables, or leave it out"
        )
    for name, own in by_table.items():
        _check_table(name, own, tables.get(name))


def _check_table(name: str, own: list[PlanShard], table: Table | None) -> None:
    field = "constraints.current_plan"
    own = sorted(own, key=lambda s: (s.offset, s.width))
    for shard in own:
        if shard.width % _MULTIPLE or shard.offset % _MULTIPLE:
            raise ValueError(
                f"{field}: table {name!r}: expected offsets and widths that are multiples of "
                f"{_MULTIPLE}, got offset {shard.offset} and width {shard.width}"
            )
    at = 0
    for before, shard in zip([None, *own], own, strict=False):
        end = shard.offset + shard.width
        if before is not None and (shard.offset, end) == (before.offset, at):
            raise ValueError(
                f"{field}: columns {_columns(shard.offset, end)} of table {name!r} are listed "
                f"twice, on devices {before.device} and {shard.device}; a column is on one "
                "device, give each shard once"
            )
        if shard.offset < at:
            raise ValueError(
                f"{field}: columns {_columns(shard.offset, min(at, end))} of table {name!r} are "
                "in two shards; give each column once"
            )
        if shard.offset > at:
            raise ValueError(
                f"{field}: no shard has columns {_columns(at, shard.offset)} of table {name!r}; "
                "give each column once"
            )
        at = end
    if table is not None and at < table.dim:
        raise ValueError(
            f"{field}: no shard has columns {_columns(at, table.dim)} of table {name!r}; give all "
            f"{table.dim} columns"
        )
    if table is not None and at > table.dim:
        raise ValueError(
            f"{field}: shards of table {name!r} have {at} columns, the table has {table.dim}; "
            "leave out the shards of a table whose width has changed: it is placed anew"
        )


def _columns(first: int, end: int) -> str:
    return f"{first} to {end - 1}"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
