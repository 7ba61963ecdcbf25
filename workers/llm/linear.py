"""Projections of a decoder in the form that is cheapest for a number of rows."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as functional


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


class Projections:
    """Factory of projections."""

    def linear(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Linear:
        """Return the projection of a layer."""
        return Dense(weight, bias)

    def head(self, weight: torch.Tensor) -> Linear:
        """Return the output head."""
        return self.linear(weight)
