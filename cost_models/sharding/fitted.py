"""A fitted model of one device: its simulated constants, and the net that prices plans for it.

`workers.train.sharding.few_shot` makes both from measurements.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cost_models.sharding.hardware import HardwareProfile
from cost_models.sharding.nets import ConvexComputeNet, ConvexHead, Weights
from cost_models.sharding.problem import TableArrays

# Constants of the profile that are fitted, as factors of the base profile's.
FITTED = (
    "hbm_bytes_s",
    "l2_bytes",
    "l2_bytes_s",
    "clock_hz",
    "update_efficiency",
    "sort_efficiency",
    "launch_s",
)
SHARES = ("update_efficiency", "sort_efficiency")


def with_factors(base: HardwareProfile, factors: Sequence[float]) -> HardwareProfile:
    """Return the base profile with fitted constants; shares stay below 1."""
    changed = {
        name: getattr(base, name) * factor
        for name, factor in zip(FITTED, factors, strict=True)
    }
    changed |= {name: min(1.0, changed[name]) for name in SHARES}
    return dataclasses.replace(base, name=f"{base.name}, measured", **changed)


@dataclass(frozen=True, kw_only=True)
class FittedComputeNet(ConvexComputeNet):
    """A computation model of one device, whatever profile it is asked about."""

    device: HardwareProfile

    @classmethod
    def on(cls, weights: Weights, device: HardwareProfile) -> FittedComputeNet:
        """Build the net from the arrays of a model file."""
        net = ConvexComputeNet.of(weights)
        fields: dict[str, Any] = {
            field.name: getattr(net, field.name) for field in dataclasses.fields(net)
        }
        return cls(**fields, device=device)

    def embed(
        self,
        tables: TableArrays,
        table: np.ndarray,
        width: np.ndarray,
        hardware: HardwareProfile,
    ) -> np.ndarray:
        """Return the embeddings (S, K) of shards on the fitted device."""
        return super().embed(tables, table, width, self.device)

    def head(self, hardware: HardwareProfile) -> ConvexHead:
        """Return the convex head of the fitted device."""
        return super().head(self.device)


@dataclass(frozen=True, kw_only=True)
class FittedDevice:
    """A measured device."""

    profile: HardwareProfile
    net: FittedComputeNet

    @classmethod
    def of(
        cls, scope: Mapping[str, Any], arrays: Weights, base: HardwareProfile
    ) -> FittedDevice:
        """Build the device from a model file. Raises KeyError, TypeError or ValueError."""
        factors = [float(factor) for factor in scope["factors"]]
        if not all(np.isfinite(factors)) or min(factors) <= 0:
            raise ValueError("scope: expected positive factors")
        profile = with_factors(base, factors)
        return cls(profile=profile, net=FittedComputeNet.on(arrays, profile))
