"""Loads of the devices under a plan, and the plan's cost under the model."""

from __future__ import annotations

import numpy as np

from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.plan_model import PlanModel


class Loads:
    """Load of each device; the local search updates it by adding and subtracting."""

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
        """Milliseconds of the plan under the model."""
        return float(self._model.total(self.compute, self.dims))


def plan_cost(items: Items, model: PlanModel, plan: Plan) -> float:
    """Return the plan's milliseconds under the model."""
    return Loads(items, model, plan).cost
