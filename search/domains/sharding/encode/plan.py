"""A plan while it is searched: which shard is where, and what each device carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.domains.sharding.encode.items import NONE, Items
from search.domains.sharding.search.plan_model import PlanModel


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A complete plan: S shards. `home` is the shard of the current plan a shard was cut from, or NONE."""

    option: np.ndarray  # (S,)
    device: np.ndarray  # (S,)
    home: np.ndarray  # (S,)
    source: str = ""

    @classmethod
    def of(
        cls,
        option: np.ndarray,
        device: np.ndarray,
        source: str,
        home: np.ndarray | None = None,
    ) -> Plan:
        """Without a current plan every home is NONE."""
        return cls(
            option=np.asarray(option, dtype=np.int64),
            device=np.asarray(device, dtype=np.int64),
            home=np.full(len(option), NONE) if home is None else home,
            source=source,
        )


def merged(items: Items, plan: Plan) -> Plan:
    """The plan with shards of one table (and one home) on one device joined, where their joint width is an option."""
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
    joined = joint[group] != NONE  # a group whose joint width is no option stays as it is
    kept = order[~joined]
    ones = first[joint != NONE]
    return Plan(
        option=np.append(plan.option[kept], joint[joint != NONE]),
        device=np.append(plan.device[kept], plan.device[ones]),
        home=np.append(plan.home[kept], plan.home[ones]),
        source=plan.source,
    )


class Loads:
    """What each device carries; kept up to date by adding and subtracting."""

    def __init__(self, items: Items, model: PlanModel, plan: Plan) -> None:
        options = items.options
        self._model = model
        devices = model.devices
        kind = model.device_class[plan.device]
        self.pooled = np.zeros((devices, model.embedding.shape[2]))
        np.add.at(self.pooled, plan.device, model.embedding[kind, plan.option])
        self.memory = np.bincount(
            plan.device, weights=options.memory[plan.option], minlength=devices
        )
        self.dims = np.bincount(
            plan.device, weights=options.dim[plan.option], minlength=devices
        )
        self.shards = np.bincount(plan.device, minlength=devices)
        self.compute = model.compute(self.pooled, self.shards > 0)

    @property
    def cost(self) -> float:
        """The plan's milliseconds under the model."""
        return float(self._model.total(self.compute, self.dims))


def plan_cost(items: Items, model: PlanModel, plan: Plan) -> float:
    """The plan's milliseconds under the model."""
    return Loads(items, model, plan).cost


def fits(items: Items, plan: Plan, capacity: np.ndarray) -> bool:
    """Whether every device holds what it was given, and every shard may be where it is."""
    memory = np.bincount(
        plan.device, weights=items.options.memory[plan.option], minlength=len(capacity)
    )
    if (memory > capacity).any():
        return False
    return items.allowed is None or bool(
        items.allowed[items.options.item[plan.option], plan.device].all()
    )
