"""Training of the graph reader, in steps that resume, and its measure on authors left out."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from search.domains.plan.reading.graphs.grammar import Labels
from search.domains.plan.reading.graphs.words import Pieces
from workers.train.plan.graph_data import (
    Example,
    Marked,
    batch_of,
    changed,
    example_of,
    muted,
    weights_of,
)
from workers.train.plan.graph_net import GraphNet, Sizes, from_minilm, loss_of

_BATCH = 16
_CHANGED = 0.9  # share of the examples that are not as they were written
_MEAN = 0.99  # of the running mean of the weights
_ENCODER, _DECODER, _DECAY, _WARM = 1e-4, 8e-4, 0.01, 0.06
_LOWER = 0.85  # rate of a layer of the encoder, times that of the one above it


Make = Callable[[int, Sizes], tuple[GraphNet, dict[str, int]]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to train."""

    epochs: int
    seed: int
    sizes: Sizes
    batch: int = _BATCH
    rate: float = 1.0  # of learning, times that of a training from the start


@dataclass
class State:
    """A training between two epochs."""

    net: GraphNet
    mean: dict[str, Tensor]  # running mean of the weights
    pieces: frozenset[int] = frozenset()  # of the training goals
    epoch: int = 0
    seconds: float = 0.0


def fit(
    goals: Sequence[Marked],
    labels: Labels,
    plan: Plan,
    *,
    work: Path,
    say: Callable[[str], None],
    until_s: float = math.inf,
    start: tuple[State, Labels] | None = None,
    make: Make = from_minilm,
) -> tuple[State, dict[str, int]]:
    """Train, or go on from `work`; stops between epochs after `until_s` seconds of this call.

    work: file of the training's state; it is replaced after each epoch.
    make: returns the untrained network and its vocabulary. Raises EncoderMissing.
    start: another training and its labels, whose weights this one begins with.
    """
    torch.manual_seed(plan.seed)
    net, vocabulary = make(len(labels.names), plan.sizes)
    pieces = Pieces(vocabulary)
    rows = [(goal, example_of(goal, pieces, labels)) for goal in goals]
    kept = [(goal, row) for goal, row in rows if row is not None]
    say(f"{len(kept)} of {len(goals)} goals, {len(labels.names)} labels")
    draws = weights_of([row for _, row in kept])
    optimizer = _optimizer(net)
    state = State(
        net=net, mean={n: p.detach().clone() for n, p in net.named_parameters()}
    )
    state.pieces = frozenset(i for _, row in kept for i in row.coded.ids)
    if start is not None:
        _begin(state, labels, *start)
    if work.is_file():
        _restore(state, optimizer, work)
    steps = plan.epochs * math.ceil(len(kept) / plan.batch)
    began = time.monotonic()
    while state.epoch < plan.epochs and time.monotonic() - began < until_s:
        rng = np.random.default_rng((plan.seed, state.epoch))
        torch.manual_seed(plan.seed * 1000 + state.epoch)
        at = time.process_time()
        examples = _epoch(kept, draws, rng, pieces, labels)
        mean = _pass(state, optimizer, examples, labels, plan, rng, steps)
        state.epoch += 1
        state.seconds += time.process_time() - at
        _keep(state, optimizer, work)
        say(f"epoch {state.epoch}: loss {mean:.4f}, {state.seconds:.0f} CPU s so far")
    return state, vocabulary


def _epoch(
    kept: Sequence[tuple[Marked, Example]],
    draws: np.ndarray,
    rng: np.random.Generator,
    pieces: Pieces,
    labels: Labels,
) -> list[Example]:
    """Return the examples of one epoch: drawn by weight, most of them changed."""
    goals = [goal for goal, _ in kept]
    whole = np.floor(draws / draws.mean() + rng.random(len(draws))).astype(int)
    found = []
    for (goal, plain), count in zip(kept, whole, strict=True):
        for _ in range(count):
            row: Example | None = plain
            if rng.random() < _CHANGED:
                row = example_of(changed(goal, goals, rng), pieces, labels)
            found.append(muted(row or plain, rng))
    return found


def _pass(
    state: State,
    optimizer: torch.optim.Optimizer,
    examples: Sequence[Example],
    labels: Labels,
    plan: Plan,
    rng: np.random.Generator,
    steps: int,
) -> float:
    """Go over the examples once in batches of like length; return the mean loss."""
    net = state.net
    net.train()
    size = plan.batch
    lengths = np.array([len(e.coded.ids) + 2 * len(e.steps) for e in examples])
    order = np.argsort(lengths + rng.random(len(lengths)) * 12, kind="stable")
    batches = [order[i : i + size] for i in range(0, len(order), size)]
    rng.shuffle(batches)
    total = 0.0
    for number, places in enumerate(batches):
        done = state.epoch * len(batches) + number
        share = min(done / steps, 1.0)
        rate = min(1.0, done / (_WARM * steps)) * max(1.0 - share, 0.02)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * plan.rate * rate
        batch = batch_of([examples[i] for i in places], labels)
        loss, _ = loss_of(net, batch, len(labels.names))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        momentum = min(_MEAN, (1 + done) / (10 + done))
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if parameter.requires_grad:
                    state.mean[name].lerp_(parameter, 1 - momentum)
        total += float(loss.detach())
    return total / len(batches)


_LOWEST = ("places", "norm.")


def _optimizer(net: GraphNet) -> torch.optim.Optimizer:
    """Return the optimizer: the lower a layer of MiniLM, the slower it learns.

    The vectors of pieces stay as MiniLM's, so that those of words in no training goal still lie
    among the others.
    """
    net.pieces.requires_grad_(False)
    net.raise_.requires_grad_(False)
    by_rate: dict[float, list[Tensor]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            by_rate.setdefault(_peak(name, net.sizes.layers), []).append(parameter)
    groups = [{"params": own, "peak": peak, "lr": 0.0} for peak, own in by_rate.items()]
    return torch.optim.AdamW(groups, weight_decay=_DECAY, betas=(0.9, 0.98))


def _peak(name: str, layers: int) -> float:
    if name.startswith(_LOWEST):
        return _ENCODER * _LOWER**layers
    if name.startswith("layers."):
        return _ENCODER * _LOWER ** (layers - 1 - int(name.split(".")[1]))
    return _DECODER


def _begin(state: State, labels: Labels, other: State, names: Labels) -> None:
    """Copy the mean weights of another training; rows of labels by their names."""
    with torch.no_grad():
        for name, parameter in state.net.named_parameters():
            given = other.mean[name]
            if name.startswith(("label.", "to_label.")):
                for new, label in enumerate(labels.names):
                    if label in names.index:
                        parameter[new] = given[names.index[label]]
                if name == "label.weight":
                    parameter[-1] = given[-1]
            else:
                parameter.copy_(given)
            state.mean[name].copy_(parameter)


def _keep(state: State, optimizer: torch.optim.Optimizer, work: Path) -> None:
    work.parent.mkdir(parents=True, exist_ok=True)
    part = work.with_suffix(".part")
    torch.save(
        {
            "net": state.net.state_dict(),
            "mean": state.mean,
            "optimizer": optimizer.state_dict(),
            "epoch": state.epoch,
            "seconds": state.seconds,
        },
        part,
    )
    os.replace(part, work)


def _restore(state: State, optimizer: torch.optim.Optimizer, work: Path) -> None:
    kept = torch.load(work, weights_only=True)
    state.net.load_state_dict(kept["net"])
    state.mean = kept["mean"]
    optimizer.load_state_dict(kept["optimizer"])
    state.epoch, state.seconds = kept["epoch"], kept["seconds"]
