"""Scan and Snap on real text: prose of the language reference that every Python has.

Classes are pairs (query, next word) of frequent words; contexts are the words before. The text of
the paper (WikiText) cannot be fetched here.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from gnn.dynamics.sequences import Real
from gnn.dynamics.training import Weights, gradient
from workers.bench.llm.texts import prose

_WORD = re.compile(r"[a-z]+|[.,;:()]")
Line = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TextParams:
    """Sizes of the task and of the training."""

    words: int = 300
    """Contextual words: the most frequent ones; others are left out."""
    window: int = 32
    """Words before the query."""
    queries: int = 5
    following: int = 4
    """Next words of each query, the most frequent ones."""
    batch: int = 64
    steps: int = 240
    points: int = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """Contexts of one text."""

    counts: NDArray[np.float32]
    """(N, words)"""
    query: NDArray[np.int64]
    """(N,)"""
    following: NDArray[np.int64]
    """(N,) number of the word that follows"""


def windows(text: str, params: TextParams) -> Windows:
    """Return the windows of a text. Raises ValueError when it has too few frequent pairs."""
    tokens = _WORD.findall(text.lower())
    rank = {w: i for i, (w, _) in enumerate(Counter(tokens).most_common(params.words))}
    ids = np.array([rank.get(token, -1) for token in tokens])
    pairs: dict[int, Counter[int]] = defaultdict(Counter)
    for a, b in zip(ids[:-1].tolist(), ids[1:].tolist(), strict=True):
        if a >= 0 and b >= 0:
            pairs[a][b] += 1
    full = [q for q, c in pairs.items() if len(c) >= params.following]
    chosen = sorted(full, key=lambda q: (-pairs[q].total(), q))[: params.queries]
    if len(chosen) < params.queries:
        raise ValueError(
            f"text: expected {params.queries} words with {params.following} frequent "
            f"successors, got {len(chosen)}; use a longer text"
        )
    next_of = {q: {n for n, _ in pairs[q].most_common(params.following)} for q in chosen}
    places = [
        i
        for i in range(params.window, len(ids) - 1)
        if ids[i] in next_of and ids[i + 1] in next_of[ids[i]]
    ]
    counts = np.zeros((len(places), params.words), np.float32)
    for row, i in enumerate(places):
        before = ids[i - params.window : i]
        np.add.at(counts[row], before[before >= 0], 1)
    filled = counts.sum(axis=1) > 0
    number = {q: k for k, q in enumerate(chosen)}
    query = np.array([number[ids[i]] for i in places])
    following = np.array([ids[i + 1] for i in places])
    return Windows(
        counts=counts[filled], query=query[filled], following=following[filled]
    )


def run(
    *, rates: Sequence[float], seeds: Sequence[int], params: TextParams, text: str = ""
) -> Iterator[Line]:
    """Yield, for each rate and seed, the entropy of attention over time and how it settles."""
    data = windows(text or prose(), params)
    for rate in rates:
        for seed in seeds:
            began = time.process_time()
            line = _train(data, rate, params, np.random.default_rng(seed))
            cpu_s = round(time.process_time() - began, 2)
            yield {"rate": rate, "run_seed": seed, "windows": len(data.query), **line} | {
                "cpu_s": cpu_s
            }


def _train(
    data: Windows, rate: float, params: TextParams, rng: np.random.Generator
) -> Line:
    shape = (params.words, params.words)
    weights = Weights(
        decoder=np.zeros(shape), attention=np.zeros((params.queries, params.words))
    )
    sample = rng.choice(len(data.query), min(512, len(data.query)), replace=False)
    entropies = [_entropy(weights.attention, data, sample)]
    gains = []
    for step in range(params.steps):
        drawn = rng.integers(0, len(data.query), params.batch)
        ascent = gradient(
            weights,
            data.counts[drawn].astype(float),
            data.query[drawn],
            data.following[drawn],
        )
        gains.append(ascent.likelihood)
        weights.decoder += rate * ascent.decoder
        weights.attention += rate * ascent.attention
        if (step + 1) % (params.steps // params.points) == 0:
            entropies.append(_entropy(weights.attention, data, sample))
    half = len(entropies) // 2
    moved = abs(entropies[-1] - entropies[0])
    return {
        "entropy": [round(value, 4) for value in entropies],
        "moved_in_second_half": round(
            abs(entropies[-1] - entropies[half]) / max(moved, 1e-12), 3
        ),
        "likelihood": [round(float(np.mean(g)), 3) for g in (gains[:10], gains[-10:])],
        "distinct_rank": round(_distinctness(weights.attention, data), 3),
        "frequency_rank": round(_distinctness(weights.attention, data, plain=True), 3),
    }


def _entropy(z: Real, data: Windows, sample: NDArray[np.int64]) -> float:
    """Return the mean entropy of attention over the positions of a context, in nats."""
    counts = data.counts[sample].astype(float)
    weight = np.exp(z[data.query[sample]])  # of one position
    total = (counts * weight).sum(axis=1, keepdims=True)
    share = weight / total
    return float(-(counts * share * np.log(share)).sum(axis=1).mean())


def _distinctness(z: Real, data: Windows, *, plain: bool = False) -> float:
    """Return the rank correlation of z with how distinct, or how frequent, a word is.

    Distinctness of a word for a query is the greatest share that one next word has of its
    occurrences. Words with at least 20 occurrences before a query; mean over the queries.
    """
    correlations = []
    for q in range(len(z)):
        mine = data.query == q
        by_next = np.stack(
            [
                data.counts[mine & (data.following == n)].sum(axis=0)
                for n in np.unique(data.following[mine])
            ]
        )  # (classes, words)
        total = by_next.sum(axis=0)
        often = total >= 20
        if often.sum() < 5:
            continue
        value = total if plain else by_next.max(axis=0) / np.maximum(total, 1)
        correlations.append(float(spearmanr(z[q, often], value[often]).statistic))
    return float(np.mean(correlations)) if correlations else float("nan")
