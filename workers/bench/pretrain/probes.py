"""Probes of frozen embeddings: ridge regression on few labels, and nearest neighbours."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from workers.bench.pretrain.block_model import BlockGraph

RIDGE = 5.0
NEIGHBOURS = 15
NEIGHBOUR_TEMPERATURE = 0.1


def ridge_accuracy(
    embeddings: Tensor, graph: BlockGraph, labels: int, *, draws: int = 10
) -> float:
    """Return the accuracy on the test nodes with `labels` nodes of each class, mean over draws.

    Columns are standardised over the training nodes, whose labels are not needed for that.
    """
    fitted = embeddings[graph.train]
    x = (embeddings - fitted.mean(dim=0)) / (fitted.std(dim=0) + 1e-6)
    x = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    accuracies = []
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        chosen = torch.cat(
            [_choose(graph, label, labels, rng) for label in range(graph.classes)]
        )
        a = x[chosen]
        y = one_hot(graph.label[chosen], graph.classes).float()
        weights = torch.linalg.solve(a.T @ a + RIDGE * torch.eye(a.shape[1]), a.T @ y)
        guess = (x[graph.test] @ weights).argmax(dim=1)
        accuracies.append(float((guess == graph.label[graph.test]).float().mean()))
    return float(np.mean(accuracies))


def neighbour_accuracy(embeddings: Tensor, graph: BlockGraph) -> float:
    """Return the accuracy of a vote of the nearest training nodes by cosine, weights e^(s/T)."""
    z = normalize(embeddings, dim=1)
    near = (z[graph.test] @ z[graph.train].T).topk(NEIGHBOURS, dim=1)
    vote = torch.zeros(len(graph.test), graph.classes).scatter_add_(
        1,
        graph.label[graph.train][near.indices],
        (near.values / NEIGHBOUR_TEMPERATURE).exp(),
    )
    return float((vote.argmax(dim=1) == graph.label[graph.test]).float().mean())


def _choose(
    graph: BlockGraph, label: int, count: int, rng: np.random.Generator
) -> Tensor:
    candidates = graph.train[graph.label[graph.train] == label]
    return candidates[torch.from_numpy(rng.permutation(len(candidates))[:count])]
