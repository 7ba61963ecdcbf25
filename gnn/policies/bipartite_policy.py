"""State that all policies over variables and rows share: the scales of their features."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from gnn.policies.weights import arrays


class BipartitePolicy(nn.Module):
    """Base of neighbourhood policies. Buffers hold the mean and spread of each feature."""

    def __init__(self, variables: int, rows: int, edges: int) -> None:
        """Begin with scales that change nothing. Arguments are the numbers of features."""
        super().__init__()
        for name, size in (("variable", variables), ("row", rows), ("edge", edges)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))

    def scaled_variables(self, variables: Tensor) -> Tensor:
        """Return (n, F) normalised features."""
        return (variables - self.variable_mean) / self.variable_std

    def scaled_rows(self, rows: Tensor) -> Tensor:
        """Return (m, R) normalised features."""
        return (rows - self.row_mean) / self.row_std

    def scaled_edges(self, edges: Tensor) -> Tensor:
        """Return (E, 2) normalised features."""
        return (edges - self.edge_mean) / self.edge_std

    def arrays(self) -> dict[str, np.ndarray]:
        """Return weights and buffers by name, as the weights file holds them."""
        return arrays(self)


def head(width: int) -> nn.Sequential:
    """Return the map from states (n, width) to one logit each."""
    return nn.Sequential(
        nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1, bias=False)
    )
