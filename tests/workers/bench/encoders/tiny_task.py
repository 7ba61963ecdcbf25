"""A task on paths of nodes: the target is the mean of one feature, and of marked nodes another."""

from __future__ import annotations

import numpy as np

from workers.bench.encoders.graphs import Graph, Readout, Task
from workers.bench.encoders.papers import Gean


def graph(rng: np.random.Generator, nodes: int = 8) -> Graph:
    x = rng.standard_normal((nodes + 1, 4)).astype(np.float32)
    x[-1] = 0
    place = np.arange(nodes - 1)
    sender = np.concatenate([place, place + 1, np.arange(nodes)])
    receiver = np.concatenate([place + 1, place, np.full(nodes, nodes)])
    kinds = np.repeat([0, 1, 2], [nodes - 1, nodes - 1, nodes])
    marked = np.arange(nodes + 1) < 2
    target = np.array([x[:nodes, 0].mean(), x[marked, 1].mean()], np.float32)
    return Graph(
        x=x,
        sender=sender,
        receiver=receiver,
        relation=kinds,
        marked=marked,
        target=target,
        real=nodes,
        positives=np.array([[1, 0]], np.float32),
        negatives=np.array([[0, 1]], np.float32),
    )


def task(graphs: int = 40, readout: Readout = Readout.GRAPH) -> Task:
    rng = np.random.default_rng(0)
    return Task(
        name="tiny",
        relations=("right", "left", "to all"),
        graphs=tuple(graph(rng) for _ in range(graphs)),
        groups=tuple(f"group {number // 2}" for number in range(graphs)),
        readout=readout,
        metric="squared error",
        paper=lambda inputs, width: Gean(inputs, width, 3),
    )
