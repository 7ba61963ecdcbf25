"""Encoders of the domains' own papers in the form of `RelationalNet`: inputs, edges → states."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnn.layers.attention import SeparableAttention
from gnn.layers.gean import GraphEdgeAttention

_EDGE_WIDTH, _HEADS, _LAYERS = 8, 2, 2


class Gean(nn.Module):  # type: ignore[misc]
    """Graph edge attention over all relations (Liang et al., ICML 2023)."""

    def __init__(self, inputs: int, width: int, relations: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.edge = nn.Embedding(relations, _EDGE_WIDTH)
        self.layers = nn.ModuleList(
            GraphEdgeAttention(width, _EDGE_WIDTH, _HEADS) for _ in range(_LAYERS)
        )

    def forward(
        self, x: Tensor, sender: Tensor, receiver: Tensor, relation: Tensor
    ) -> Tensor:
        """Return states of the nodes, (N, width)."""
        x, edges = self.first(x), self.edge(relation)
        for layer in self.layers:
            x, edges = layer(x, edges, sender, receiver)
        return x


class HalfConvolutions(nn.Module):  # type: ignore[misc]
    """Variables → rows → variables by separable attention (Huang et al., ICML 2023).

    Only the first `used` relations are read, which are the entries of the matrix.
    """

    def __init__(self, inputs: int, width: int, used: int) -> None:
        super().__init__()
        self.used = used
        self.first = nn.Sequential(nn.Linear(inputs, width), nn.ReLU())
        self.edge = nn.Embedding(used, width)
        self.attention = nn.ModuleList(
            SeparableAttention(width, _HEADS) for _ in range(2)
        )
        self.out = nn.ModuleList(
            nn.Sequential(nn.Linear(2 * width, width), nn.ReLU()) for _ in range(2)
        )

    def forward(
        self, x: Tensor, sender: Tensor, receiver: Tensor, relation: Tensor
    ) -> Tensor:
        """Return states of the nodes, (N, width)."""
        mine = relation < self.used
        order = torch.argsort(receiver[mine], stable=True)
        index = torch.stack([receiver[mine][order], sender[mine][order]])
        edges = self.edge(relation[mine][order])
        x = self.first(x)
        for attention, out in zip(self.attention, self.out, strict=True):
            message = attention(x, edges, index, len(x), uniform=False)
            x = out(torch.cat([message, x], dim=1))
        return x


class Convolutions(nn.Module):  # type: ignore[misc]
    """Residual 3 × 3 convolutions over the pixels, as the shipped surrogate's trunk."""

    def __init__(self, inputs: int, width: int, cells: int) -> None:
        super().__init__()
        self.cells = cells
        self.stem = nn.Conv2d(inputs, width, 3, padding=1)
        layers = range(_LAYERS)
        self.inner = nn.ModuleList(_convolution(width) for _ in layers)
        self.outer = nn.ModuleList(_convolution(width) for _ in layers)
        self.whole = nn.ModuleList(nn.Linear(width, width) for _ in layers)

    def forward(
        self, x: Tensor, sender: Tensor, receiver: Tensor, relation: Tensor
    ) -> Tensor:
        """Return states of the nodes; those beyond the pixels of a board are zero."""
        per_board = self.cells**2 + 1  # and the virtual node
        boards = x.view(-1, per_board, x.shape[1])
        image = boards[:, :-1].transpose(1, 2)
        h = self.stem(image.reshape(len(boards), -1, self.cells, self.cells))
        for inner, outer, whole in zip(self.inner, self.outer, self.whole, strict=True):
            mean = whole(h.mean(dim=(2, 3)))[:, :, None, None]
            h = h + outer(torch.nn.functional.silu(inner(h) + mean))
        flat = h.flatten(2).transpose(1, 2)
        padded = torch.cat([flat, torch.zeros(len(flat), 1, flat.shape[2])], dim=1)
        return padded.flatten(0, 1)


def _convolution(width: int) -> nn.Module:
    return nn.Conv2d(width, width, 3, padding=1)
