"""Drawing of tokens: greedy, temperature, top-p, min-p, by a random stream per sequence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.text_model import Sampling, TextModelError

MAX_TOP_LOGPROBS = 20
MAX_STOP_STRINGS = 16
_SEEDS = 1 << 64
_LIKELIEST = 1024
"""Tokens among which the set of `top_p` is sought before all are sorted."""
_SPARSE = 8
"""With at most an eighth of the tokens left, the others are set aside first."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A token and its place in the model's own distribution."""

    id: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()  # ids and log-probabilities, likeliest first


def check(sampling: Sampling) -> None:
    """Raise TextModelError for a field out of its range."""
    if sampling.max_tokens < 1:
        raise TextModelError(
            f"sampling.max_tokens: expected at least 1, got {sampling.max_tokens}"
        )
    if not (math.isfinite(sampling.temperature) and sampling.temperature >= 0):
        raise TextModelError(
            "sampling.temperature: expected a finite number of at least 0, got "
            f"{sampling.temperature}; 0 takes the likeliest token"
        )
    if not 0 < sampling.top_p <= 1:
        raise TextModelError(
            f"sampling.top_p: expected a number in (0, 1], got {sampling.top_p}"
        )
    if not 0 <= sampling.min_p <= 1:
        raise TextModelError(
            f"sampling.min_p: expected a number in [0, 1], got {sampling.min_p}"
        )
    if not 0 <= sampling.top_logprobs <= MAX_TOP_LOGPROBS:
        raise TextModelError(
            f"sampling.top_logprobs: expected 0 to {MAX_TOP_LOGPROBS}, got {sampling.top_logprobs}"
        )
    if len(sampling.stop) > MAX_STOP_STRINGS:
        raise TextModelError(
            f"sampling.stop: expected at most {MAX_STOP_STRINGS} strings, got {len(sampling.stop)}"
        )
    if "" in sampling.stop:
        raise TextModelError("sampling.stop: expected texts, got an empty string")


def draw(logits: NDArray[np.float32], sampling: Sampling, index: int) -> int:
    """Return the position in `logits` of the token drawn.

    The random number depends on the request's seed and on the token's index alone (Philox, a
    counter-based generator), so a sequence draws the same whatever is in its batch.

    Args:
        logits: [m] float32; -inf for what may not come.
        sampling: temperature, top-p, min-p, seed.
        index: of the token in the answer.

    Raises:
        TextModelError: no logit is finite, or one is NaN: the hook or the weights are broken.
    """
    top = float(logits.max())
    if not math.isfinite(top):
        raise TextModelError(
            f"logits: expected a finite maximum, got {top}; check the logit hook and the weights"
        )
    if sampling.temperature == 0:
        return int(logits.argmax())
    possible = np.flatnonzero(logits > -np.inf)
    if len(possible) * _SPARSE < len(logits):
        # Under control or a grammar few tokens are left, and the others cost time.
        return int(possible[_draw(logits[possible], top, sampling, index)])
    return _draw(logits, top, sampling, index)


def _draw(logits: NDArray[np.float32], top: float, sampling: Sampling, index: int) -> int:
    """Return the position drawn, by weights below that of the greatest logit, `top`."""
    # In double precision, so that the order of summation does not move the draw.
    weight = np.exp((logits.astype(np.float64) - top) / sampling.temperature)
    weight = np.where(weight < sampling.min_p, 0.0, weight)  # relative to the likeliest
    if sampling.top_p < 1:
        weight = _nucleus(weight, sampling.top_p)
    mass = np.cumsum(weight)
    point = uniform(sampling.seed, index) * mass[-1]
    chosen = int(np.searchsorted(mass, point, side="right"))
    return min(chosen, int(np.flatnonzero(weight)[-1]))


def _nucleus(weight: NDArray[np.float64], top_p: float) -> NDArray[np.float64]:
    """Keep the weights [m] of the smallest set of likeliest tokens with a share of the mass."""
    total = weight.sum()
    count = min(_LIKELIEST, len(weight))
    least = np.partition(weight, -count)[-count]
    # Equal weights together, so that ties go by the token's number.
    some = np.flatnonzero(weight >= least)
    if weight[some].sum() < top_p * total:
        some = np.arange(len(weight))
    order = some[np.lexsort((some, -weight[some]))]
    size = int(np.searchsorted(np.cumsum(weight[order]), top_p * total)) + 1
    out = np.zeros_like(weight)
    out[order[:size]] = weight[order[:size]]
    return out


def uniform(seed: int, index: int) -> float:
    """Return a number in [0, 1) that depends on seed and index alone."""
    generator = np.random.Philox(key=seed % _SEEDS, counter=index)
    return float(np.random.Generator(generator).random())


def logprobs(
    logits: NDArray[np.float32], token: int, count: int
) -> tuple[float, tuple[tuple[int, float], ...]]:
    """Return a token's log-probability and the `count` likeliest tokens with theirs.

    `logits` [vocabulary] are the model's own, before grammar, hook and temperature.
    """
    wide = logits.astype(np.float64)
    top = wide.max()
    total = top + math.log(np.exp(wide - top).sum())
    if not count:
        return float(wide[token] - total), ()
    count = min(count, len(wide))
    likeliest = np.argpartition(-wide, count - 1)[:count]
    likeliest = likeliest[np.lexsort((likeliest, -wide[likeliest]))]
    return float(wide[token] - total), tuple(
        (int(i), float(wide[i] - total)) for i in likeliest
    )
