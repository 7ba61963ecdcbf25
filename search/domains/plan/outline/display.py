"""Order model of the display: how natural it is that one leaf follows another.

DOC's order model (arXiv 2212.10077, section 3.1) tells an outline in order from one with a moved
item, and ranks candidates by it. Here files and stated orders decide what runs first, so the model
only ranks leaves that the same words ask for; nothing depends on it. It is a logistic regression on
the mean features of neighbours, trained on outlines made from templates
(`python -m workers.train plan order`).
"""

from __future__ import annotations

import functools
import itertools
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.domains.plan.types import Wish

WEIGHTS = Path(__file__).with_name("display.toml")
FEATURES = (
    "same file",
    "same kind",
    "seed rises",
    "time rises",
    "more is set",
    "file name rises",
    "engine rises",
)
_ENGINES = ("highs", "scip", "cp-sat")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """View of a leaf for the model."""

    kind: str
    file: str = ""
    seed: float = 0.0
    seconds: float = 0.0
    engine: str = "highs"
    settings: int = 0  # values that the goal states


@dataclass(frozen=True, kw_only=True)
class OrderModel:
    """Weights of a logistic regression over FEATURES."""

    weights: tuple[float, ...]
    bias: float = 0.0

    def score(self, before: Shown, after: Shown) -> float:
        """Return how natural it is that one leaf follows the other; more is better."""
        pairs = zip(self.weights, features(before, after), strict=True)
        return sum(weight * value for weight, value in pairs)

    def in_order(self, leaves: Sequence[Shown]) -> float:
        """Return the probability that no leaf of a list was moved."""
        if len(leaves) < 2:
            return 0.5
        pairs = list(itertools.pairwise(leaves))
        mean = sum(self.score(a, b) for a, b in pairs) / len(pairs)
        return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, mean + self.bias))))


def features(before: Shown, after: Shown) -> tuple[float, ...]:
    """Return the features of two neighbours, each in [-1, 1]."""
    return (
        float(before.file == after.file),
        float(before.kind == after.kind),
        _rise(before.seed, after.seed),
        _rise(before.seconds, after.seconds),
        _rise(before.settings, after.settings),
        0.0 if before.file == after.file else (1.0 if before.file < after.file else -1.0),
        _rise(_place(before.engine), _place(after.engine)),
    )


def shown(wish: Wish) -> Shown:
    """Return what the model sees of a wish."""
    values: dict[str, Any] = {value.path: value.value for value in wish.values}

    def number(path: str) -> float:
        value = values.get(path, 0.0)
        return float(value) if isinstance(value, int | float) else 0.0

    return Shown(
        kind=wish.kind,
        file=next(iter(wish.files.values()), ""),
        seed=number("seed"),
        seconds=number("budget.seconds"),
        engine=str(values.get("spec.engine", "highs")),
        settings=len(wish.values),
    )


@functools.cache
def order_model() -> OrderModel:
    """Return the shipped model."""
    document: Mapping[str, Any] = tomllib.loads(WEIGHTS.read_text())
    return OrderModel(
        weights=tuple(float(document["weights"][name]) for name in FEATURES),
        bias=float(document["bias"]),
    )


def _rise(before: float, after: float) -> float:
    return float((after > before) - (after < before))


def _place(engine: str) -> int:
    return _ENGINES.index(engine) if engine in _ENGINES else len(_ENGINES)
