"""Read-out: node and edge states → one vector per graph."""

from __future__ import annotations

import torch
from torch import Tensor

from gnn.layers.scatter import scatter_mean


def mean_of_instructions_and_edges(
    nodes: Tensor,
    edges: Tensor | None,
    instruction: Tensor,
    graph: Tensor,
    edge_graph: Tensor,
    graphs: int,
) -> Tensor:
    """Return GEAN's read-out: mean of instruction nodes ‖ mean of edges.

    The first part alone when there are no edge states.

    Shapes: nodes (N, D), edges (E, D_e), instruction (N,) bool, graph (N,), edge_graph (E,);
    returns (graphs, D + D_e).
    """
    mean = scatter_mean(nodes[instruction], graph[instruction], graphs)
    return (
        mean
        if edges is None
        else torch.cat([mean, scatter_mean(edges, edge_graph, graphs)], dim=1)
    )
