"""All plans of a small job: partitions of each table on all permitted devices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from trimtab.specs.sharding import ShardingSpec, Table
from workers.bench.fuzz.sharding.draw import table_bytes
from workers.bench.fuzz.sharding.prices import Placed, Pricer

ANY_MULTIPLES_OF_4 = True
"""Partitions into any multiples of 4; False: those that repeated halving reaches."""
MAX_PLANS = 6_000


@dataclass(frozen=True, kw_only=True)
class Best:
    """Result of the enumeration."""

    plans: int  # that respect memory and constraints
    model_ms: float  # least cost under the certified model; infinite without a plan
    shards: tuple[Placed, ...]  # of that plan


def enumerable(spec: ShardingSpec) -> bool:
    """Return whether the job has at most MAX_PLANS plans, memory aside."""
    total = 1
    for group in _groups(spec):
        total *= _count(spec, group)
        if total > MAX_PLANS:
            return False
    return True


def best_plan(spec: ShardingSpec, pricer: Pricer) -> Best:
    """Return the cheapest permitted plan by the certified model.

    Permitted plans respect memory, pins, groups and widths.
    """
    devices = spec.device_count
    room = np.array([g.memory_gib * 2**30 for g in spec.devices for _ in range(g.count)])
    body = spec.model_dump(mode="json")
    memory, columns, used = (
        np.zeros((1, devices)),
        np.zeros((1, devices)),
        np.zeros((1, devices), dtype=bool),
    )
    pooled = np.zeros((1, devices, len(pricer.embedding(0, spec.tables[0].dim, 0))))
    choices: list[list[tuple[Placed, ...]]] = []
    path = np.zeros((1, 0), dtype=np.int64)
    for group in _groups(spec):
        ways = list(_ways(spec, group))
        choices.append(ways)
        m, c, u = (
            np.zeros((len(ways), devices)),
            np.zeros((len(ways), devices)),
            np.zeros((len(ways), devices), dtype=bool),
        )
        z = np.zeros((len(ways), *pooled.shape[1:]))
        priced: dict[Placed, tuple[float, np.ndarray]] = {}
        for w, way in enumerate(ways):
            for placed in way:
                table, width, device = placed
                if placed not in priced:
                    size = table_bytes(body, body["tables"][table], width)
                    priced[placed] = size, pricer.embedding(table, width, device)
                size, vector = priced[placed]
                m[w, device] += size
                z[w, device] += vector
                u[w, device] = True
            c[w] = pricer.columns(way)
        left, right = (
            x.ravel()
            for x in np.meshgrid(
                np.arange(len(memory)), np.arange(len(ways)), indexing="ij"
            )
        )
        memory = memory[left] + m[right]
        fits = (memory <= room * (1 + 1e-12)).all(1)
        left, right, memory = left[fits], right[fits], memory[fits]
        columns, used, pooled = (
            columns[left] + c[right],
            used[left] | u[right],
            pooled[left] + z[right],
        )
        path = np.column_stack([path[left], right])
        if not len(memory):
            return Best(plans=0, model_ms=math.inf, shards=())
    cost = pricer.model_ms(pooled, used, columns)
    best = int(cost.argmin())
    shards = tuple(
        p for ways, w in zip(choices, path[best], strict=True) for p in ways[int(w)]
    )
    return Best(plans=len(cost), model_ms=float(cost[best]), shards=shards)


def stays_whole(table: Table, spec: ShardingSpec) -> bool:
    """Return whether the constraints forbid splitting a table."""
    rules = spec.constraints
    return table.name in rules.no_split or any(
        table.name in group for group in rules.together
    )


def widths_of(table: Table, spec: ShardingSpec) -> list[tuple[int, ...]]:
    """Return the partitions of a table's columns that the constraints allow, widest part first."""
    rules = spec.constraints
    if stays_whole(table, spec):
        return [(table.dim,)]
    return [
        p
        for p in _partitions(table.dim // 4)
        if p == (table.dim,) or min(p) >= rules.min_shard_dim
    ]


@cache
def _partitions(units: int) -> list[tuple[int, ...]]:
    def parts(left: int, most: int) -> Iterator[tuple[int, ...]]:
        if not left:
            yield ()
        for part in range(min(left, most), 0, -1):
            for rest in parts(left - part, part):
                yield (4 * part, *rest)

    every = list(parts(units, units))
    return every if ANY_MULTIPLES_OF_4 else [p for p in every if _halved(4 * units, p)]


def _halved(dim: int, parts: tuple[int, ...]) -> bool:
    """Return whether repeated halving of `dim` gives `parts`.

    By Kraft: any parts that are dim / 2^k and add up to dim.
    """
    reachable = {dim}
    while dim % 8 == 0:
        dim //= 2
        reachable.add(dim)
    return set(parts) <= reachable


def _groups(spec: ShardingSpec) -> list[tuple[int, ...]]:
    number = {t.name: i for i, t in enumerate(spec.tables)}
    groups = [tuple(number[n] for n in group) for group in spec.constraints.together]
    grouped = {i for group in groups for i in group}
    return [*groups, *((i,) for i in range(len(spec.tables)) if i not in grouped)]


def _allowed(spec: ShardingSpec, group: Sequence[int]) -> list[int]:
    devices = set(range(spec.device_count))
    for pin in spec.constraints.pin:
        if any(spec.tables[i].name == pin.table for i in group):
            devices &= set(pin.devices)
    return sorted(devices)


def _count(spec: ShardingSpec, group: tuple[int, ...]) -> int:
    """Count the ways to place a group."""
    devices = len(_allowed(spec, group))
    if len(group) > 1:
        return devices
    table = spec.tables[group[0]]
    if table.dim > 64 and table.name not in spec.constraints.no_split:
        return MAX_PLANS + 1
    total = 0
    for parts in widths_of(table, spec):
        ways = 1
        for width in set(parts):
            ways *= math.comb(parts.count(width) + devices - 1, devices - 1)
        total += ways
    return total


def _ways(spec: ShardingSpec, group: tuple[int, ...]) -> Iterator[tuple[Placed, ...]]:
    """Yield the placements of a group; equal shards are interchangeable."""
    devices = _allowed(spec, group)
    if len(group) > 1:
        for device in devices:
            yield tuple((i, spec.tables[i].dim, device) for i in group)
        return
    number = group[0]

    def place(
        parts: tuple[int, ...], last: tuple[int, int]
    ) -> Iterator[tuple[Placed, ...]]:
        if not parts:
            yield ()
            return
        width = parts[0]
        for at, device in enumerate(devices):
            if width == last[0] and at < last[1]:
                continue
            for rest in place(parts[1:], (width, at)):
                yield ((number, width, device), *rest)

    for parts in widths_of(spec.tables[number], spec):
        yield from place(parts, (-1, 0))
