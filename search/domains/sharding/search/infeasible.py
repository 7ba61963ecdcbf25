"""Why nothing fits: a proof over every cut into multiples of 4 columns, with tables and the bytes that are missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.domains.sharding.constants import GIB
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.setup import Setup
from trimtab.specs.sharding import MIN_SHARD_DIM


@dataclass(frozen=True, kw_only=True)
class Infeasible:
    """No plan exists: the argument, and how many bytes more it would take at least."""

    argument: str
    missing_bytes: float
    tables: tuple[str, ...]


def prove_infeasible(setup: Setup) -> Infeasible | None:
    """A proof by counting, or None when counting proves nothing (then `exact.pack` decides)."""
    items, capacity = setup.items, setup.capacity
    need = least_bytes(items, capacity)  # (I,) bytes each item takes at least
    names = [", ".join(setup.tables[t].name for t in group) for group in items.members]
    for item in np.flatnonzero(~np.isfinite(need)):
        where = (
            np.ones(len(capacity), dtype=bool)
            if items.allowed is None
            else items.allowed[item]
        )
        columns, room = int(items.narrowest[item]), float(capacity[where].max())
        per_row, per_column = affine_bytes(items, int(item))
        narrowest = per_row + per_column * columns
        on = "the largest device" if where.all() else "the largest device it may be on"
        shards = f"its narrowest allowed shard ({columns} columns) takes {narrowest / GIB:.2f} GiB"
        if narrowest <= room:  # one fits, but too few of them to hold all columns
            shards = (
                f"no cut into shards of {columns} columns or more has only shards that fit"
            )
        return Infeasible(
            argument=f"table {names[item]!r}: {shards}, {on} has {room / GIB:.2f} GiB; "
            "give larger devices, a narrower min_shard_dim, fp16, or allow splitting it",
            missing_bytes=max(0.0, narrowest - room),
            tables=(names[item],),
        )
    masks = [np.ones(len(capacity), dtype=bool)]
    if items.allowed is not None:
        masks += list(np.unique(items.allowed, axis=0))
    for mask in masks:
        # Hall's condition: what may only be on these devices must fit on them.
        confined = np.ones(len(need), dtype=bool)
        if items.allowed is not None:
            confined = np.asarray(~(items.allowed & ~mask).any(1))
        wanted, room = float(need[confined].sum()), float(capacity[mask].sum())
        if wanted > room:
            largest = np.flatnonzero(confined)[np.argsort(-need[confined], kind="stable")][
                :5
            ]
            where = (
                "all devices"
                if mask.all()
                else f"devices {', '.join(map(str, np.flatnonzero(mask)))}"
            )
            return Infeasible(
                argument=f"{int(confined.sum())} tables that must be on {where} take {wanted / GIB:.2f} GiB at least, "
                f"there are {room / GIB:.2f} GiB: {(wanted - room) / GIB:.2f} GiB are missing. Largest: "
                + "; ".join(f"{names[i]} {need[i] / GIB:.2f} GiB" for i in largest)
                + ". Give more devices or memory, fp16 tables, or (for memory_model 'training') a leaner optimizer",
                missing_bytes=wanted - room,
                tables=tuple(names[i] for i in largest),
            )
    return None


def least_bytes(items: Items, capacity: np.ndarray) -> np.ndarray:
    """Bytes each item takes at least over every cut into multiples of 4 columns; infinite when no cut fits.  # (I,)

    A shard takes a constant (optimizer state per row) and a rate per column, so the fewest shards take least.
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
    """Bytes of a shard of an item: of having one at all, and per column."""
    options, whole = items.options, int(items.whole[item])
    width = int(options.width[whole])
    if whole + 1 < len(options) and options.item[whole + 1] == item:
        other = whole + 1
        rate = (options.memory[whole] - options.memory[other]) / (
            width - options.width[other]
        )
        return float(max(0.0, options.memory[whole] - rate * width)), float(rate)
    return float(options.memory[whole]), 0.0
