"""A plan over the options of a job: one option and one device per shard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A complete plan: S shards."""

    option: np.ndarray  # (S,)
    device: np.ndarray  # (S,)
    # Shape (S,) shard of the current plan that the shard was cut from, or NONE.
    home: np.ndarray
    source: str = ""  # the part of the search that made the plan

    @classmethod
    def of(
        cls,
        option: np.ndarray,
        device: np.ndarray,
        source: str,
        home: np.ndarray | None = None,
    ) -> Plan:
        """Make a plan; without a current plan every home is NONE."""
        return cls(
            option=np.asarray(option, dtype=np.int64),
            device=np.asarray(device, dtype=np.int64),
            home=np.full(len(option), NONE) if home is None else home,
            source=source,
        )


def merged(items: Items, plan: Plan) -> Plan:
    """Join shards of one table and home on one device where their joint width is an option."""
    options = items.options
    item = options.item[plan.option]
    order = np.lexsort((plan.home, plan.device, item))
    same = (
        (np.diff(item[order]) == 0)
        & (np.diff(plan.device[order]) == 0)
        & (np.diff(plan.home[order]) == 0)
    )
    if not same.any():
        return plan
    group = np.concatenate([[0], np.cumsum(~same)])
    width = np.bincount(group, weights=options.width[plan.option[order]]).astype(np.int64)
    first = order[np.concatenate([[True], ~same])]
    joint = options.find(item[first], width)
    # A group whose joint width is no option stays as it is.
    in_joint = joint[group] != NONE
    unchanged = order[~in_joint]
    ones = first[joint != NONE]
    return Plan(
        option=np.append(plan.option[unchanged], joint[joint != NONE]),
        device=np.append(plan.device[unchanged], plan.device[ones]),
        home=np.append(plan.home[unchanged], plan.home[ones]),
        source=plan.source,
    )


def fits(items: Items, plan: Plan, capacity: np.ndarray) -> bool:
    """Check that each device has memory for its shards and each shard is on an allowed device."""
    memory = np.bincount(
        plan.device, weights=items.options.memory[plan.option], minlength=len(capacity)
    )
    if (memory > capacity).any():
        return False
    return items.allowed is None or bool(
        items.allowed[items.options.item[plan.option], plan.device].all()
    )
