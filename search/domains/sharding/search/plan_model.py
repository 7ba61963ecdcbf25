"""Cost of plans under a learned model: one vector per device, a head over it, and the exchange.

Vectors of shards add up, so a search evaluates a move by adding and subtracting. The model itself:
deploy/docs/design/sharding.md, "Cost models".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cost_models.sharding.hardware import HardwareProfile
from cost_models.sharding.nets import ConvexComputeNet, ConvexExchangeNet, ConvexHead
from cost_models.sharding.problem import TableArrays
from cost_models.sharding.simulator import OUTPUT_BYTES, FabricModel, transfer_ms
from search.domains.sharding.encode.items import Items

_EMBED_PART = 16_384  # shards embedded in one call

Head = Callable[[np.ndarray], np.ndarray]  # (..., K) → (...) milliseconds


class ExchangeCost(Protocol):
    """Cost of the forward and backward exchange together, for devices that enter together."""

    def __call__(self, dims: np.ndarray) -> np.ndarray:
        """Return the milliseconds for the columns of each device; (..., D) → (...)."""
        ...

    def of_largest(self, largest: np.ndarray) -> np.ndarray:
        """Estimate the milliseconds from the most columns alone; it prices moves; (...) → (...).

        largest: the largest dim sum, weighted by slowness.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class PlanModel:
    """Model of one job, for C classes of equal devices."""

    embedding: np.ndarray  # (C, O, K) of every option on every class of device
    heads: tuple[Head, ...]  # one per class
    device_class: np.ndarray  # (D,)
    # (D,) exchange time per column over that of the fastest device, >= 1
    slowness: np.ndarray
    exchange: ExchangeCost
    single: np.ndarray  # (C, O) milliseconds of an option alone

    @property
    def devices(self) -> int:
        """Number of devices."""
        return len(self.device_class)

    def compute(self, pooled: np.ndarray, used: np.ndarray) -> np.ndarray:
        """Return the milliseconds of devices; (..., D, K) → (..., D).

        pooled: sum of the vectors of each device's shards.
        used: false for devices without shards, which cost nothing.
        """
        if len(self.heads) == 1:
            return np.where(used, self.heads[0](pooled), 0.0)
        milliseconds = np.empty(pooled.shape[:-1])
        for c, head in enumerate(self.heads):
            mask = self.device_class == c
            milliseconds[..., mask] = head(pooled[..., mask, :])
        return np.where(used, milliseconds, 0.0)

    def total(self, compute: np.ndarray, dims: np.ndarray) -> np.ndarray:
        """Return the cost of plans; (..., D), (..., D) → (...)."""
        return np.asarray(compute.max(-1) + self.exchange(dims))


@dataclass(frozen=True, kw_only=True)
class LearnedExchange:
    """The convex exchange net in one fabric, both directions."""

    net: ConvexExchangeNet
    fabric: FabricModel
    batch: int

    def __call__(self, dims: np.ndarray) -> np.ndarray:
        """Return the milliseconds."""
        if self.fabric.ranks == 1:
            return np.zeros(dims.shape[:-1])
        near, far = transfer_ms(dims, self.batch, self.fabric)
        return 2 * self.net.cost(
            near, far, ranks=self.fabric.ranks, per_node=self.fabric.per_node
        )

    def of_largest(self, largest: np.ndarray) -> np.ndarray:
        """Return the milliseconds when sending decides: exact, or slightly below.

        Sending decides unless some device is nearly empty.
        """
        latency, slope = self._line
        return np.asarray(latency + slope * np.asarray(largest))

    @property
    def constant_ms(self) -> float:
        """Milliseconds of an exchange without data."""
        return (
            0.0
            if self.fabric.ranks == 1
            else 2 * self.net.latency_ms(self.fabric.ranks, self.fabric.per_node)
        )

    @property
    def forms(self) -> np.ndarray:
        """Forms (F, 2) of near and far milliseconds: exchange = `constant_ms` + largest."""
        return np.asarray(2 * self.net.slopes)

    def per_column_ms(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the milliseconds to send one column, inside and between nodes; (D,) each."""
        fabric = self.fabric
        size = 1e3 * self.batch * OUTPUT_BYTES / fabric.ranks
        near = (fabric.per_node - 1) * size / fabric.intra_bytes_s
        return near, (fabric.ranks - fabric.per_node) * size / fabric.inter_bytes_s

    @cached_property
    def _line(self) -> tuple[float, float]:
        """Latency, and milliseconds per column of the largest dim sum."""
        if self.fabric.ranks == 1:
            return 0.0, 0.0
        near, far = self.per_column_ms()
        return self.constant_ms, float(
            (self.forms @ np.array([near.min(), far.min()])).max()
        )


def certified_model(
    items: Items,
    arrays: TableArrays,
    profiles: list[HardwareProfile],
    fabric: FabricModel,
    net: ConvexComputeNet,
    exchange: ConvexExchangeNet,
) -> PlanModel:
    """Build the convex model of a job, whose cost the certificate bounds."""
    classes = list(dict.fromkeys(p.name for p in profiles))
    by_name = {p.name: p for p in profiles}
    options = items.options
    table, width, place = _distinct(arrays, options.member_table, options.member_width)
    embedding = np.stack(
        [
            options.pool(embed_in_parts(net, arrays, table, width, by_name[name])[place])
            for name in classes
        ]
    )
    heads: tuple[ConvexHead, ...] = tuple(net.head(by_name[name]) for name in classes)
    far = fabric.ranks > fabric.per_node
    speed = fabric.inter_bytes_s if far else fabric.intra_bytes_s
    return PlanModel(
        embedding=embedding,
        heads=heads,
        device_class=np.array([classes.index(p.name) for p in profiles]),
        slowness=speed.max() / speed,
        exchange=LearnedExchange(net=exchange, fabric=fabric, batch=arrays.batch),
        single=np.stack([head(e) for head, e in zip(heads, embedding, strict=True)]),
    )


def embed_in_parts(
    net: ConvexComputeNet,
    arrays: TableArrays,
    table: np.ndarray,
    width: np.ndarray,
    profile: HardwareProfile,
) -> np.ndarray:
    """Return the embeddings (S, K) of shards, computed in parts to limit memory."""
    parts = range(0, max(1, len(table)), _EMBED_PART)
    return np.concatenate(
        [
            net.embed(
                arrays,
                table[at : at + _EMBED_PART],
                width[at : at + _EMBED_PART],
                profile,
            )
            for at in parts
        ]
    )


def _distinct(
    arrays: TableArrays, table: np.ndarray, width: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distinct tables and widths, and the place of every shard among them.

    Production lists repeat their tables, so this saves most of the embedding.
    """
    traits = np.column_stack(
        [arrays.rows, arrays.element_bytes, arrays.unique, arrays.count]
    )
    _, first, kind = np.unique(traits, axis=0, return_index=True, return_inverse=True)
    key = kind.reshape(-1)[table] * np.int64(2**20) + width
    _, shard, place = np.unique(key, return_index=True, return_inverse=True)
    return first[kind.reshape(-1)[table[shard]]], width[shard], place.reshape(-1)
