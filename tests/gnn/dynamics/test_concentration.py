"""Concentration of attention: counts, the profile law's fit, and budgets at a fixed total."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gnn.dynamics.concentration import (
    Contexts,
    equal_loss,
    fit,
    least_loss,
    needed,
    predicted,
    top_mass,
)


def contexts(queries: int = 40, length: int = 60, words: int = 12) -> Contexts:
    rng = np.random.default_rng(0)
    law = 1.0 / np.arange(1, words + 1)
    return Contexts(
        tokens=rng.choice(words, (queries, length), p=law / law.sum()),
        query=np.arange(queries) % 2,
    )


def test_needed_is_the_least_number_that_carries_the_mass() -> None:
    attention = np.array([[0.5, 0.25, 0.125, 0.125], [0.97, 0.01, 0.01, 0.01]])
    assert needed(attention, 0.25).tolist() == [2, 1]
    assert needed(attention, 0.01).tolist() == [4, 3]
    assert top_mass(attention[:1])[0].tolist() == [0.5, 0.75, 0.875, 1.0]
    assert needed(np.full((1, 100), 0.01), 0.05).tolist() == [95]
    with pytest.raises(ValueError, match="epsilon: expected a number"):
        needed(attention, 1.0)


def test_the_growth_of_a_head_that_follows_the_law_is_found() -> None:
    own = contexts()
    growths = (1.0, 4.0, 16.0, 64.0)
    heads = np.stack([predicted(own, growth) for growth in growths])
    assert np.allclose(heads.sum(axis=2), 1.0)
    fits = fit(own, heads, growths)
    assert [one.growth for one in fits] == list(growths)
    assert all(one.explained > 0.999 for one in fits)
    assert fits[3].by_frequency < fits[3].explained
    # More growth, fewer tokens.
    tokens = [needed(head, 0.2).mean() for head in heads]
    assert tokens == sorted(tokens, reverse=True)


def test_frequency_is_growth_1() -> None:
    assert np.allclose(predicted(contexts(), 1.0), 1 / 60)


def test_least_loss_is_optimal_and_equal_loss_is_fair() -> None:
    rng = np.random.default_rng(1)
    # Convex falling losses, so that greedy is exact.
    steps = -np.sort(-rng.random((3, 8)), axis=1)
    curves = steps.sum(axis=1, keepdims=True) - np.cumsum(steps, axis=1)
    total = 11

    def loss(budgets: tuple[int, ...]) -> list[float]:
        return [float(row[b - 1]) for row, b in zip(curves, budgets, strict=True)]

    every = [b for b in itertools.product(range(1, 9), repeat=3) if sum(b) == total]
    least = tuple(least_loss(curves, total, least=1).tolist())
    assert sum(least) == total
    assert sum(loss(least)) == pytest.approx(min(sum(loss(b)) for b in every))
    fair = tuple(equal_loss(curves, total, least=1).tolist())
    assert sum(fair) == total
    assert max(loss(fair)) == pytest.approx(min(max(loss(b)) for b in every))


def test_budgets_below_the_least_are_refused() -> None:
    with pytest.raises(ValueError, match="total: expected at least 6"):
        least_loss(np.ones((3, 8)), 5, least=2)
