"""The plan in use as a plan over the job's options: the start of the search."""

from __future__ import annotations

import numpy as np

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items, options_by_width
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.parse.current_plan import InUse
from trimtab.specs.sharding import Table

_Row = tuple[int, int, int]  # option, device, home


def start_plan(
    tables: tuple[Table, ...], items: Items, in_use: InUse, capacity: np.ndarray
) -> Plan:
    """Return the plan in use over the options of the job.

    Shards without a home device go where most room is left, cut where they must be. The plan may
    not fit: devices may have become too small for the shards they hold.
    """
    number = {t.name: i for i, t in enumerate(tables)}
    item_of = {table: item for item, group in enumerate(items.members) for table in group}
    by_width = options_by_width(items)
    rows: list[_Row] = []
    seen: set[int] = set()
    for place, shard in enumerate(in_use.shards):
        item = item_of[number[shard.table]]
        grouped = len(items.members[item]) > 1
        if grouped and item in seen:
            continue
        seen.add(item)
        option = int(items.whole[item]) if grouped else by_width[item][shard.width]
        rows.append((option, int(in_use.device[place]), place))
    new = [item for item in range(len(items)) if item not in seen]
    rows += [(int(items.whole[item]), NONE, NONE) for item in new]
    return _first_fit(items, rows, capacity, by_width)


def _first_fit(
    items: Items,
    rows: list[_Row],
    capacity: np.ndarray,
    by_width: list[dict[int, int]],
) -> Plan:
    """Place displaced shards, largest first, where most room is left; cut what does not fit."""
    options = items.options
    placed = [row for row in rows if row[1] != NONE]
    room = capacity.astype(float).copy()
    for option, device, _ in placed:
        room[device] -= options.memory[option]
    displaced = (row for row in rows if row[1] == NONE)
    pending = sorted(displaced, key=lambda row: options.memory[row[0]])
    while pending:
        option, _, home = pending.pop()
        item, width = int(options.item[option]), int(options.width[option])
        allowed = (
            np.ones(len(room), dtype=bool)
            if items.allowed is None
            else items.allowed[item]
        )
        device = int(np.where(allowed, room, -np.inf).argmax())
        if options.memory[option] > room[device]:
            of_item = by_width[item]
            narrower = [w for w in of_item if w < width and width - w in of_item]
            fitting = [w for w in narrower if options.memory[of_item[w]] <= room[device]]
            if len(items.members[item]) == 1 and fitting:
                option = of_item[max(fitting)]
                pending.append((of_item[width - max(fitting)], NONE, home))
        room[device] -= options.memory[option]
        placed.append((option, device, home))
    table = np.array(placed, dtype=np.int64)
    return Plan.of(table[:, 0], table[:, 1], "current plan", home=table[:, 2])
