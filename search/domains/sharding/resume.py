"""A reported plan as bytes and back, and as a start for another search of the same job."""

from __future__ import annotations

import numpy as np
import orjson
from pydantic import TypeAdapter

from search.domains.sharding.encode.plan import Plan, fits
from search.domains.sharding.parse.problem import Setup
from trimtab.specs.sharding import PlanShard

SOURCE = "earlier attempt"
_SHARDS = TypeAdapter(tuple[PlanShard, ...])


def to_bytes(shards: tuple[PlanShard, ...], cost_ms: float) -> bytes:
    """Serialise a plan and its claimed cost."""
    return orjson.dumps(
        {"cost_ms": cost_ms, "shards": [shard.model_dump(mode="json") for shard in shards]}
    )


def from_bytes(data: bytes) -> tuple[tuple[PlanShard, ...], float]:
    """Parse a plan and its claimed cost. Raises ValueError, KeyError or TypeError."""
    plan = orjson.loads(data)
    return _SHARDS.validate_python(plan["shards"]), float(plan["cost_ms"])


def plan_of(setup: Setup, shards: tuple[PlanShard, ...]) -> Plan | None:
    """The plan over this setup's options; None when it is not one of them, or does not fit."""
    items = setup.items
    options = items.options
    number = {table.name: i for i, table in enumerate(setup.tables)}
    item_of = {table: item for item, group in enumerate(items.members) for table in group}
    index = {
        (int(i), int(w)): o
        for o, (i, w) in enumerate(zip(options.item, options.width, strict=True))
    }
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
        place = index.get((item, shard.width))
        if place is None:
            return None
        option.append(place)
        device.append(shard.device)
    for item, where in grouped.items():
        option.append(int(items.whole[item]))
        device.append(where)
    if not option:
        return None
    plan = Plan.of(np.array(option), np.array(device), SOURCE)
    return plan if fits(items, plan, setup.capacity) else None
