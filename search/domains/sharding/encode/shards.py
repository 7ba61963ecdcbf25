"""Convert between a plan over options and the shards of the wire format."""

from __future__ import annotations

import numpy as np

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import options_by_width
from search.domains.sharding.encode.plan import Plan, fits
from search.domains.sharding.encode.setup import Setup
from trimtab.specs.sharding import PlanShard


def to_shards(setup: Setup, plan: Plan) -> tuple[PlanShard, ...]:
    """Give every shard its columns: wide shards first, each table from column 0.

    Pieces of a shard of the current plan get columns of that shard.
    """
    items, tables = setup.items, setup.tables
    options = items.options
    shards: list[PlanShard] = []
    next_column: dict[tuple[int, int], int] = {}  # of (table, home)
    order = np.lexsort(
        (plan.device, -options.width[plan.option], plan.home, options.item[plan.option])
    )
    for place in order:
        option, home = int(plan.option[place]), int(plan.home[place])
        members = items.members[int(options.item[option])]
        for table in members:
            alone = len(members) == 1
            width = int(options.width[option]) if alone else tables[table].dim
            first = setup.home[home].offset if home != NONE and alone else 0
            offset = next_column.get((table, home), first)
            next_column[table, home] = offset + width
            shards.append(
                PlanShard(
                    table=tables[table].name,
                    offset=offset,
                    width=width,
                    device=int(plan.device[place]),
                )
            )
    return tuple(shards)


def from_shards(setup: Setup, shards: tuple[PlanShard, ...], source: str) -> Plan | None:
    """Return the plan over this setup's options.

    None when a shard is no option, or the plan does not fit.
    """
    items = setup.items
    number = {table.name: i for i, table in enumerate(setup.tables)}
    item_of = {table: item for item, group in enumerate(items.members) for table in group}
    by_width = options_by_width(items)
    option: list[int] = []
    device: list[int] = []
    grouped: dict[int, int] = {}
    for shard in shards:
        table = number.get(shard.table)
        if table is None or not 0 <= shard.device < len(setup.capacity):
            return None
        item = item_of[table]
        if len(items.members[item]) > 1:
            grouped[item] = shard.device
            continue
        place = by_width[item].get(shard.width)
        if place is None:
            return None
        option.append(place)
        device.append(shard.device)
    for item, group_device in grouped.items():
        option.append(int(items.whole[item]))
        device.append(group_device)
    if not option:
        return None
    plan = Plan.of(np.array(option), np.array(device), source)
    return plan if fits(items, plan, setup.capacity) else None
