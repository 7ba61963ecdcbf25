"""Labelled graphs of a domain, and nets of every encoder over them at equal parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gnn.layers.encoders import (
    PAPER,
    Encoder,
    RelationalNet,
    parameters_of,
    width_for,
)

ENCODERS = (*map(str, Encoder), PAPER)


class Readout(StrEnum):
    """Output of a task."""

    GRAPH = "graph"
    """Numbers of a graph, from the mean over its nodes and the mean over marked nodes."""
    NODES = "nodes"
    """One number for each marked node."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """One labelled instance."""

    x: NDArray[np.float32]  # (N, F)
    sender: NDArray[np.int64]
    receiver: NDArray[np.int64]
    relation: NDArray[np.int64]
    marked: NDArray[np.bool_]  # (N,) nodes that the readout looks at apart
    target: NDArray[np.float32]  # (K,) of a graph
    real: int = 0  # nodes that are not virtual; 0: all
    # Of a task over nodes: sets of marked nodes, (P, n) and (Q, n).
    positives: NDArray[np.float32] | None = None
    negatives: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Graphs side by side."""

    x: Tensor
    sender: Tensor
    receiver: Tensor
    relation: Tensor
    graph: Tensor  # (N,) number of the graph, −1 of virtual nodes
    marked: Tensor
    count: int
    target: Tensor  # (B, K)

    @property
    def edges(self) -> tuple[Tensor, Tensor, Tensor]:
        """Senders, receivers and relations."""
        return self.sender, self.receiver, self.relation


def joined(graphs: Sequence[Graph]) -> Batch:
    """Return one batch; node numbers are shifted."""
    starts = np.cumsum([0, *(len(graph.x) for graph in graphs)])
    number = [
        np.where(np.arange(len(g.x)) < (g.real or len(g.x)), i, -1)
        for i, g in enumerate(graphs)
    ]
    return Batch(
        x=torch.from_numpy(np.concatenate([graph.x for graph in graphs])),
        sender=_shifted([graph.sender for graph in graphs], starts),
        receiver=_shifted([graph.receiver for graph in graphs], starts),
        relation=torch.from_numpy(np.concatenate([graph.relation for graph in graphs])),
        graph=torch.from_numpy(np.concatenate(number)),
        marked=torch.from_numpy(np.concatenate([graph.marked for graph in graphs])),
        count=len(graphs),
        target=torch.from_numpy(np.stack([graph.target for graph in graphs])),
    )


def _shifted(parts: Sequence[NDArray[np.int64]], starts: NDArray[np.int64]) -> Tensor:
    moved = [part + start for part, start in zip(parts, starts, strict=False)]
    return torch.from_numpy(np.concatenate(moved))


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A domain's graphs with a loss and a figure."""

    name: str
    relations: tuple[str, ...]
    graphs: tuple[Graph, ...]
    groups: tuple[str, ...]  # of each graph: a group is on one side of a split
    readout: Readout
    metric: str  # lower is better
    paper: Callable[[int, int], nn.Module]
    """(inputs, width) → the paper's encoder over nodes, of the form of `RelationalNet`."""
    batch: int = 8

    @property
    def inputs(self) -> int:
        """Features of a node."""
        return int(self.graphs[0].x.shape[1])

    @property
    def outputs(self) -> int:
        """Numbers that the head gives."""
        return len(self.graphs[0].target) if self.readout is Readout.GRAPH else 1


class TaskNet(nn.Module):  # type: ignore[misc]
    """Encoder over nodes, readout and head."""

    def __init__(self, task: Task, encoder: str, width: int, layers: int = 2) -> None:
        super().__init__()
        self.readout = task.readout
        self.encoder = (
            task.paper(task.inputs, width)
            if encoder == PAPER
            else RelationalNet(
                encoder, task.inputs, width, len(task.relations), layers=layers
            )
        )
        inner = 2 * width if task.readout is Readout.GRAPH else width
        self.head = nn.Sequential(
            nn.Linear(inner, width), nn.ReLU(), nn.Linear(width, task.outputs)
        )

    def embed(self, batch: Batch) -> Tensor:
        """Return (B, 2 width) states of graphs, or (n, width) of the marked nodes."""
        states: Tensor = self.encoder(batch.x, *batch.edges)
        if self.readout is Readout.NODES:
            return states[batch.marked]
        real = batch.graph >= 0
        whole = _means(states, batch.graph, real, batch.count)
        part = _means(states, batch.graph, real & batch.marked, batch.count)
        return torch.cat([whole, part], dim=1)

    def forward(self, batch: Batch) -> Tensor:
        """Return (B, outputs), or (n,) logits of the marked nodes."""
        out: Tensor = self.head(self.embed(batch))
        return out[:, 0] if self.readout is Readout.NODES else out


def _means(states: Tensor, graph: Tensor, rows: Tensor, count: int) -> Tensor:
    sums = torch.zeros(count, states.shape[1]).index_add(0, graph[rows], states[rows])
    sizes = torch.bincount(graph[rows], minlength=count).clamp_min(1)
    return sums / sizes[:, None]


@dataclass(frozen=True, kw_only=True)
class Training:
    """Parameters of one training run."""

    steps: int = 100
    rate: float = 3e-3
    decay: float = 1e-3
    clip: float = 5.0


Loss = Callable[[TaskNet, Sequence[Graph]], Tensor]


def train(
    net: TaskNet,
    task: Task,
    rows: Sequence[int],
    training: Training,
    loss: Loss,
    rng: np.random.Generator,
) -> float:
    """Train in place on some graphs; return CPU milliseconds of a step."""
    optimizer = torch.optim.AdamW(
        net.parameters(), training.rate, weight_decay=training.decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.steps)
    began = time.process_time()
    net.train()
    for _ in range(training.steps):
        drawn = rng.choice(rows, min(task.batch, len(rows)), replace=False)
        value = loss(net, [task.graphs[i] for i in drawn])
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(net.parameters(), training.clip)
        optimizer.step()
        schedule.step()
    net.eval()
    return (time.process_time() - began) / training.steps * 1e3


def widths(task: Task, parameters_like: int) -> dict[str, int]:
    """Return the width of each encoder with about the parameters of GRMP of a width."""
    target = parameters_of(TaskNet(task, str(Encoder.GRMP), parameters_like))
    return {
        encoder: width_for(target, partial(_net, task, encoder)) for encoder in ENCODERS
    }


def _net(task: Task, encoder: str, width: int) -> nn.Module:
    # Attention of the papers has two heads, so widths are even; `width_for` tries even ones.
    return TaskNet(task, encoder, width)


def split(
    groups: Sequence[str], seed: int, share: float = 0.3
) -> tuple[list[int], list[int]]:
    """Return (graphs to fit, graphs held out); every group is on one side."""
    names = np.random.default_rng(seed).permutation(sorted(set(groups)))
    target, held_out, count = share * len(groups), set(), 0
    for name in names:
        if count >= target:
            break
        held_out.add(str(name))
        count += sum(group == name for group in groups)
    rows = range(len(groups))
    out = [i for i in rows if groups[i] in held_out]
    return [i for i in rows if groups[i] not in held_out], out
