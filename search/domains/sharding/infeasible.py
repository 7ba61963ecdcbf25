"""Why nothing fits: a proof that names tables and the bytes that are missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.domains.sharding.certificate import cheapest_splits
from search.domains.sharding.problem import GIB, Setup


@dataclass(frozen=True, kw_only=True)
class Infeasible:
    """No plan exists: the argument, and how many bytes more it would take at least."""

    argument: str
    missing_bytes: float
    tables: tuple[str, ...]


def prove_infeasible(setup: Setup) -> Infeasible | None:
    """A proof by counting, or None when counting proves nothing (then `exact.pack` decides)."""
    items, capacity = setup.items, setup.capacity
    least, _ = cheapest_splits(items, items.options.memory, capacity)
    need = least[items.whole]  # (I,) bytes each item takes at least
    names = [", ".join(setup.tables[t].name for t in group) for group in items.members]
    for item in np.flatnonzero(~np.isfinite(need)):
        mine = items.options.item == item
        narrowest = float(items.options.memory[mine].min())
        return Infeasible(
            argument=f"table {names[item]!r}: its narrowest allowed shard ({int(items.options.width[mine].min())} columns) "
            f"takes {narrowest / GIB:.2f} GiB, the largest device has {capacity.max() / GIB:.2f} GiB; "
            "give larger devices, a narrower min_shard_dim, fp16, or allow splitting it",
            missing_bytes=narrowest - float(capacity.max()),
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
            largest = np.flatnonzero(confined)[np.argsort(-need[confined], kind="stable")][:5]
            where = "all devices" if mask.all() else f"devices {', '.join(map(str, np.flatnonzero(mask)))}"
            return Infeasible(
                argument=f"{int(confined.sum())} tables that must be on {where} take {wanted / GIB:.2f} GiB at least, "
                f"there are {room / GIB:.2f} GiB: {(wanted - room) / GIB:.2f} GiB are missing. Largest: "
                + "; ".join(f"{names[i]} {need[i] / GIB:.2f} GiB" for i in largest)
                + ". Give more devices or memory, fp16 tables, or (for memory_model 'training') a leaner optimizer",
                missing_bytes=wanted - room,
                tables=tuple(names[i] for i in largest),
            )
    return None
