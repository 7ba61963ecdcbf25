"""Encoders of graphs with relations: GRMP, and torch-geometric's layers as its rivals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from gnn.layers.grmp import GatedRelationalBlock


class Encoder(StrEnum):
    """Layers by the word that options use."""

    GRMP = "grmp"
    RGCN = "rgcn"
    GAT = "gat"
    GINE = "gine"


PAPER = "paper"
"""Word of the encoder that a domain's own paper uses, beside those of `Encoder`."""


class RivalBlock(nn.Module):
    """The block of GRMP with another layer: x + W_p layer(LN x), then x + FFN(LN x).

    Shapes as in `gnn.layers.grmp.GatedRelationalMessage`; edges have no weights.
    """

    def __init__(self, width: int, layer: nn.Module, expansion: int = 4) -> None:
        super().__init__()
        self.norm, self.pass_on = nn.LayerNorm(width), layer
        self.project = nn.Linear(width, width)
        self.inner_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)

    def forward(
        self, x: Tensor, sender: Tensor, receiver: Tensor, relation: Tensor
    ) -> Tensor:
        """Return the new states, (N, width)."""
        edges = torch.stack([sender, receiver])
        x = x + self.project(
            gelu(self.pass_on(self.norm(x), edges, relation), approximate="tanh")
        )
        return x + self.down(gelu(self.up(self.inner_norm(x)), approximate="tanh"))


class EdgeFeatures(nn.Module):
    """A layer that reads features of edges, with one learned vector for each relation."""

    def __init__(self, layer: nn.Module, relations: int, width: int) -> None:
        super().__init__()
        self.layer, self.kind = layer, nn.Embedding(relations, width)

    def forward(self, x: Tensor, edges: Tensor, relation: Tensor) -> Tensor:
        """Return the layer's output, (N, width)."""
        out: Tensor = self.layer(x, edges, edge_attr=self.kind(relation))
        return out


def _grmp(width: int, relations: int, expansion: int) -> nn.Module:
    return GatedRelationalBlock(width, relations, expansion)


def _rgcn(width: int, relations: int, expansion: int) -> nn.Module:
    """Mean by relation, a dense map each (Schlichtkrull et al., 2018)."""
    from torch_geometric.nn import RGCNConv

    return RivalBlock(width, RGCNConv(width, width, relations), expansion)


def _gat(width: int, relations: int, expansion: int) -> nn.Module:
    """One head of attention over neighbours and relations (Veličković et al., 2018)."""
    from torch_geometric.nn import GATConv

    layer = GATConv(width, width, edge_dim=_EDGE_WIDTH)
    return RivalBlock(width, EdgeFeatures(layer, relations, _EDGE_WIDTH), expansion)


def _gine(width: int, relations: int, expansion: int) -> nn.Module:
    """Sum of ReLU(neighbour + relation), then an MLP (Hu et al., 2020)."""
    from torch_geometric.nn import GINEConv

    inside = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
    return RivalBlock(width, EdgeFeatures(GINEConv(inside), relations, width), expansion)


_EDGE_WIDTH = 8
ENCODERS: Mapping[Encoder, Callable[[int, int, int], nn.Module]] = MappingProxyType(
    {
        Encoder.GRMP: _grmp,
        Encoder.RGCN: _rgcn,
        Encoder.GAT: _gat,
        Encoder.GINE: _gine,
    }
)


def relational_block(
    encoder: Encoder | str, width: int, relations: int, *, expansion: int = 4
) -> nn.Module:
    """Return one block: forward(x, sender, receiver, relation) → (N, width).

    Raises ValueError on other words, and ModuleNotFoundError where torch-geometric is needed and
    missing.
    """
    try:
        make = ENCODERS[Encoder(encoder)]
    except ValueError:
        raise ValueError(
            f"encoder: expected one of {', '.join(Encoder)}, got {encoder!r}"
        ) from None
    return make(width, relations, expansion)


class RelationalNet(nn.Module):
    """Linear → blocks → layer norm over nodes.

    Shapes: x (N, inputs), edges as in `relational_block`; returns (N, width).
    """

    def __init__(
        self,
        encoder: Encoder | str,
        inputs: int,
        width: int,
        relations: int,
        *,
        layers: int = 2,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(
            relational_block(encoder, width, relations, expansion=expansion)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: Tensor, sender: Tensor, receiver: Tensor, relation: Tensor
    ) -> Tensor:
        """Return states of the nodes, (N, width)."""
        x = self.first(x)
        for block in self.blocks:
            x = block(x, sender, receiver, relation)
        out: Tensor = self.norm(x)
        return out


def parameters_of(net: nn.Module) -> int:
    """Return the number of trained parameters."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def width_for(
    parameters: int, build: Callable[[int], nn.Module], *, most: int = 512
) -> int:
    """Return the even width whose net has the number of parameters closest to `parameters`."""
    low, high = 1, most // 2
    while low < high:  # parameters grow with the width
        middle = (low + high) // 2
        if parameters_of(build(2 * middle)) < parameters:
            low = middle + 1
        else:
            high = middle
    return min(
        (2 * max(1, low - 1), 2 * low),
        key=lambda width: abs(parameters_of(build(width)) - parameters),
    )
