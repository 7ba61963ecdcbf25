"""Projections of a decoder: weights in their own dtype, or packed for products on a CPU."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as functional

from cuda.kernels import decoder_step


class Linear(Protocol):
    """A projection [rows, in] -> [rows, out], float32 on both sides."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return [rows, out]."""
        ...

    def some(self, x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Return [rows, m]: the outputs `chosen` [m] alone."""
        ...


class Dense:
    """Weights in their own dtype."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self._weight = weight
        self._bias = None if bias is None else bias.to(weight.dtype)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return [rows, out]."""
        return functional.linear(
            x.to(self._weight.dtype), self._weight, self._bias
        ).float()

    def some(self, x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Return [rows, m]: the outputs `chosen` [m] alone."""
        bias = None if self._bias is None else self._bias[chosen]
        return functional.linear(
            x.to(self._weight.dtype), self._weight[chosen], bias
        ).float()


def packs(weight: torch.Tensor) -> bool:
    """Return whether weights like these are to be packed.

    float32 stays: who loads it wants no rounding. So does everything where native code cannot be
    built, and on a GPU.
    """
    rounds = weight.dtype != torch.float32
    return rounds and weight.device.type == "cpu" and decoder_step.available()
