"""Probe accuracies on the contextual block model: each loss beside three controls."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from gnn.pretrain import losses
from gnn.pretrain.diagnostics import collapse, lidar
from gnn.pretrain.loop import PretrainParams, pretrain
from gnn.pretrain.objectives import (
    JointEmbedding,
    Loss,
    MaskedFeatures,
    Objective,
    objective_of,
)
from workers.bench.pretrain.block_model import (
    Augmentation,
    BlockGraph,
    BlockParams,
    GraphEncoder,
    draw_graph,
    smooth,
)
from workers.bench.pretrain.probes import neighbour_accuracy, ridge_accuracy
from workers.bench.stats import mean_interval

LABELS = (1, 5, 20)  # of each class
RATE = 5e-3  # of 0.002 and 0.005 the better one for every loss tried, on graph 0
CONTROLS = ("features", "smoothed features", "random encoder")
_LIDAR_VIEWS = 8
Line = dict[str, Any]


def run(
    *, seeds: Sequence[int], steps: int, params: BlockParams | None = None
) -> Iterator[Line]:
    """Yield a line for each arm and seed, then a line for each arm with intervals."""
    rows: dict[str, list[Line]] = {}
    for seed in seeds:
        graph = draw_graph(params or BlockParams(), seed)
        for arm in (*CONTROLS, *Loss):
            start = time.process_time()
            line = _scores(_embeddings(arm, graph, seed, steps), graph)
            cpu_s = round(time.process_time() - start, 2)
            line = {"arm": str(arm), "graph_seed": seed, **line, "cpu_s": cpu_s}
            rows.setdefault(str(arm), []).append(line)
            yield line
    for arm, lines in rows.items():
        summary: Line = {"arm": arm, "graph_seed": "all", "seeds": len(lines)}
        for name in (*(f"ridge_{n}" for n in LABELS), "neighbours", "rankme"):
            mean, low, high = mean_interval([line[name] for line in lines])
            summary[name] = [round(value, 4) for value in (mean, low, high)]
        yield summary


def selection(
    *, seeds: Sequence[int], steps: int, params: BlockParams | None = None
) -> Iterator[Line]:
    """Yield the rank correlation of label-free scores with the probe over settings of VICReg."""
    correlations: dict[str, list[float]] = {}
    for seed in seeds:
        graph = draw_graph(params or BlockParams(), seed)
        rows = [_setting(graph, seed, steps, **setting) for setting in SETTINGS]
        yield from rows
        probe = [row["ridge_5"] for row in rows]
        for score in ("rankme", "alpha", "lidar"):
            values = [row[score] for row in rows]
            if score == "alpha":  # best near 1
                values = [-abs(value - 1) for value in values]
            rho = float(spearmanr(values, probe).statistic)
            correlations.setdefault(score, []).append(rho)
    for score, rhos in correlations.items():
        mean, low, high = mean_interval(rhos)
        yield {
            "score": score,
            "graph_seed": "all",
            "seeds": len(rhos),
            "settings": len(SETTINGS),
            "spearman": [round(value, 3) for value in (mean, low, high)],
        }


# Weights of VICReg, strength of the views, and learning rate.
SETTINGS: tuple[dict[str, float], ...] = (
    {},
    {"covariance": 0.0},
    {"covariance": 25.0},
    {"variance": 1.0},
    {"variance": 0.0, "covariance": 0.0},
    {"invariance": 1.0},
    {"invariance": 5.0},
    {"drop": 0.0},
    {"drop": 1.9},
    {"rate": 5e-2},
    {"rate": 2e-4},
)


def _embeddings(arm: str, graph: BlockGraph, seed: int, steps: int) -> Tensor:
    match arm:
        case "features":
            return graph.x
        case "smoothed features":
            return smooth(smooth(graph.x, graph.edges), graph.edges)
    torch.manual_seed(seed)
    encoder = GraphEncoder(graph.x.shape[1])
    if arm != "random encoder":
        objective = objective_of(Loss(arm), encoder, encoder.width, graph.x.shape[1])
        train(
            encoder, objective, graph, PretrainParams(steps=steps, rate=RATE), seed=seed
        )
    return _encode(encoder, graph)


def train(
    encoder: GraphEncoder,
    objective: Objective,
    graph: BlockGraph,
    params: PretrainParams,
    *,
    seed: int,
    augmentation: Augmentation | None = None,
) -> list[float]:
    """Pre-train the encoder on views of one graph; return the losses."""
    views = augmentation or Augmentation()
    masked = isinstance(objective, MaskedFeatures)
    draw = views.hidden if masked else views.two_views
    return pretrain(
        encoder,
        objective,
        lambda rng: draw(graph, rng),
        params,
        rng=torch.Generator().manual_seed(seed),
    )


def _encode(encoder: GraphEncoder, graph: BlockGraph) -> Tensor:
    with torch.no_grad():
        out: Tensor = encoder.eval()(graph.x, graph.edges)
    return out


def _scores(embeddings: Tensor, graph: BlockGraph) -> Line:
    """Return probe accuracies, and the alarm for the classes' dimensions."""
    line = {f"ridge_{n}": ridge_accuracy(embeddings, graph, n) for n in LABELS}
    state = collapse(embeddings, target_dimensions=graph.classes - 1)
    return {name: round(value, 4) for name, value in line.items()} | {
        "neighbours": round(neighbour_accuracy(embeddings, graph), 4),
        "rankme": round(state.rankme, 2),
        "alarm": list(state.reasons),
    }


def _setting(graph: BlockGraph, seed: int, steps: int, **setting: float) -> Line:
    """Train VICReg with other weights, views or rate; return its scores and its probe."""
    weights = {k: v for k, v in setting.items() if k not in ("drop", "rate")}
    factor = setting.get("drop", 1.0)
    usual = Augmentation()
    views = Augmentation(features=usual.features * factor, edges=usual.edges * factor)
    torch.manual_seed(seed)
    encoder = GraphEncoder(graph.x.shape[1])
    objective = JointEmbedding(lambda a, b: losses.vicreg(a, b, **weights), encoder.width)
    params = PretrainParams(steps=steps, rate=setting.get("rate", RATE))
    train(encoder, objective, graph, params, seed=seed, augmentation=views)
    embeddings = _encode(encoder, graph)
    rng = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        copies = torch.stack(
            [encoder(*views.view(graph, rng)) for _ in range(_LIDAR_VIEWS)], dim=1
        )
    state = collapse(embeddings, target_dimensions=graph.classes - 1)
    return {
        "setting": setting,
        "graph_seed": seed,
        "rankme": round(state.rankme, 2),
        "alpha": round(float(np.clip(state.alpha, -99, 99)), 3),
        "lidar": round(lidar(copies), 2),
        "ridge_5": round(ridge_accuracy(embeddings, graph, 5), 4),
        "alarm": list(state.reasons),
    }
