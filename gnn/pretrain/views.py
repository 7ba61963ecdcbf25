"""Random views of tensors: dropped feature columns and edges, hidden rows, resampled cells.

Views of whole domains, which keep what the labels depend on, are in `workers.train.views`.
Each function draws from the generator it is given and leaves its inputs as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor


def drop_features(x: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Set columns to zero, each with probability `share`, the same ones in every row (BGRL).

    Shapes: x (N, F); returns (N, F).
    """
    _check(share)
    return x * (torch.rand(1, x.shape[1], generator=rng) >= share)


def drop_edges(edges: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Remove edges, each with probability `share`. Shapes: edges (2, E); returns (2, at most E)."""
    _check(share)
    return edges[:, torch.rand(edges.shape[1], generator=rng) >= share]


def hide_rows(x: Tensor, share: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Set rows to zero, each with probability `share`, at least one of them.

    Shapes: x (N, F); returns (N, F) and the hidden rows, (N,) bool.
    """
    _check(share)
    draw = torch.rand(len(x), generator=rng)
    hidden = (draw < share) | (draw == draw.min())
    return x * ~hidden[:, None], hidden


def resample_cells(x: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Replace cells by the value of a random row in the same column, with probability `share`.

    The corruption of SCARF (Bahri et al., 2022) for tables. Shapes: x (N, F); returns (N, F).
    """
    _check(share)
    other = torch.randint(0, len(x), x.shape, generator=rng)
    return torch.where(torch.rand(x.shape, generator=rng) < share, x.gather(0, other), x)


def _check(share: float) -> None:
    if not 0 <= share < 1:
        raise ValueError(f"share: expected a number in [0, 1), got {share}")
