"""Learned cost models, evaluated in numpy: a torch call has an overhead of 240 microseconds.

All nets embed each shard alone and sum the embeddings of a device's shards, so a search holds
one vector per device and evaluates a move by adding and subtracting (NeuroShard, Zha et al., MLSys
2023, section 3). See deploy/docs/design/sharding.md, "Cost models".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cost_models.sharding.features import (
    conditioned_features,
    magnitude,
    paper_features,
    physical_features,
)
from cost_models.sharding.hardware import HardwareProfile
from cost_models.sharding.problem import TableArrays

Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A linear layer."""

    weight: np.ndarray  # (out, in)
    bias: np.ndarray  # (out,)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Apply the layer; (..., in) → (..., out)."""
        return x @ self.weight.T + self.bias


def _dense(weights: Weights, name: str) -> Dense:
    return Dense(
        weight=weights[f"{name}.weight"].astype(float),
        bias=weights[f"{name}.bias"].astype(float),
    )


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


@dataclass(frozen=True, kw_only=True)
class PaperComputeNet:
    """NeuroShard's computation model (Zha et al., MLSys 2023), with 8,993 parameters.

    20 → 128 → 32 per table, sum over tables, 32 → 64 → 1.
    """

    mean: np.ndarray  # (20,)
    std: np.ndarray  # (20,)
    table: tuple[Dense, Dense]
    head: tuple[Dense, Dense]

    @classmethod
    def of(cls, weights: Weights) -> PaperComputeNet:
        """Build the net from the arrays of a weights file."""
        return cls(
            mean=weights["mean"].astype(float),
            std=weights["std"].astype(float),
            table=(_dense(weights, "table.0"), _dense(weights, "table.2")),
            head=(_dense(weights, "head.0"), _dense(weights, "head.2")),
        )

    def embed(
        self, tables: TableArrays, table: np.ndarray, width: np.ndarray
    ) -> np.ndarray:
        """Return the embeddings (S, 32) of shards."""
        x = (paper_features(tables, table, width) - self.mean) / self.std
        return _relu(self.table[1](_relu(self.table[0](x))))

    def cost(self, pooled: np.ndarray) -> np.ndarray:
        """Return the milliseconds of devices from their summed embeddings; (..., 32) → (...)."""
        return np.asarray(self.head[1](_relu(self.head[0](pooled)))[..., 0])


@dataclass(frozen=True, kw_only=True)
class PaperExchangeNet:
    """NeuroShard's communication model for one device count D, with a cost per device.

    in → 128 → 64 → 32 → 16 → D.
    """

    mean: np.ndarray  # (in,)
    std: np.ndarray  # (in,)
    layers: tuple[Dense, ...]

    @classmethod
    def of(cls, weights: Weights, prefix: str) -> PaperExchangeNet:
        """Build the net from the arrays of a weights file; `prefix` is `forward` or `backward`."""
        names = [f"{prefix}.{i}" for i in (0, 2, 4, 6, 8)]
        return cls(
            mean=weights[f"{prefix}.mean"].astype(float),
            std=weights[f"{prefix}.std"].astype(float),
            layers=tuple(_dense(weights, name) for name in names),
        )

    def cost(self, x: np.ndarray) -> np.ndarray:
        """Return the milliseconds of each device; (..., in) → (..., D)."""
        x = (x - self.mean) / self.std
        for layer in self.layers[:-1]:
            x = _relu(layer(x))
        return self.layers[-1](x)


@dataclass(frozen=True, kw_only=True)
class ConvexHead:
    """Convex head f(z) = bias + skip z + sum_j out_j relu(inner_j z + shift_j), out >= 0.

    Convexity in z makes lower bounds provable.
    """

    bias: float
    skip: np.ndarray  # (K,)
    inner: np.ndarray  # (J, K)
    shift: np.ndarray  # (J,) for one hardware
    out: np.ndarray  # (J,) >= 0

    def __call__(self, pooled: np.ndarray) -> np.ndarray:
        """Return the milliseconds of devices that hold shards; (..., K) → (...)."""
        return np.asarray(
            self.bias
            + pooled @ self.skip
            + _relu(pooled @ self.inner.T + self.shift) @ self.out
        )


