"""Order model: outlines made from templates, of which half have one leaf moved.

As in DOC (arXiv 2212.10077, section 3.1), the model learns whether an item stands in its place. The
outlines are those that people list: engines and seeds in their order, files by name, the plain run
before its variants, short before long; each habit is broken in a share of the outlines.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from search.domains.plan.outline.display import FEATURES, OrderModel, Shown, features

_BROKEN = 0.15  # share of outlines that follow no habit
_STEPS, _RATE, _DECAY = 600, 0.5, 1e-3
Item = TypeVar("Item")
Maker = Callable[[np.random.Generator], list[Shown]]
_KINDS = ("ilp", "sharding", "compile", "antenna")


def outline(rng: np.random.Generator) -> list[Shown]:
    """Return the leaves of one outline in the order in which people list them."""
    groups = [_MAKERS[rng.integers(len(_MAKERS))](rng) for _ in range(rng.integers(1, 3))]
    leaves = [leaf for group in groups for leaf in group]
    if rng.random() < _BROKEN:
        leaves = [leaves[index] for index in rng.permutation(len(leaves))]
    return leaves


def moved(leaves: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    """Return the leaves with one of them at another place."""
    left = list(leaves)
    origin = int(rng.integers(len(left)))
    leaf = left.pop(origin)
    places = [place for place in range(len(left) + 1) if place != origin]
    left.insert(int(rng.choice(places)), leaf)
    return left


def examples(count: int, *, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean features [count, features] and labels [count]: 1 in order, 0 moved."""
    rng = np.random.default_rng(seed)
    rows: list[NDArray[np.float64]] = []
    labels: list[float] = []
    while len(rows) < count:
        leaves = outline(rng)
        if len(leaves) < 2:
            continue
        in_order = bool(rng.random() < 0.5)
        leaves = leaves if in_order else moved(leaves, rng)
        pairs = [features(a, b) for a, b in itertools.pairwise(leaves)]
        rows.append(np.mean(pairs, axis=0))
        labels.append(float(in_order))
    return np.array(rows), np.array(labels)


def fit(count: int, *, seed: int) -> OrderModel:
    """Train by gradient descent on the logistic loss with weight decay."""
    x, y = examples(count, seed=seed)
    weights, bias = np.zeros(len(FEATURES)), 0.0
    for _ in range(_STEPS):
        error = 1.0 / (1.0 + np.exp(-(x @ weights + bias))) - y
        weights -= _RATE * (x.T @ error / count + _DECAY * weights)
        bias -= _RATE * float(error.mean())
    return OrderModel(weights=tuple(float(w) for w in weights), bias=bias)


def measure(model: OrderModel, count: int, *, seed: int) -> float:
    """Return the accuracy on other outlines; chance is 0.5."""
    x, y = examples(count, seed=seed)
    predicted = x @ np.array(model.weights) + model.bias > 0
    return float(np.mean(predicted == (y > 0.5)))


def document(model: OrderModel, accuracy: float, command: str) -> str:
    """Return the file of the weights."""
    rows = "\n".join(
        f'"{name}" = {weight:.6f}'
        for name, weight in zip(FEATURES, model.weights, strict=True)
    )
    return (
        f"# By `python -m workers.train {command}`: accuracy {accuracy:.3f} on outlines of\n"
        f"# another seed, of which half have one leaf moved (chance 0.5).\n"
        f"bias = {model.bias:.6f}\n\n[weights]\n{rows}\n"
    )


def _engines(rng: np.random.Generator) -> list[Shown]:
    names = ("highs", "scip", "cp-sat")[: rng.integers(2, 4)]
    seconds = float(rng.choice([30, 60, 300]))
    return [Shown(kind="ilp", file="m", engine=e, seconds=seconds) for e in names]


def _seeds(rng: np.random.Generator) -> list[Shown]:
    first, count = int(rng.integers(5)), int(rng.integers(2, 6))
    kind = str(rng.choice(_KINDS))
    return [Shown(kind=kind, file="m", seed=first + i, settings=1) for i in range(count)]


def _files(rng: np.random.Generator) -> list[Shown]:
    kind = str(rng.choice(_KINDS[:3]))
    letters = sorted(rng.choice(list("abcdefgh"), size=rng.integers(2, 5), replace=False))
    return [Shown(kind=kind, file=str(letter)) for letter in letters]


def _times(rng: np.random.Generator) -> list[Shown]:
    times = sorted(
        rng.choice([10, 30, 60, 300, 600], size=rng.integers(2, 4), replace=False)
    )
    return [Shown(kind="ilp", file="m", seconds=float(t), settings=1) for t in times]


def _variants(rng: np.random.Generator) -> list[Shown]:
    kind = str(rng.choice(_KINDS))
    return [Shown(kind=kind, file="m", settings=n) for n in range(rng.integers(2, 4))]


_MAKERS: tuple[Maker, ...] = (_engines, _seeds, _files, _times, _variants)
