"""Domains of the label-efficiency curves: antennas and programs, with proxies and views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from cost_models.antenna.cavity import Cavity
from workers.bench.encoders import data
from workers.bench.encoders.data import Say
from workers.bench.encoders.graphs import Graph
from workers.bench.pretrain.labels import Domain
from workers.train.antenna.boards import DEFAULT
from workers.train.antenna.train import cavity_of
from workers.train.views.antennas import SYMMETRIES, antenna_view

_DROPPED = 0.15  # of the edges and of the features of a program's view


def antennas(shards: Path, *, most: int, say: Say) -> Domain:
    """Return antennas: proxy is the cavity model, views are the symmetries of the square board."""
    task, designs = data.antennas_with_designs(shards, most=most, say=say)
    cavity: Cavity = cavity_of(DEFAULT.facts)
    proxies = np.array(
        [
            cavity.features(mask.astype(float), np.array([feed]))[0]
            for mask, feed in designs
        ]
    )

    def view(number: int, rng: np.random.Generator) -> Graph:
        mask, feed = designs[number]
        turned = antenna_view(mask, [feed], int(rng.integers(SYMMETRIES)))
        return data.antenna_graph(
            turned.metal, turned.cells[0], task.graphs[number].target
        )

    return Domain(task=task, proxies=proxies, view=view)


def programs(corpus: Path, work: Path, *, most: int, say: Say) -> Domain:
    """Return programs: proxy is static counts, views drop edges and hide features."""
    task = data.programs(corpus, work, most=most, say=say)
    proxies = np.array([_counts(graph) for graph in task.graphs])

    def view(number: int, rng: np.random.Generator) -> Graph:
        graph = task.graphs[number]
        edges = rng.random(len(graph.sender)) >= _DROPPED
        shown = np.where(rng.random(graph.x.shape[1]) >= _DROPPED, 1, 0).astype(
            np.float32
        )
        return replace(
            graph,
            x=graph.x * shown,
            sender=graph.sender[edges],
            receiver=graph.receiver[edges],
            relation=graph.relation[edges],
        )

    return Domain(task=task, proxies=proxies, view=view)


def _counts(graph: Graph) -> np.ndarray:
    """Static numbers of a program: words of its instructions, sizes, edges of each relation."""
    relations = np.bincount(graph.relation, minlength=int(graph.relation.max()) + 1)
    words = graph.x[: graph.real].mean(axis=0)
    sizes = np.log1p([graph.real, graph.marked.sum(), len(graph.sender)])
    return np.concatenate([words, sizes, np.log1p(relations[:12])])
