"""What a search places: items (a table, or tables that stay together) and the column shards they can become.

An item of width w can be halved again and again while the half is a multiple of 4 (FBGEMM) and not below the narrowest
shard allowed. Every set of shards the search can reach is the leaves of such halvings; equal shards are interchangeable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cost_models.sharding.problem import TableArrays, state_bytes_per_row
from search.types import InvalidInput
from trimtab.specs.sharding import MIN_SHARD_DIM, Constraints, MemoryModel, PlanShard, Table

NONE = -1


@dataclass(frozen=True, kw_only=True)
class Options:
    """O ways a shard can look. Rows of one item follow each other, widest first."""

    item: np.ndarray  # (O,) item
    width: np.ndarray  # (O,) columns of each table of the item
    half: np.ndarray  # (O,) the option of half the width, or NONE
    double: np.ndarray  # (O,) the option of twice the width, or NONE
    memory: np.ndarray  # (O,) bytes it takes on its device
    weight_bytes: np.ndarray  # (O,) bytes of weights alone: what moving it moves
    dim: np.ndarray  # (O,) output columns in all, one per feature and column: what the exchange moves
    lookups: np.ndarray  # (O,) look-ups of a batch
    member_option: np.ndarray  # (M,) flat list: option of each member shard
    member_table: np.ndarray  # (M,) its table

    def __len__(self) -> int:
        return len(self.item)

    def pool(self, of_members: np.ndarray) -> np.ndarray:
        """Sum members' rows into options.  (M, K) → (O, K)"""
        pooled = np.zeros((len(self), *of_members.shape[1:]))
        np.add.at(pooled, self.member_option, of_members)
        return pooled


@dataclass(frozen=True, kw_only=True)
class Items:
    """I items."""

    members: tuple[tuple[int, ...], ...]  # tables of each
    whole: np.ndarray  # (I,) the unsplit option of each
    allowed: np.ndarray | None  # (I, D) devices it may be on; None: any
    options: Options

    def __len__(self) -> int:
        return len(self.members)


def build_items(
    tables: tuple[Table, ...],
    arrays: TableArrays,
    constraints: Constraints,
    *,
    devices: int,
    memory_model: MemoryModel,
) -> Items:
    """Items and their options. Raises InvalidInput when a current plan's shard is narrower than FBGEMM allows."""
    number = {t.name: i for i, t in enumerate(tables)}
    grouped = [tuple(number[n] for n in group) for group in constraints.together]
    in_group = {i for group in grouped for i in group}
    members = [*grouped, *((i,) for i in range(len(tables)) if i not in in_group)]
    unsplit = {number[n] for n in constraints.no_split} | in_group
    extra = _widths_of(constraints.current_plan, number)

    rows: list[tuple[int, int]] = []  # (item, width)
    for place, group in enumerate(members):
        first = group[0]
        reachable = {tables[first].dim, *(w for w in extra.get(first, ()) if len(group) == 1)}
        widths = set(reachable) if first in unsplit else _halvings(reachable, constraints.min_shard_dim)
        rows += [(place, w) for w in sorted(widths, reverse=True)]
    index = {row: o for o, row in enumerate(rows)}
    item = np.array([r[0] for r in rows])
    width = np.array([r[1] for r in rows])
    splittable = np.array([members[i][0] not in unsplit for i in item])
    half = np.array(
        [
            index.get((i, w // 2), NONE) if ok and w % 2 == 0 else NONE
            for (i, w), ok in zip(rows, splittable, strict=True)
        ]
    )
    double = np.full(len(rows), NONE)
    double[half[half != NONE]] = np.flatnonzero(half != NONE)

    member_option = np.array([o for o, (i, _) in enumerate(rows) for _ in members[i]])
    member_table = np.array([t for i, _ in rows for t in members[i]])
    # A group is never split: its option's width stands for the first table only, each member keeps its own.
    member_width = np.array([w if len(members[i]) == 1 else tables[t].dim for i, w in rows for t in members[i]])
    total = np.zeros((4, len(rows)))
    memory = shard_bytes(arrays, member_table, member_width, memory_model)
    weights = shard_bytes(arrays, member_table, member_width, MemoryModel.WEIGHTS)
    for line, values in zip(
        total,
        (memory, weights, member_width * arrays.features[member_table], arrays.lookups[member_table]),
        strict=True,
    ):
        np.add.at(line, member_option, values)
    return Items(
        members=tuple(members),
        whole=np.array([index[(i, tables[group[0]].dim)] for i, group in enumerate(members)]),
        allowed=_allowed(members, tables, constraints, devices),
        options=Options(
            item=item,
            width=width,
            half=half,
            double=double,
            memory=total[0],
            weight_bytes=total[1],
            dim=total[2],
            lookups=total[3],
            member_option=member_option,
            member_table=member_table,
        ),
    )


def member_widths(items: Items, arrays: TableArrays) -> np.ndarray:
    """Width of each member shard.  # (M,)"""
    options = items.options
    alone = np.array([len(group) == 1 for group in items.members])[options.item[options.member_option]]
    return np.where(alone, options.width[options.member_option], arrays.dim[options.member_table])


def shard_bytes(arrays: TableArrays, table: np.ndarray, width: np.ndarray, model: MemoryModel) -> np.ndarray:
    """Bytes a shard takes on its device.  # (S,)

    `training` adds the optimizer's state and, for the whole batch, the indices and offsets that are looked up and the
    pooled output of each feature with its gradient in fp32.
    """
    weights = arrays.rows[table] * width * arrays.element_bytes[table]
    if model is MemoryModel.WEIGHTS:
        return np.asarray(weights, dtype=float)
    state = arrays.rows[table] * state_bytes_per_row(arrays.optimizer, width)
    outputs = 2.0 * arrays.batch * arrays.features[table] * width * 4
    return np.asarray(weights + state + outputs + arrays.index_bytes[table])


def _halvings(widths: set[int], narrowest: int) -> set[int]:
    found = set(widths)
    for start in widths:
        columns = start
        while columns % (2 * MIN_SHARD_DIM) == 0 and columns // 2 >= narrowest:
            columns //= 2
            found.add(columns)
    return found


def _widths_of(plan: tuple[PlanShard, ...], number: Mapping[str, int]) -> dict[int, set[int]]:
    widths: dict[int, set[int]] = {}
    for shard in plan:
        if shard.width % MIN_SHARD_DIM:
            raise InvalidInput(
                f"constraints.current_plan: a shard of table {shard.table!r} has width {shard.width}; widths are multiples "
                f"of {MIN_SHARD_DIM}; correct the plan or leave it out"
            )
        widths.setdefault(number[shard.table], set()).add(shard.width)
    return widths


def _allowed(
    members: list[tuple[int, ...]], tables: tuple[Table, ...], constraints: Constraints, devices: int
) -> np.ndarray | None:
    if not constraints.pin:
        return None
    pins = {p.table: p.devices for p in constraints.pin}
    allowed = np.ones((len(members), devices), dtype=bool)
    for item, group in enumerate(members):
        for table in group:
            if tables[table].name in pins:
                mask = np.zeros(devices, dtype=bool)
                mask[list(pins[tables[table].name])] = True
                allowed[item] &= mask
    return allowed
