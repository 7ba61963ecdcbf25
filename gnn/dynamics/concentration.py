"""Concentration of attention: the tokens that carry 1 − ε of it, measured and by the profile law.

Scan and Snap (Tian et al. 2023, theorem 3 and equation 110) gives the attention that a trained head
pays to a token from how often the token occurs with the query, P(l | m), and from one number of the
head, the growth χ of its most frequent token:

    attention of a token l ∝ e^(z_l),   z_l = −½ ln(1 − (P_l / P_0)² (1 − 1/χ)).

χ = 1 is attention by frequency alone. The theory has one layer, no positions and no residual
stream, so a caller excludes what it cannot know: the first tokens (sinks) and the newest ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnn.dynamics.closed_form import profile
from gnn.dynamics.sequences import Real

GROWTHS: tuple[float, ...] = tuple(float(g) for g in np.exp(np.linspace(0.0, 12.0, 25)))
"""Values of χ that a fit tries."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contexts:
    """Contexts of queries as tokens, numbered from 0; −1 fills shorter ones."""

    tokens: NDArray[np.int64]
    """(Q, T) tokens of each query's context."""
    query: NDArray[np.int64]
    """(Q,) kind of each query: those with the same kind share P(l | m)."""

    def shares(self) -> Real:
        """Return P(l | m) as (kinds, words)."""
        words, kinds = int(self.tokens.max()) + 1, int(self.query.max()) + 1
        counts = np.zeros((kinds, words))
        rows = np.broadcast_to(self.query[:, None], self.tokens.shape)
        inside = self.tokens >= 0
        np.add.at(counts, (rows[inside], self.tokens[inside]), 1.0)
        out: Real = counts / np.maximum(1.0, counts.sum(axis=1, keepdims=True))
        return out


def needed(attention: Real, epsilon: float) -> NDArray[np.int64]:
    """Return how many of the largest entries carry 1 − ε of each row's sum.

    Args:
        attention: (..., T), at least 0.
        epsilon: in (0, 1).
    """
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon: expected a number in (0, 1), got {epsilon}")
    mass = top_mass(attention)
    # Rounding in the sum must not ask for one more token.
    return 1 + (mass < 1 - epsilon - 1e-9).sum(axis=-1)


def top_mass(attention: Real) -> Real:
    """Return (..., T): the share of the sum that the k + 1 largest entries of each row carry."""
    ordered = -np.sort(-np.asarray(attention, float), axis=-1)
    total = ordered.sum(axis=-1, keepdims=True)
    out: Real = np.cumsum(ordered, axis=-1) / np.maximum(total, 1e-300)
    return out


