"""Gated relational message passing (GRMP) of EurNet.

Xu et al. (2022), https://arxiv.org/abs/2211.12941.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from gnn.layers.scatter import scatter_sum


class GatedRelationalMessage(nn.Module):
    """A dense map for all relations, a channel-wise scale for each, and a multiplicative gate.

        m_j  = W_m x_j + b_m
        A_ir = mean of m_j over the neighbours j of i by relation r            (zero without any)
        U_ir = GELU(A_ir ⊙ v_r)
        s_i  = Σ_r a_ir U_ir,         a_i = W_a x_i + b_a ∈ R^relations        (linear, no softmax)
        o_i  = (W_s x_i + b_s) ⊙ (W_g s_i + b_g)                               (linear, no sigmoid)

    Parameters: 3 (C² + C) + R (C + 1) + R C, against (R + 1) C² + C of a relational convolution. U
    is computed only for the pairs (i, r) that have neighbours: most have none. v starts at 1; the
    released code draws it from (−1, 1), which flips the sign of half of the channels.

    Args:
        width: C.
        relations: R.

    Shapes: x (N, width), sender (E,), receiver (E,), relation (E,) in [0, relations), weight (E,) >
    0 or None for ones; returns (N, width).
    """

    def __init__(self, width: int, relations: int) -> None:
        super().__init__()
        self.width, self.relations = width, relations
        self.message = nn.Linear(width, width)
        self.scale = nn.Parameter(torch.ones(relations, width))  # v
        self.mix = nn.Linear(width, relations)  # a
        self.own = nn.Linear(width, width)  # W_s
        self.gate = nn.Linear(width, width)  # W_g

    def forward(
        self,
        x: Tensor,
        sender: Tensor,
        receiver: Tensor,
        relation: Tensor,
        weight: Tensor | None = None,
    ) -> Tensor:
        """Return o, (N, width)."""
        key = receiver * self.relations + relation
        pair, which = torch.unique(key, return_inverse=True)  # (P,), (E,)
        node, kind = (
            torch.div(pair, self.relations, rounding_mode="floor"),
            pair % self.relations,
        )
        # Shape (E, 1).
        factor = x.new_ones(len(sender), 1) if weight is None else weight[:, None]
        weighted = self.message(x)[sender] * factor
        total = scatter_sum(weighted, which, len(pair))  # (P, width)
        mean = total / scatter_sum(factor, which, len(pair)).clamp_min(1e-10)  # A
        used = gelu(mean * self.scale[kind], approximate="tanh")  # U
        mixed = scatter_sum(self.mix(x)[node, kind][:, None] * used, node, len(x))  # s
        return self.own(x) * self.gate(mixed)


class GatedRelationalBlock(nn.Module):
    """EurNet's block: x + W_p GRMP(LN x), then x + FFN(LN x), `expansion` times as wide inside.

    Shapes as in GatedRelationalMessage.
    """

    def __init__(self, width: int, relations: int, expansion: int = 4) -> None:
        super().__init__()
        self.norm, self.pass_on = (
            nn.LayerNorm(width),
            GatedRelationalMessage(width, relations),
        )
        self.project = nn.Linear(width, width)
        self.inner_norm = nn.LayerNorm(width)
        self.up, self.down = (
            nn.Linear(width, expansion * width),
            nn.Linear(expansion * width, width),
        )

    def forward(
        self,
        x: Tensor,
        sender: Tensor,
        receiver: Tensor,
        relation: Tensor,
        weight: Tensor | None = None,
    ) -> Tensor:
        """Return the new states, (N, width)."""
        x = x + self.project(
            self.pass_on(self.norm(x), sender, receiver, relation, weight)
        )
        return x + self.down(gelu(self.up(self.inner_norm(x)), approximate="tanh"))
