"""NeuroShard as published (Zha et al., MLSys 2023): its networks, its beam and its greedy grid.

It serves as a baseline, and as the method of jobs that ask for exactly this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cost_models.sharding.nets import PaperComputeNet, PaperExchangeNet
from cost_models.sharding.problem import TableArrays
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.beam import BeamResult, beam_search
from search.domains.sharding.search.deadlines import Stop
from search.domains.sharding.search.plan_model import PlanModel
from trimtab.specs.sharding import BeamOptions


@dataclass(frozen=True, kw_only=True)
class PaperExchange:
    """The exchange of the paper's simulator.

    Backward first; then the forward exchange, from the start times that compute and backward give
    (deploy/docs/design/sharding.md, "Plan cost").
    """

    forward: PaperExchangeNet
    backward: PaperExchangeNet

    def total(self, compute: np.ndarray, dims: np.ndarray) -> np.ndarray:
        """Return max over devices of compute + backward + forward; (..., D), (..., D) → (...)."""
        backward = self.backward.cost(dims)
        start = compute + backward
        start = start - start.min(-1, keepdims=True)
        forward = self.forward.cost(np.concatenate([dims, start], axis=-1))
        return np.asarray((compute + backward + forward).max(-1))

    def __call__(self, dims: np.ndarray) -> np.ndarray:
        """Return the exchange of devices that enter together; (..., D) → (...)."""
        return self.total(np.zeros(dims.shape), dims)

    def of_largest(self, largest: np.ndarray) -> np.ndarray:
        """Raise NotImplementedError: the networks see each device by its number."""
        raise NotImplementedError("the paper's networks price whole plans only")


@dataclass(frozen=True, kw_only=True)
class PaperPlanModel(PlanModel):
    """Prices plans as the paper does."""

    def total(self, compute: np.ndarray, dims: np.ndarray) -> np.ndarray:
        """Return the cost of plans."""
        assert isinstance(self.exchange, PaperExchange)
        return self.exchange.total(compute, dims)


def paper_model(
    items: Items,
    arrays: TableArrays,
    devices: int,
    net: PaperComputeNet,
    exchange: PaperExchange,
) -> PaperPlanModel:
    """Build the paper's model of a job on equal devices in one node."""
    options = items.options
    members = net.embed(arrays, options.member_table, options.member_width)
    embedding = options.pool(members)[None]
    return PaperPlanModel(
        embedding=embedding,
        heads=(net.cost,),
        device_class=np.zeros(devices, dtype=np.int64),
        slowness=np.ones(devices),
        exchange=exchange,
        single=net.cost(embedding),
    )


def neuroshard(
    items: Items,
    model: PlanModel,
    capacity: np.ndarray,
    beam: BeamOptions,
    *,
    stop: Stop,
    on_best: Callable[[Plan, float], object],
) -> BeamResult:
    """Search column splits by beam around the greedy grid, from whole tables."""
    return beam_search(
        items, model, items.whole, capacity, beam, stop=stop, on_best=on_best
    )