def predicted(contexts: Contexts, growth: float) -> Real:
    """Return (Q, T) attention of each context's positions by the profile law; rows sum to 1."""
    shares = contexts.shares()
    z = np.stack([profile(row, growth) for row in shares])
    lift = np.exp(z)  # (kinds, words)
    weight = lift[contexts.query[:, None], np.maximum(contexts.tokens, 0)]
    weight = np.where(contexts.tokens >= 0, weight, 0.0)
    out: Real = weight / weight.sum(axis=1, keepdims=True)
    return out


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Profile law fitted to one head."""

    growth: float
    """χ."""
    explained: float
    """Share of the variance of attention by token that the law explains; may be negative."""
    by_frequency: float
    """The same for χ = 1."""


def fit(
    contexts: Contexts, attention: Real, growths: Sequence[float] = GROWTHS
) -> list[Fit]:
    """Fit one χ to each head.

    Args:
        contexts: of Q queries.
        attention: (heads, Q, T), rows that sum to 1 over the context.
        growths: values to try; the first is attention by frequency.
    """
    measured = np.stack([_by_word(contexts, head) for head in attention])
    # Words of a kind that never occur with it say nothing.
    seen = contexts.shares() > 0
    # (growths, heads)
    errors = np.stack([_errors(contexts, measured, seen, growth) for growth in growths])
    spread = measured[:, seen]
    variance = ((spread - spread.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    explained = 1 - errors / np.maximum(variance, 1e-300)
    best = explained.argmax(axis=0)
    return [
        Fit(
            growth=float(growths[best[h]]),
            explained=float(explained[best[h], h]),
            by_frequency=float(explained[0, h]),
        )
        for h in range(len(attention))
    ]


def _errors(
    contexts: Contexts, measured: Real, seen: NDArray[np.bool_], growth: float
) -> Real:
    """(heads,) squared error of the law with a growth, over the words that were seen."""
    off = measured - _by_word(contexts, predicted(contexts, growth))
    out: Real = (off[:, seen] ** 2).sum(axis=1)
    return out


def _by_word(contexts: Contexts, attention: Real) -> Real:
    """Mean attention to each word by kind of query, (kinds, words)."""
    words, kinds = int(contexts.tokens.max()) + 1, int(contexts.query.max()) + 1
    sums = np.zeros((kinds, words))
    rows = np.broadcast_to(contexts.query[:, None], contexts.tokens.shape)
    inside = contexts.tokens >= 0
    np.add.at(sums, (rows[inside], contexts.tokens[inside]), attention[inside])
    out: Real = (
        sums / np.maximum(1, np.bincount(contexts.query, minlength=kinds))[:, None]
    )
    return out


def equal_loss(curves: Real, total: int, *, least: int) -> NDArray[np.int64]:
    """Return the budgets at a fixed total under which the greatest loss of a row is least.

    Args:
        curves: (L, T) loss of a row with 1, …, T tokens; falling.
        total: sum of the budgets.
        least: of each budget.
    """
    falling = np.minimum.accumulate(np.asarray(curves, float), axis=1)
    low, high = 0.0, float(falling.max())
    for _ in range(60):
        level = (low + high) / 2
        counts = np.maximum(least, 1 + (falling > level).sum(axis=1))
        low, high = (level, high) if counts.sum() > total else (low, level)
    budgets = np.maximum(least, 1 + (falling > high).sum(axis=1))
    return _filled(budgets, total, falling.shape[1])


def least_loss(curves: Real, total: int, *, least: int) -> NDArray[np.int64]:
    """Return the budgets at a fixed total with the least sum of losses.

    Greedy by gain per token along each row's lower convex hull, which is exact where the rows are
    convex (Fox 1966). Arguments as for `equal_loss`.
    """
    hulls = [_hull(np.minimum.accumulate(row)[least - 1 :]) for row in curves]
    steps = sorted(
        (-(value[i] - value[i + 1]) / (at[i + 1] - at[i]), row, i)
        for row, (at, value) in enumerate(hulls)
        for i in range(len(at) - 1)
    )
    budgets = np.full(len(curves), least)
    left = total - int(budgets.sum())
    for gain, row, i in steps:
        if gain >= 0 or left <= 0:
            break
        at = hulls[row][0]
        taken = min(left, int(at[i + 1] - at[i]))
        budgets[row] += taken
        left -= taken
    return _filled(budgets, total, np.shape(curves)[1])


def _hull(values: Real) -> tuple[NDArray[np.int64], Real]:
    """Places and values of the lower convex hull of a row."""
    hull: list[int] = []
    for i in range(len(values)):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (values[b] - values[a]) * (i - a) < (values[i] - values[a]) * (b - a):
                break
            hull.pop()
        hull.append(i)
    places = np.array(hull, dtype=np.int64)
    return places, np.asarray(values, float)[places]


def _filled(budgets: NDArray[np.int64], total: int, most: int) -> NDArray[np.int64]:
    """Budgets with what is left of the total spread over the smallest ones."""
    out = np.minimum(budgets, most)
    if out.sum() > total:
        raise ValueError(
            f"total: expected at least {int(out.sum())}, the least budgets together, got {total}"
        )
    for _ in range(int(min(total, most * len(out)) - out.sum())):
        out[np.where(out < most, out, most + 1).argmin()] += 1
    return out
