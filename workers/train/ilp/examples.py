"""States as tensors: the graph at an incumbent, and its sets over the integer variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gnn.pretrain.losses import info_nce
from search.lns.features import GraphBuilder, VariableFeature
from solvers.relaxation import Relaxation
from solvers.types import MilpModel
from workers.train.ilp.states import State

TEMPERATURE = 0.07


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One state as tensors; sets hold the q integer variables alone."""

    family: str
    variables: Tensor
    rows: Tensor
    edges: Tensor
    index: Tensor
    integer: Tensor  # (q,) columns of the integer variables
    positives: Tensor  # (P, q) float
    negatives: Tensor  # (Q, q) float

    @property
    def lp_difference(self) -> Tensor:
        """|x̂ − x_LP| of the integer variables, (q,): what LB-RELAX orders them by."""
        return self.variables[self.integer, VariableFeature.INCUMBENT_DIFFERENCE]


def loss_of(logits: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Return the InfoNCE loss of one state. Shapes (n,), (P, n), (Q, n) → ()."""
    probability = torch.sigmoid(logits)[None]
    up = torch.cosine_similarity(probability, positives) / TEMPERATURE  # (P,)
    down = torch.cosine_similarity(probability, negatives) / TEMPERATURE  # (Q,)
    return info_nce(up, down)


def recall(logits: Tensor, positives: Tensor, *, factor: float = 2.0) -> float:
    """Return the share of the best positive among `factor` times as many largest logits."""
    best = positives[0] > 0
    count = min(len(logits), int(factor * int(best.sum())))
    chosen = torch.topk(logits, count).indices
    return float(best[chosen].sum() / best.sum())


def chance(example: Example, *, factor: float = 2.0) -> float:
    """Return the recall of random scores."""
    return min(1.0, factor * float(example.positives[0].mean()))


def examples_of(
    model: MilpModel, family: str, states: Sequence[State], *, root_s: float = 60.0
) -> tuple[list[np.ndarray], list[Example]]:
    """Return the summary of an instance and its states as tensors; nothing without a root LP."""
    root = Relaxation(model).root(time_limit_s=root_s)
    if not root.optimal or not states:
        return [], []
    builder = GraphBuilder(model, root)
    integer = np.flatnonzero(model.integrality)
    examples = []
    for i, state in enumerate(states):
        graph = builder.at([s.x for s in reversed(states[max(0, i - 2) : i + 1])])
        entry_row = np.repeat(
            np.arange(graph.matrix.shape[0]), np.diff(graph.matrix.indptr)
        )
        uniform = bool((graph.edges == graph.edges[0]).all())
        examples.append(
            Example(
                family=family,
                variables=torch.from_numpy(graph.variables),
                rows=torch.from_numpy(graph.rows),
                edges=torch.from_numpy(graph.edges[:1] if uniform else graph.edges),
                index=torch.from_numpy(
                    np.stack([entry_row, graph.matrix.indices]).astype(np.int64)
                ),
                integer=torch.from_numpy(integer),
                positives=torch.from_numpy(state.positives[:, integer]).float(),
                negatives=torch.from_numpy(state.negatives[:, integer]).float(),
            )
        )
    return [builder.summary()], examples


def normalise(model: nn.Module, examples: Sequence[Example]) -> None:
    """Set the model's mean and spread of each feature to those of the examples."""
    for name, pick in (("variable", "variables"), ("row", "rows"), ("edge", "edges")):
        # Every state counts the same, large or small.
        mean = torch.stack(
            [getattr(e, pick).double().mean(dim=0) for e in examples]
        ).mean(dim=0)
        square = torch.stack(
            [(getattr(e, pick).double() ** 2).mean(dim=0) for e in examples]
        ).mean(dim=0)
        std = (square - mean**2).clamp_min(0).sqrt()
        getattr(model, f"{name}_mean").copy_(mean.float())
        getattr(model, f"{name}_std").copy_(
            torch.where(std < 1e-4, torch.ones_like(std), std).float()
        )


def score(model: nn.Module, example: Example) -> Tensor:
    """Return (q,) the logits of the integer variables."""
    logits: Tensor = model(example.variables, example.rows, example.edges, example.index)
    return logits[example.integer]