@dataclass(frozen=True, kw_only=True)
class ConvexComputeNet:
    """The computation model of trimtab: convex in the pooled embedding, for any hardware.

    Shard i becomes z_i = [physical quantities, magnitude_i * net(features_i, hardware)]; a device
    sums the z of its shards. Trained on the relative error.
    """

    mean: np.ndarray
    std: np.ndarray
    table: tuple[Dense, Dense]
    scale: np.ndarray  # (K,) divisors of the pooled columns
    inner: Dense  # (J, K), (J,)
    condition: np.ndarray  # (J, CONDITIONS)
    condition_mean: np.ndarray  # (CONDITIONS,)
    out: np.ndarray  # (J,)
    skip: np.ndarray  # (K,)
    bias: float

    @classmethod
    def of(cls, weights: Weights) -> ConvexComputeNet:
        """Build the net from the arrays of a weights file."""
        return cls(
            mean=weights["mean"].astype(float),
            std=weights["std"].astype(float),
            table=(_dense(weights, "table.0"), _dense(weights, "table.2")),
            scale=weights["scale"].astype(float),
            inner=_dense(weights, "inner"),
            condition=weights["condition"].astype(float),
            condition_mean=weights["condition_mean"].astype(float),
            out=_softplus(weights["out_raw"].astype(float)),
            skip=weights["skip"].astype(float),
            bias=float(_softplus(weights["bias_raw"].astype(float))[0]),
        )

    def embed(
        self,
        tables: TableArrays,
        table: np.ndarray,
        width: np.ndarray,
        hardware: HardwareProfile,
    ) -> np.ndarray:
        """Return the embeddings (S, K) of shards."""
        physical = physical_features(tables, table, width, hardware)
        x = (
            conditioned_features(tables, table, width, hardware, physical) - self.mean
        ) / self.std
        learned = self.table[1](_relu(self.table[0](np.clip(x, -6.0, 6.0))))
        return (
            np.column_stack([physical, magnitude(physical)[:, None] * learned])
            / self.scale
        )

    def head(self, hardware: HardwareProfile) -> ConvexHead:
        """Return the convex head for one hardware."""
        shift = self.inner.bias + self.condition @ (
            hardware.conditions() - self.condition_mean
        )
        return ConvexHead(
            bias=self.bias,
            skip=self.skip,
            inner=self.inner.weight,
            shift=shift,
            out=self.out,
        )


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.logaddexp(0.0, x))


@dataclass(frozen=True, kw_only=True)
class ConvexExchangeNet:
    """The exchange model of trimtab: an all-to-all of any number of devices W in nodes of g.

    time = latency(W, g) + max_j (near_j * near + far_j * far), with `near` and `far` the
    milliseconds the slowest device needs at the rated bandwidth inside and between nodes. It is
    convex and non-decreasing in the bytes of each level, and invariant under renumbering devices
    within a node.
    """

    latency: tuple[Dense, Dense]
    slopes: np.ndarray  # (J, 2) >= 0

    @classmethod
    def of(cls, weights: Weights) -> ConvexExchangeNet:
        """Build the net from the arrays of a weights file."""
        return cls(
            latency=(_dense(weights, "latency.0"), _dense(weights, "latency.2")),
            slopes=_softplus(weights["slopes_raw"].astype(float)),
        )

    def latency_ms(self, ranks: int, per_node: int) -> float:
        """Return the milliseconds of an exchange without data."""
        if ranks == 1:
            return 0.0
        x = exchange_condition(ranks, per_node)
        return float(np.exp(self.latency[1](np.tanh(self.latency[0](x)))[0]))

    def cost(
        self, near_ms: np.ndarray, far_ms: np.ndarray, *, ranks: int, per_node: int
    ) -> np.ndarray:
        """Return the milliseconds of the exchange; (...), (...) → (...)."""
        forms = (
            near_ms[..., None] * self.slopes[:, 0] + far_ms[..., None] * self.slopes[:, 1]
        )
        return np.asarray(self.latency_ms(ranks, per_node) + forms.max(-1))


def exchange_condition(ranks: int, per_node: int) -> np.ndarray:
    """Return (2,) the inputs of the latency."""
    return np.array([np.log2(ranks), np.log2(ranks / per_node)])
