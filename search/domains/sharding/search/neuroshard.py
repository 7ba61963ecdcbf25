"""NeuroShard as published: its networks, its beam, its greedy grid. For comparison, and for those who want exactly that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cost_models.sharding.nets import PaperComputeNet, PaperExchangeNet
from cost_models.sharding.problem import TableArrays
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.beam import BeamResult, beam_search
from search.domains.sharding.search.plan_model import PlanModel
from trimtab.specs.sharding import BeamOptions

PAPER_BATCH = 65_536
PAPER_DEVICES = (4, 8)


@dataclass(frozen=True, kw_only=True)
class PaperExchange:
    """The paper's simulator (section 1.5): backward first, then the forward exchange from those start times."""

    forward: PaperExchangeNet
    backward: PaperExchangeNet

    def total(self, compute: np.ndarray, dims: np.ndarray) -> np.ndarray:
        """max over devices of compute + backward + forward.  (..., D), (..., D) → (...)"""
        backward = self.backward.cost(dims)
        start = compute + backward
        start = start - start.min(-1, keepdims=True)
        forward = self.forward.cost(np.concatenate([dims, start], axis=-1))
        return np.asarray((compute + backward + forward).max(-1))

    def __call__(self, dims: np.ndarray) -> np.ndarray:
        """Exchange of devices that enter together.  (..., D) → (...)"""
        return self.total(np.zeros(dims.shape), dims)

    def of_largest(self, largest: np.ndarray) -> np.ndarray:
        """Not defined: the nets see each device by its place."""
        raise NotImplementedError("the paper's nets price whole plans only")


@dataclass(frozen=True, kw_only=True)
class PaperPlanModel(PlanModel):
    """Prices plans as the paper does."""

    def total(self, compute: np.ndarray, dims: np.ndarray) -> np.ndarray:
        """Cost of plans."""
        assert isinstance(self.exchange, PaperExchange)
        return self.exchange.total(compute, dims)


def paper_model(
    items: Items,
    arrays: TableArrays,
    devices: int,
    net: PaperComputeNet,
    exchange: PaperExchange,
) -> PaperPlanModel:
    """The paper's model of a job on equal devices in one node."""
    options = items.options
    embedding = options.pool(net.embed(arrays, options.member_table, options.member_width))[
        None
    ]
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
    stop: Callable[[], bool],
    on_best: Callable[[Plan, float], object],
) -> BeamResult:
    """Beam search over column splits around the greedy grid, from whole tables."""
    return beam_search(
        items, model, items.whole, capacity, beam, stop=stop, on_best=on_best
    )
