"""Cost models as torch modules, for training.

`cost_models.sharding.nets` evaluates the same weights in numpy.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from cost_models.sharding.features import MAGNITUDE, PHYSICAL_FEATURES, Physical
from cost_models.sharding.hardware import CONDITIONS

LEARNED = 24
HIDDEN = 96
JOINTS = 48


class PaperCompute(nn.Module):
    """NeuroShard's computation model (Zha et al., MLSys 2023).

    20 → 128 → 32 with ReLU, sum over tables, 32 → 64 → 1.

    Shapes: x (M, 20) features of all shards; owner (M,) the set of each; returns (N,) milliseconds.
    """

    def __init__(self, mean: np.ndarray, std: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))
        self.table = nn.Sequential(
            nn.Linear(len(mean), 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x: Tensor, owner: Tensor, sets: int) -> Tensor:
        """Return the cost of each set."""
        embedded = self.table((x - self.mean) / self.std)  # (M, 32)
        zeros = embedded.new_zeros(sets, embedded.shape[1])
        pooled = zeros.index_add_(0, owner, embedded)  # (N, 32)
        return self.head(pooled)[:, 0]


class PaperExchange(nn.Module):
    """NeuroShard's communication model for one device count: in → 128 → 64 → 32 → 16 → D."""

    def __init__(self, mean: np.ndarray, std: np.ndarray, devices: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))
        sizes = [len(mean), 128, 64, 32, 16, devices]
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(pairwise(sizes)):
            layers += [nn.Linear(a, b)] + ([nn.ReLU()] if i < 4 else [])
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the cost of each device; (N, in) → (N, D)."""
        return self.layers((x - self.mean) / self.std)


def physical_scale() -> np.ndarray:
    """Return the divisors (P,) of the pooled physical features at the input of the head."""
    scale = np.ones(PHYSICAL_FEATURES)
    scale[[Physical.FOOTPRINT, Physical.WARPS, Physical.ROWS, Physical.ONE]] = (
        4.0,
        16.0,
        4.0,
        8.0,
    )
    return scale


class ConvexCompute(nn.Module):
    """The computation model of trimtab: see `cost_models.sharding.nets.ConvexComputeNet`.

    Convex in the pooled embedding for any fixed hardware.

    Shapes: x (M, F), physical (M, P), owner (M,), condition (N, CONDITIONS); returns (N,)
    milliseconds.
    """

    def __init__(
        self,
        mean: np.ndarray,
        std: np.ndarray,
        scale: np.ndarray,
        condition_mean: np.ndarray,
    ) -> None:
        super().__init__()
        width = PHYSICAL_FEATURES + LEARNED
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))
        self.register_buffer(
            "scale",
            torch.tensor(np.concatenate([scale, np.ones(LEARNED)]), dtype=torch.float32),
        )
        self.register_buffer(
            "condition_mean", torch.tensor(condition_mean, dtype=torch.float32)
        )
        self.table = nn.Sequential(
            nn.Linear(len(mean), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, LEARNED)
        )
        self.inner = nn.Linear(width, JOINTS)
        self.condition = nn.Parameter(torch.randn(JOINTS, CONDITIONS) * 0.1)
        self.out_raw = nn.Parameter(torch.full((JOINTS,), -3.0))
        skip = torch.zeros(width)
        # Start near the sum of the parts; training corrects it.
        for column in MAGNITUDE:
            skip[column] = 1.0
        self.skip = nn.Parameter(skip)
        self.bias_raw = nn.Parameter(torch.tensor([-3.0]))
        nn.init.normal_(self.table[2].weight, std=0.01)
        nn.init.zeros_(self.table[2].bias)

    def forward(
        self, x: Tensor, physical: Tensor, owner: Tensor, condition: Tensor
    ) -> Tensor:
        """Return the cost of each set."""
        scaled = torch.clamp((x - self.mean) / self.std, -6.0, 6.0)
        learned = self.table(scaled)  # (M, LEARNED)
        size = physical[:, list(MAGNITUDE)].sum(1, keepdim=True)  # (M, 1)
        z = torch.cat([physical, size * learned], dim=1) / self.scale  # (M, K)
        pooled = z.new_zeros(len(condition), z.shape[1]).index_add_(0, owner, z)  # (N, K)
        conditioned = (condition - self.condition_mean) @ self.condition.T
        joints = torch.relu(self.inner(pooled) + conditioned)  # (N, J)
        positive = nn.functional.softplus
        return (
            positive(self.bias_raw) + pooled @ self.skip + joints @ positive(self.out_raw)
        )


class ConvexExchange(nn.Module):
    """The exchange model of trimtab: see `cost_models.sharding.nets.ConvexExchangeNet`.

    Shapes: x (N, 4) = near ms, far ms, log2 W, log2 nodes; returns (N, 1) milliseconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.latency = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
        nn.init.constant_(self.latency[2].bias, -3.0)  # e^-3 ms: a few launches
        # Two pieces start at one level each, two between: from equal starts, all pieces would learn
        # the same form.
        self.slopes_raw = nn.Parameter(
            torch.tensor([[0.5, -4.0], [-4.0, 0.5], [-0.5, -2.0], [-2.0, -0.5]])
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the milliseconds of each exchange."""
        slopes = nn.functional.softplus(self.slopes_raw)
        return (
            torch.exp(self.latency(x[:, 2:]))
            + (x[:, :2] @ slopes.T).max(1, keepdim=True).values
        )


__all__ = ["ConvexCompute", "ConvexExchange", "PaperCompute", "PaperExchange"]
