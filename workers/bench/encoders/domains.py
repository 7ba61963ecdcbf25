"""Encoders in three domains at equal parameters, paired over seeds, and the rule that decides.

A seed draws the split, the weights and the batches, and is the same for all encoders. Rule of
adoption, fixed in advance: an encoder replaces the domain's own one if its loss is at least 5 %
lower with the interval of the paired difference below 0, or if it is as good (interval within 2 %)
with at least 1.3 times faster steps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gnn.layers.encoders import PAPER, parameters_of
from gnn.pretrain.losses import info_nce
from workers.bench.encoders.graphs import (
    Graph,
    Readout,
    Task,
    TaskNet,
    Training,
    joined,
    split,
    train,
    widths,
)
from workers.bench.stats import mean_interval

Line = dict[str, Any]
LOWER, SAME, FASTER = 0.05, 0.02, 1.3
_TEMPERATURE = 0.07  # of CL-LNS


def loss(net: TaskNet, graphs: Sequence[Graph]) -> Tensor:
    """Return the training loss of some graphs: squared error, or the contrastive loss."""
    if net.readout is Readout.GRAPH:
        batch = joined(graphs)
        return ((net(batch) - batch.target) ** 2).mean()
    values = []
    for graph in graphs:
        logits = net(joined([graph]))
        assert graph.positives is not None
        assert graph.negatives is not None
        positives, negatives = map(torch.from_numpy, (graph.positives, graph.negatives))
        probability = torch.sigmoid(logits)[None]
        up, down = (
            torch.cosine_similarity(probability, sets) / _TEMPERATURE
            for sets in (positives, negatives)
        )
        values.append(info_nce(up, down))
    return torch.stack(values).mean()


def held_out_loss(net: TaskNet, task: Task, rows: Sequence[int]) -> float:
    """Return the mean loss over graphs that the net did not see."""
    with torch.no_grad():
        values = [float(loss(net, [task.graphs[i]])) for i in rows]
    return float(np.mean(values))


def constant_loss(task: Task, fit: Sequence[int], rows: Sequence[int]) -> float | None:
    """Return the loss of the mean target, as a floor for nets; None for tasks over nodes."""
    if task.readout is not Readout.GRAPH:
        return None
    mean = np.mean([task.graphs[i].target for i in fit], axis=0)
    errors = [np.mean((task.graphs[i].target - mean) ** 2) for i in rows]
    return float(np.mean(errors))


def rivals(
    task: Task,
    *,
    encoders: Sequence[str],
    seeds: Sequence[int],
    width: int,
    training: Training,
    earlier: Sequence[Line] = (),
) -> Iterator[Line]:
    """Yield a line for each encoder and seed that `earlier` has not, then the comparison."""
    wide = widths(task, width)
    lines = [line for line in earlier if line.get("task") == task.name]
    done = {(line["encoder"], line["run_seed"]) for line in lines}
    for seed in seeds:
        fit, out = split(task.groups, seed)
        for encoder in encoders:
            if (encoder, seed) in done:
                continue
            torch.manual_seed(seed)
            net = TaskNet(task, encoder, wide[encoder])
            rng = np.random.default_rng(seed)
            step_ms = train(net, task, fit, training, loss, rng)
            line: Line = {
                "task": task.name,
                "metric": task.metric,
                "encoder": encoder,
                "run_seed": seed,
                "width": wide[encoder],
                "parameters": parameters_of(net),
                "fit": len(fit),
                "held_out": len(out),
                "steps": training.steps,
                "loss": round(held_out_loss(net, task, out), 5),
                "constant": constant_loss(task, fit, out),
                "step_cpu_ms": round(step_ms, 2),
            }
            lines.append(line)
            yield line
    yield from compared(lines, task.name, encoders, set(seeds))


def compared(
    lines: Sequence[Line], name: str, encoders: Sequence[str], seeds: Collection[int]
) -> Iterator[Line]:
    """Yield mean loss and the paired comparison with the domain's own encoder."""
    by: dict[str, dict[int, Line]] = {encoder: {} for encoder in encoders}
    for line in lines:
        if line["encoder"] in by and line["run_seed"] in seeds:
            by[line["encoder"]][line["run_seed"]] = line
    own = by.get(PAPER, {})
    for encoder, rows in by.items():
        common = sorted(set(rows) & set(own))
        summary: Line = {
            "task": name,
            "encoder": encoder,
            "run_seed": "all",
            "seeds": len(rows),
            "loss": _rounded(mean_interval([row["loss"] for row in rows.values()])),
        }
        if encoder != PAPER and common:
            relative = [rows[s]["loss"] / own[s]["loss"] - 1 for s in common]
            faster = float(
                np.median(
                    [own[s]["step_cpu_ms"] / rows[s]["step_cpu_ms"] for s in common]
                )
            )
            summary["loss_against_paper"] = _rounded(mean_interval(relative))
            summary["step_speed_against_paper"] = round(faster, 2)
            summary["verdict"] = verdict(mean_interval(relative), faster)
        yield summary


def verdict(relative: tuple[float, float, float], faster: float) -> str:
    """Apply the rule of adoption to a relative difference with its interval."""
    mean, low, high = relative
    if mean <= -LOWER and high < 0:
        return "adopted: lower loss"
    if low >= -SAME and high <= SAME and faster >= FASTER:
        return "adopted: as good and faster"
    return "rejected"


def _rounded(values: tuple[float, ...]) -> list[float]:
    return [round(value, 4) for value in values]
