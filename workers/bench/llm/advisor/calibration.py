"""What the full cache attends to, by layer and head, and what the profile law predicts of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from gnn.dynamics.concentration import Contexts, fit, needed, predicted, top_mass
from workers.bench.llm.advisor.divergence import alone
from workers.bench.llm.advisor.lines import Line, rounded
from workers.bench.llm.cpu import CpuClock
from workers.bench.llm.oracle import FULL, simulate
from workers.bench.llm.quality import Model
from workers.bench.llm.texts import Segment

EPSILON = 0.05
SINKS, MOST_RECENT = 4, 32
"""First and newest tokens that the profile law knows nothing of; the newest an eighth at most."""
QUERIES_EVERY = 8  # queries of a calibration text that are looked at
KINDS = 24
"""Most frequent query tokens with a P(l | m) of their own; the others share one."""


@dataclass(kw_only=True, eq=False)
class _Seen:
    """Attention of the full cache on one text, for some queries of its second half."""

    queries: NDArray[np.int64]
    attention: list[NDArray[np.float32]]  # of each layer, (KV, G, Q, T)


def calibrate(model: Model, segments: Iterable[Segment]) -> Iterator[Line]:
    """Yield a line for each text: concentration by layer and head, and what one layer costs."""
    for segment in segments:
        clock = CpuClock()
        seen = _watch(model, segment)
        yield {
            "stage": "calibrate",
            "type": segment.type.value,
            "segment": segment.number,
            "digest": segment.digest,
            "tokens": len(segment.ids),
            **_concentration(segment, seen),
            "alone": alone(model, segment),
            "cpu_s": round(clock.seconds(), 2),
        }


def _watch(model: Model, segment: Segment) -> _Seen:
    tokens = len(segment.ids)
    queries = np.arange(tokens // 2, tokens, QUERIES_EVERY)
    config = model.config
    layers = [
        np.zeros((config.kv_heads, config.group, len(queries), tokens), np.float32)
        for _ in range(config.layers)
    ]

    def observe(layer: int, attention: torch.Tensor, first: int) -> None:
        last = attention.shape[-1]
        for place in np.flatnonzero((queries >= first) & (queries < last)):
            row = attention[0, :, :, queries[place] - first]
            layers[layer][:, :, place, :last] = row.numpy()

    ids = torch.tensor(segment.ids)
    simulate(config, model.weights, ids, [FULL], observe=observe)
    return _Seen(queries=queries, attention=layers)


def _concentration(segment: Segment, seen: _Seen) -> Line:
    """Measured and predicted concentration of every layer and head."""
    contexts, window = _contexts(segment, seen.queries)
    outside = SINKS + _recent(segment)
    by_growth: dict[float, Any] = {}
    layers = []
    for attention in seen.attention:
        kv, group, count, tokens = attention.shape
        heads = attention.reshape(kv * group, count, tokens).astype(float)
        inside = heads * window  # without sinks and the newest
        share = inside.sum(axis=2)
        fitted = fit(contexts, inside / np.maximum(share, 1e-9)[..., None])
        measured = needed(heads, EPSILON).mean(axis=1)
        law = [
            outside + _needed_by_law(contexts, one.growth, share[h], by_growth)
            for h, one in enumerate(fitted)
        ]
        plain = [outside + _needed_by_law(contexts, 1.0, row, by_growth) for row in share]
        # Mean loss of mass with k tokens, of the attention that the heads of a cache pay together.
        together = attention.astype(float).mean(axis=1)  # (KV, Q, T)
        layers.append(
            {
                "measured": rounded(measured),
                "predicted": rounded(law),
                "by_frequency": rounded(plain),
                "inside": rounded(share.mean(axis=1), 3),
                "growth": rounded([one.growth for one in fitted]),
                "explained": rounded([one.explained for one in fitted], 3),
                "rank": rounded(_ranks(contexts, inside), 3),
                "loss": rounded(1 - top_mass(together).mean(axis=(0, 1)), 5),
            }
        )
    return {"layers": layers}


def _contexts(
    segment: Segment, queries: NDArray[np.int64]
) -> tuple[Contexts, NDArray[np.float64]]:
    """(contexts without sinks and newest tokens, (Q, T) mask of the positions in them)."""
    words, ids = np.unique(np.array(segment.ids), return_inverse=True)
    counts = np.bincount(ids[queries], minlength=len(words))
    frequent = [w for w in np.argsort(-counts, kind="stable")[:KINDS] if counts[w] > 1]
    kind = {word: number + 1 for number, word in enumerate(frequent)}
    positions = np.arange(len(ids))
    window = (positions >= SINKS) & (
        positions[None] <= queries[:, None] - _recent(segment)
    )
    tokens = np.where(window, ids[None, :], -1)
    _, kinds = np.unique([kind.get(ids[q], 0) for q in queries], return_inverse=True)
    return Contexts(tokens=tokens, query=kinds), window.astype(float)


def _recent(segment: Segment) -> int:
    return min(MOST_RECENT, len(segment.ids) // 8)


def _needed_by_law(
    contexts: Contexts, growth: float, share: NDArray[Any], cache: dict[float, Any]
) -> float:
    """Tokens by the law among those that it knows of, mean over the queries."""
    if growth not in cache:
        cache[growth] = top_mass(predicted(contexts, growth))
    mass = cache[growth]  # (Q, T)
    # What the window may lose: all of ε falls into it.
    allowed = np.minimum(1.0, EPSILON / np.maximum(share, 1e-9))
    inside = np.where(allowed < 1, 1 + (mass < 1 - allowed[:, None]).sum(axis=1), 0)
    return float(inside.mean())


def _ranks(contexts: Contexts, inside: NDArray[np.float64]) -> list[float]:
    """Rank correlation of a token's attention from a head with how often it occurs."""
    flat = contexts.tokens.ravel()
    kept = flat >= 0
    words = int(flat.max()) + 1
    often = np.bincount(flat[kept], minlength=words)
    present = often > 0
    out = []
    for head in inside:
        sums = np.bincount(flat[kept], weights=head.ravel()[kept], minlength=words)
        out.append(float(spearmanr(sums[present], often[present]).statistic))
    return out
