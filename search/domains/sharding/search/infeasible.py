"""Prove by counting bytes that no plan fits, over every cut into multiples of 4 columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.domains.sharding.constants import GIB
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.setup import Setup
from trimtab.specs.sharding import MIN_SHARD_DIM


@dataclass(frozen=True, kw_only=True)
class Infeasible:
    """Proof that no plan exists."""

    argument: str
    missing_bytes: float  # at least
    tables: tuple[str, ...]


def prove_infeasible(setup: Setup) -> Infeasible | None:
    """Return a proof by counting; None without one (`packing.pack` decides then)."""
    items, capacity = setup.items, setup.capacity
    need = least_bytes(items, capacity)  # (I,) bytes each item takes at least
    names = [", ".join(setup.tables[t].name for t in group) for group in items.members]
    too_large = np.flatnonzero(~np.isfinite(need))
    if len(too_large):
        return _too_large(items, capacity, int(too_large[0]), names[too_large[0]])
    masks = [np.ones(len(capacity), dtype=bool)]
    if items.allowed is not None:
        masks += list(np.unique(items.allowed, axis=0))
    for mask in masks:
        # Hall's condition: items confined to these devices must fit on them.
        confined = np.ones(len(need), dtype=bool)
        if items.allowed is not None:
            confined = np.asarray(~(items.allowed & ~mask).any(1))
        if float(need[confined].sum()) > float(capacity[mask].sum()):
            return _too_many(need, confined, capacity, mask, names)
    return None


def _too_large(items: Items, capacity: np.ndarray, item: int, name: str) -> Infeasible:
    """Explain that no cut of an item has only shards that fit."""
    where = np.ones(len(capacity), dtype=bool)
    if items.allowed is not None:
        where = items.allowed[item]
    columns, room = int(items.narrowest[item]), float(capacity[where].max())
    per_row, per_column = affine_bytes(items, item)
    narrowest = per_row + per_column * columns
    device = "the largest device" if where.all() else "the largest device it may be on"
    shards = (
        f"its narrowest allowed shard ({columns} columns) takes {narrowest / GIB:.2f} GiB"
    )
    if narrowest <= room:  # one fits, but too few of them to hold all columns
        shards = (
            f"no cut into shards of {columns} columns or more has only shards that fit"
        )
    return Infeasible(
        argument=f"table {name!r}: {shards}, {device} has {room / GIB:.2f} GiB; "
        "give larger devices, a narrower min_shard_dim, fp16, or allow splitting it",
        missing_bytes=max(0.0, narrowest - room),
        tables=(name,),
    )


def _too_many(
    need: np.ndarray,
    confined: np.ndarray,
    capacity: np.ndarray,
    mask: np.ndarray,
    names: list[str],
) -> Infeasible:
    """Explain that the items confined to a set of devices take more bytes than it has."""
    total, room = float(need[confined].sum()), float(capacity[mask].sum())
    by_size = np.argsort(-need[confined], kind="stable")
    largest = np.flatnonzero(confined)[by_size][:5]
    where = "all devices"
    if not mask.all():
        where = f"devices {', '.join(map(str, np.flatnonzero(mask)))}"
    shown = "; ".join(f"{names[i]} {need[i] / GIB:.2f} GiB" for i in largest)
    return Infeasible(
        argument=f"{int(confined.sum())} tables that must be on {where} take at least "
        f"{total / GIB:.2f} GiB, there are {room / GIB:.2f} GiB: {(total - room) / GIB:.2f} GiB "
        f"are missing. Largest: {shown}. Give more devices or memory, fp16 tables, or "
        "(for memory_model 'training') a leaner optimizer",
        missing_bytes=total - room,
        tables=tuple(names[i] for i in largest),
    )


def least_bytes(items: Items, capacity: np.ndarray) -> np.ndarray:
    """Return (I,) the least bytes of each item over every cut into multiples of 4 columns.

    Infinite when no cut fits. A shard takes a constant (optimizer state per row) and a rate per
    column, so the fewest shards take least.
    """
    options = items.options
    need = np.full(len(items), np.inf)
    for item, whole in enumerate(items.whole):
        room = float(
            capacity.max()
            if items.allowed is None
            else capacity[items.allowed[item]].max(initial=0.0)
        )
        if options.memory[whole] <= room:
            need[item] = options.memory[whole]
            continue
        width, least = int(options.width[whole]), int(items.narrowest[item])
        if least >= width:
            continue
        per_row, per_column = affine_bytes(items, item)
        widest = (
            int((room - per_row) / (per_column * MIN_SHARD_DIM) * (1 + 1e-12))
            * MIN_SHARD_DIM
        )
        if widest < MIN_SHARD_DIM:
            continue
        shards = -(-width // widest)
        if shards * least <= width:
            need[item] = shards * per_row + width * per_column
    return need


def affine_bytes(items: Items, item: int) -> tuple[float, float]:
    """Return the bytes of a shard of an item: a constant, and the bytes per column."""
    options, whole = items.options, int(items.whole[item])
    width = int(options.width[whole])
    if whole + 1 < len(options) and options.item[whole + 1] == item:
        other = whole + 1
        rate = (options.memory[whole] - options.memory[other]) / (
            width - options.width[other]
        )
        return float(max(0.0, options.memory[whole] - rate * width)), float(rate)
    return float(options.memory[whole]), 0.0
