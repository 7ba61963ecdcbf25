"""A task that needs short, medium and long range: rings of nodes with a target of three parts.

Each node has four features. Its target is the first feature of its left neighbour less that of its
right one, gated by its own fourth feature; plus the mean of the second feature of six nodes further
away, gated likewise; plus the mean of the third feature over the ring.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from gnn.layers.encoders import Encoder, RelationalNet, parameters_of, width_for
from gnn.ranges.relations import Builder, Range, Relations
from workers.bench.stats import mean_interval

STEPS = (7, -7, 13, -13, 19, -19)  # of the medium range
FEATURES = 4
ABLATIONS: tuple[tuple[str, Collection[Range]], ...] = (
    ("short", {Range.SHORT}),
    ("short, medium", {Range.SHORT, Range.MEDIUM}),
    ("short, long", {Range.SHORT, Range.LONG}),
    ("all", set(Range)),
)
Line = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class RingParams:
    """Sizes of task and training."""

    nodes: int = 64
    steps: int = 250
    batch: int = 8
    width: int = 32
    """of GRMP; rivals get the width that has as many parameters"""
    layers: int = 2
    rate: float = 3e-3
    tested: int = 64
    """rings"""


def ring_relations(nodes: int) -> Relations:
    """Return two short relations, one medium relation, and a virtual node both ways."""
    place = np.arange(nodes)
    builder = Builder(nodes)
    builder.add("from the left", Range.SHORT, place, (place + 1) % nodes)
    builder.add("from the right", Range.SHORT, place, (place - 1) % nodes)
    away = [(place + step) % nodes for step in STEPS]
    builder.add("away", Range.MEDIUM, np.tile(place, len(STEPS)), np.concatenate(away))
    builder.add_virtual("ring", np.zeros(nodes))
    return builder.build()


class RingNet(nn.Module):  # type: ignore[misc]
    """A relational net with one output for each node."""

    def __init__(self, encoder: Encoder | str, width: int, relations: int, layers: int):
        super().__init__()
        self.net = RelationalNet(encoder, FEATURES, width, relations, layers=layers)
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor, *edges: Tensor) -> Tensor:
        """Return the prediction, (N,)."""
        out: Tensor = self.out(self.net(x, *edges))[:, 0]
        return out


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Several rings side by side."""

    x: Tensor
    """(B (nodes + 1), 4); virtual nodes are zero"""
    edges: tuple[Tensor, Tensor, Tensor]
    target: Tensor
    """(B, nodes)"""


def draw(
    count: int, params: RingParams, relations: Relations, rng: torch.Generator
) -> Batch:
    """Draw rings with their targets."""
    nodes = params.nodes
    x = torch.randn(count, nodes + 1, FEATURES, generator=rng)
    x[:, nodes] = 0
    first, second, third, own = x[:, :nodes].unbind(dim=2)
    away = torch.stack([torch.roll(second, step, 1) for step in STEPS]).mean(dim=0)
    target = (
        (torch.roll(first, 1, 1) - torch.roll(first, -1, 1)) * torch.sigmoid(2 * own)
        + 2.4 * away * torch.tanh(own)
        + 8 * third.mean(dim=1, keepdim=True)
    )
    shift = (torch.arange(count) * (nodes + 1))[:, None]
    sender, receiver = (
        (torch.from_numpy(side) + shift).flatten()
        for side in (relations.sender, relations.receiver)
    )
    kind = torch.from_numpy(relations.relation).repeat(count)
    return Batch(x=x.flatten(0, 1), edges=(sender, receiver, kind), target=target)


def rivals(
    *, encoders: Sequence[str], seeds: Sequence[int], params: RingParams
) -> Iterator[Line]:
    """Yield R² of each encoder at equal parameters, and its paired difference from GRMP."""
    relations = ring_relations(params.nodes)
    kinds = len(relations.kinds)
    target = parameters_of(RingNet("grmp", params.width, kinds, params.layers))
    scores: dict[str, list[float]] = {}
    for encoder in encoders:

        def build(width: int, encoder: str = encoder) -> nn.Module:
            return RingNet(encoder, width, kinds, params.layers)

        width = width_for(target, build)
        for seed in seeds:
            torch.manual_seed(seed)
            line = _train(build(width), relations, seed, params)
            scores.setdefault(encoder, []).append(line["r2"])
            yield {"encoder": encoder, "width": width, "run_seed": seed, **line}
    for encoder, values in scores.items():
        summary: Line = {"encoder": encoder, "run_seed": "all", "seeds": len(values)}
        summary["r2"] = _rounded(mean_interval(values))
        if encoder != "grmp" and "grmp" in scores:
            pairs = zip(scores["grmp"], values, strict=True)
            less = [mine - theirs for mine, theirs in pairs]
            summary["grmp_less_this"] = _rounded(mean_interval(less))
        yield summary


def ranges(
    *, encoders: Sequence[str], seeds: Sequence[int], params: RingParams
) -> Iterator[Line]:
    """Yield R² with some ranges only, and with all edges as one relation."""
    whole = ring_relations(params.nodes)
    graphs = {name: whole.only(kept) for name, kept in ABLATIONS}
    graphs["all, one relation"] = whole.merged()
    for encoder in encoders:
        for name, relations in graphs.items():
            values = []
            for seed in seeds:
                torch.manual_seed(seed)
                net = RingNet(encoder, params.width, len(relations.kinds), params.layers)
                values.append(_train(net, relations, seed, params)["r2"])
            yield {
                "encoder": encoder,
                "ranges": name,
                "seeds": len(values),
                "r2": _rounded(mean_interval(values)),
            }


def _train(net: nn.Module, relations: Relations, seed: int, params: RingParams) -> Line:
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), params.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, params.steps)
    began = time.process_time()
    for _ in range(params.steps):
        batch = draw(params.batch, params, relations, rng)
        loss = mse_loss(_predict(net, batch, params), batch.target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    step_ms = (time.process_time() - began) / params.steps * 1e3
    test = draw(params.tested, params, relations, torch.Generator().manual_seed(10**6))
    with torch.no_grad():
        error = (_predict(net, test, params) - test.target).square().mean()
    return {
        "parameters": parameters_of(net),
        "r2": round(1 - float(error / test.target.var()), 4),
        "step_cpu_ms": round(step_ms, 2),
    }


def _predict(net: nn.Module, batch: Batch, params: RingParams) -> Tensor:
    out: Tensor = net(batch.x, *batch.edges)
    return out.view(-1, params.nodes + 1)[:, : params.nodes]


def _rounded(values: tuple[float, ...]) -> list[float]:
    return [round(value, 4) for value in values]
