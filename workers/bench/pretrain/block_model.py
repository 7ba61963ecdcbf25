"""Contextual stochastic block model: a graph whose classes show in features and edges alike.

Deshpande et al. (2018), "Contextual Stochastic Block Models". Edges join two nodes with one of two
probabilities, by whether their classes agree; features are a class mean plus unit noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gnn.layers.scatter import scatter_sum
from gnn.pretrain.objectives import Hidden, TwoViews
from gnn.pretrain.views import drop_edges, drop_features, hide_rows


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockGraph:
    """One graph: features (N, F), edges (2, E) both ways, classes (N,)."""

    x: Tensor
    edges: Tensor
    label: Tensor
    train: Tensor
    """(N / 3,) nodes that labels are drawn from; the others are tested."""
    test: Tensor

    @property
    def classes(self) -> int:
        """Return the number of classes."""
        return int(self.label.max()) + 1


@dataclass(frozen=True, kw_only=True)
class BlockParams:
    """Sizes and strengths of a graph; the defaults have degree 10 and homophily 0.58."""

    nodes: int = 1500
    classes: int = 5
    features: int = 32
    inside: float = 0.020
    """Probability of an edge within a class."""
    across: float = 0.0035
    signal: float = 0.35
    """Standard deviation of the class means; noise has 1."""


def draw_graph(params: BlockParams, seed: int) -> BlockGraph:
    """Draw a graph."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(params.classes), params.nodes // params.classes)
    count = len(label)
    same = label[:, None] == label[None]
    joined = np.triu(
        rng.random((count, count)) < np.where(same, params.inside, params.across), 1
    )
    edges = np.stack(np.nonzero(joined | joined.T))
    mean = params.signal * rng.normal(size=(params.classes, params.features))
    x = mean[label] + rng.normal(size=(count, params.features))
    order = torch.from_numpy(rng.permutation(count))
    return BlockGraph(
        x=torch.from_numpy(x).float(),
        edges=torch.from_numpy(edges),
        label=torch.from_numpy(label),
        train=order[: count // 3],
        test=order[count // 3 :],
    )


def smooth(x: Tensor, edges: Tensor) -> Tensor:
    """Average each node with its neighbours. Shapes: x (N, C), edges (2, E); returns (N, C)."""
    degree = 1 + torch.bincount(edges[1], minlength=len(x))
    return (x + scatter_sum(x[edges[0]], edges[1], len(x))) / degree[:, None]


class GraphEncoder(nn.Module):  # type: ignore[misc]
    """Two graph convolutions with batch normalisation between them."""

    def __init__(self, features: int, width: int = 64) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(features, width), nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)
        self.width = width

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Return embeddings, (N, width)."""
        hidden = relu(self.norm(smooth(self.first(x), edges)))
        return smooth(self.second(hidden), edges)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Shares that a view drops of feature columns and edges, and that masking hides of nodes."""

    features: float = 0.3
    edges: float = 0.4
    nodes: float = 0.5
    rows: int = 512
    """Nodes that enter a loss between two views."""

    def view(self, graph: BlockGraph, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the arguments of the encoder for one view."""
        return (
            drop_features(graph.x, self.features, rng),
            drop_edges(graph.edges, self.edges, rng),
        )

    def two_views(self, graph: BlockGraph, rng: torch.Generator) -> TwoViews:
        """Return two views."""
        return TwoViews(
            first=self.view(graph, rng),
            second=self.view(graph, rng),
            rows=torch.randperm(len(graph.x), generator=rng)[: self.rows],
        )

    def hidden(self, graph: BlockGraph, rng: torch.Generator) -> Hidden:
        """Return the graph with some nodes hidden."""
        shown, rows = hide_rows(graph.x, self.nodes, rng)
        return Hidden(view=(shown, graph.edges), rows=rows, features=graph.x)
