"""The net of CL-LNS (Huang et al., ICML 2023, section 4) in torch, for training.

`gnn.policies.neighbourhood_numpy` evaluates the same weights in numpy, for serving. The weights
have torch's parameter names; that module lists the names, and
`tests/gnn/policies/test_neighbourhood_numpy.py` checks that both forms give the same logits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnn.layers.attention import SeparableAttention
from gnn.policies.bipartite_policy import BipartitePolicy, head

WIDTH = 64


class HalfConvolution(nn.Module):
    """Attention over the nodes of the other side, then an MLP on [message | own state]."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = SeparableAttention(WIDTH)
        self.out = nn.Sequential(
            nn.Linear(2 * WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()
        )

    def forward(
        self,
        senders: Tensor,
        receivers: Tensor,
        edges: Tensor,
        index: Tensor,
        *,
        uniform: bool,
    ) -> Tensor:
        """Return the new states of the receivers, (receivers, WIDTH)."""
        message = self.attention(senders, edges, index, len(receivers), uniform=uniform)
        return self.out(torch.cat([message, receivers], dim=1))


class NeighbourhoodPolicy(BipartitePolicy):
    """Messages variables → rows → variables, then one logit per variable.

    skip: add a linear map of the variable's own features and the mean of its rows'. A few dozen
        states teach it, and the messages then learn what it lacks: they begin with logits of 0.
    """

    def __init__(
        self, variables: int, rows: int, edges: int, *, skip: bool = False
    ) -> None:
        super().__init__(variables, rows, edges)
        self.variable = _embedding(variables)
        self.row = _embedding(rows)
        self.edge = nn.Sequential(nn.Linear(edges, WIDTH))
        self.to_rows = HalfConvolution()
        self.to_variables = HalfConvolution()
        self.head = head(WIDTH)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.orthogonal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.skip: nn.Linear | None = None
        if skip:
            self.skip = nn.Linear(variables + rows, 1)
            nn.init.zeros_(self.skip.weight)
            nn.init.zeros_(self.skip.bias)
            nn.init.zeros_(self.head[-1].weight)

    def forward(
        self, variables: Tensor, rows: Tensor, edges: Tensor, index: Tensor
    ) -> Tensor:
        """Return (n,) logits.

        Shapes: variables (n, F); rows (m, R); edges (E, 2), or (1, 2) when all are alike; index
        (2, E) pairs [row, variable] sorted by row.
        """
        uniform = len(edges) == 1
        v = self.variable(self.scaled_variables(variables))
        r = self.row(self.scaled_rows(rows))
        e = self.edge(self.scaled_edges(edges))
        r = self.to_rows(v, r, e, index, uniform=uniform)
        order = torch.argsort(index[1], stable=True)
        turned = torch.stack([index[1][order], index[0][order]])
        v = self.to_variables(r, v, e if uniform else e[order], turned, uniform=uniform)
        logits: Tensor = self.head(v)[:, 0]
        if self.skip is None:
            return logits
        return logits + self.skip(self.own(variables, rows, index))[:, 0]

    def own(self, variables: Tensor, rows: Tensor, index: Tensor) -> Tensor:
        """Return (n, F + R): normalised features of each variable, and the mean of its rows'."""
        r = self.scaled_rows(rows)
        total = r.new_zeros(len(variables), r.shape[1]).index_add_(
            0, index[1], r[index[0]]
        )
        degree = torch.bincount(index[1], minlength=len(variables)).clamp_min(1)
        v = self.scaled_variables(variables)
        return torch.cat([v, total / degree[:, None]], dim=1)


def _embedding(features: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()
    )
