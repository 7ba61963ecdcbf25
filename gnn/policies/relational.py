"""Neighbourhood policies with the relational encoders: GRMP, RGCN, GAT or GINE.

For training and comparison. Serving evaluates the paper's net alone
(gnn.policies.neighbourhood_numpy), so these are not published.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnn.layers.encoders import Encoder, RelationalNet, parameters_of, width_for
from gnn.policies.neighbourhood import NeighbourhoodPolicy

PAPER = "paper"
"""The net of CL-LNS, `gnn.policies.neighbourhood`."""
ENCODERS = (PAPER, *(encoder.value for encoder in Encoder))
RELATIONS = 4  # variable → row and row → variable, by the sign of the coefficient


class RelationalPolicy(nn.Module):
    """Embeddings of variables and rows, relational blocks over both, one logit per variable.

    Buffers hold the mean and spread of each feature. Arguments and shapes of `forward` are those
    of `gnn.policies.neighbourhood.NeighbourhoodPolicy`; of the edges only the sign is read.
    """

    def __init__(
        self, encoder: Encoder | str, variables: int, rows: int, edges: int, width: int
    ) -> None:
        super().__init__()
        for name, size in (("variable", variables), ("row", rows), ("edge", edges)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))
        self.variable = nn.Sequential(nn.Linear(variables, width), nn.ReLU())
        self.row = nn.Sequential(nn.Linear(rows, width), nn.ReLU())
        self.net = RelationalNet(encoder, width, width, RELATIONS)
        self.head = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1, bias=False)
        )

    def forward(
        self, variables: Tensor, rows: Tensor, edges: Tensor, index: Tensor
    ) -> Tensor:
        """Return (n,) logits."""
        n = len(variables)
        v = self.variable((variables - self.variable_mean) / self.variable_std)
        r = self.row((rows - self.row_mean) / self.row_std)
        negative = (edges[:, 0] < 0).long().expand(index.shape[1])
        row, variable = index[0] + n, index[1]
        states = self.net(
            torch.cat([v, r]),
            torch.cat([variable, row]),
            torch.cat([row, variable]),
            torch.cat([negative, 2 + negative]),
        )
        logits: Tensor = self.head(states[:n])[:, 0]
        return logits


def policy_of(encoder: str, variables: int, rows: int, edges: int) -> nn.Module:
    """Return a policy with an encoder: `paper`, or a relational one with as many parameters.

    Raises ValueError on other words.
    """
    paper = NeighbourhoodPolicy(variables, rows, edges)
    if encoder == PAPER:
        return paper
    if encoder not in tuple(Encoder):
        words = ", ".join((PAPER, *Encoder))
        raise ValueError(f"encoder: expected one of {words}, got {encoder!r}")

    def build(width: int) -> nn.Module:
        return RelationalPolicy(encoder, variables, rows, edges, width)

    return build(width_for(parameters_of(paper), build, most=128))
