"""Neighbourhood policies with the relational encoders: GRMP, RGCN, GAT or GINE.

For training and comparison. Serving evaluates the paper's net alone
(gnn.policies.neighbourhood_numpy), so these are not published.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnn.layers.encoders import (
    PAPER,
    Encoder,
    RelationalNet,
    parameters_of,
    width_for,
)
from gnn.policies.bipartite_policy import BipartitePolicy, head
from gnn.policies.neighbourhood import NeighbourhoodPolicy

ENCODERS = (PAPER, *(encoder.value for encoder in Encoder))
RELATIONS = 4  # variable → row and row → variable, by the sign of the coefficient


class RelationalPolicy(BipartitePolicy):
    """Embeddings of variables and rows, relational blocks over both, one logit per variable.

    Arguments and shapes of `forward` are those of
    `gnn.policies.neighbourhood.NeighbourhoodPolicy`; of the edges only the sign is read.
    """

    def __init__(
        self, encoder: Encoder | str, variables: int, rows: int, edges: int, width: int
    ) -> None:
        super().__init__(variables, rows, edges)
        self.variable = nn.Sequential(nn.Linear(variables, width), nn.ReLU())
        self.row = nn.Sequential(nn.Linear(rows, width), nn.ReLU())
        self.net = RelationalNet(encoder, width, width, RELATIONS)
        self.head = head(width)

    def forward(
        self, variables: Tensor, rows: Tensor, edges: Tensor, index: Tensor
    ) -> Tensor:
        """Return (n,) logits."""
        n = len(variables)
        v = self.variable(self.scaled_variables(variables))
        r = self.row(self.scaled_rows(rows))
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
    """Return a policy: `paper` is that of CL-LNS, others are relational with as many parameters.

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
