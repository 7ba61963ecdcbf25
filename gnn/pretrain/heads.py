"""Projector, predictor and moving average beside an encoder; thrown away after pre-training."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn


class Projector(nn.Sequential):
    """Linear → batch norm → ReLU, `layers` − 1 times, then Linear (Balestriero et al., 2023).

    It absorbs what the views disagree on; probes read its input. With batch normalisation, rows
    of a batch see each other.

    Shapes: (N, inner) → (N, outputs).
    """

    def __init__(self, inner: int, width: int, outputs: int, *, layers: int = 2) -> None:
        parts: list[nn.Module] = []
        for _ in range(layers - 1):
            parts += [nn.Linear(inner, width), nn.BatchNorm1d(width), nn.ReLU()]
            inner = width
        super().__init__(*parts, nn.Linear(inner, outputs))


class Predictor(nn.Sequential):
    """Linear → PReLU → Linear, the predictor of BGRL (Thakoor et al., 2022).

    Shapes: (N, width) → (N, width).
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.PReLU(), nn.Linear(hidden, width))


class MovingAverage(nn.Module):
    """Target network of BYOL: an exponential moving average of an encoder, without gradients.

    Buffers (running statistics) are copied, not averaged.
    """

    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        self.target = copy.deepcopy(source).requires_grad_(False)

    def update(self, source: nn.Module, keep: float) -> None:
        """Set target ← keep · target + (1 − keep) · source."""
        with torch.no_grad():
            for mine, theirs in zip(
                self.target.parameters(), source.parameters(), strict=True
            ):
                mine.lerp_(theirs, 1 - keep)
            for mine, theirs in zip(self.target.buffers(), source.buffers(), strict=True):
                mine.copy_(theirs)

    def forward(self, *args: object) -> Tensor:
        """Return the target's output."""
        with torch.no_grad():
            out: Tensor = self.target(*args)
        return out


def keep_at(step: int, steps: int, *, first: float = 0.99) -> float:
    """Return BYOL's share of the target that is kept: from `first` to 1 along a half cosine.

    keep = 1 − (1 − first) (cos(π step / steps) + 1) / 2 (Grill et al., 2020, section 3.2).
    """
    return 1 - (1 - first) * (math.cos(math.pi * step / steps) + 1) / 2
