"""Three levels below the closed forms: the reduced equation, population training, sampled SGD.

The model of Tian et al. (2023), section 2: one attention head without positions over a decoder,

    b = softmax(z_query over the context),  f = Xᵀb / ‖Xᵀb‖,  logits = Yᵀ f,

with the attention logits z (queries, V) and the decoder Y (V, M). Lemma 1 gives the gradient of the
log-likelihood. Only token counts matter, so a sampled sequence is a multinomial draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gnn.dynamics.closed_form import Rates, force, margin
from gnn.dynamics.sequences import Real, SequenceClasses, attention


@dataclass(kw_only=True, eq=False)
class Weights:
    """Weights during training."""

    decoder: Real
    """Y, (V, M)"""
    attention: Real
    """z, (queries, V)"""

    @classmethod
    def zero(cls, classes: SequenceClasses, outputs: int) -> Weights:
        """Return the start of the theory."""
        return cls(
            decoder=np.zeros((classes.tokens, outputs)),
            attention=np.zeros((classes.queries, classes.tokens)),
        )

    @classmethod
    def uniform(
        cls, classes: SequenceClasses, outputs: int, rng: np.random.Generator
    ) -> Weights:
        """Return weights uniform in ±1/√M, the usual start of a linear map with M inputs."""
        bound = outputs**-0.5
        start = cls.zero(classes, outputs)
        return cls(
            decoder=rng.uniform(-bound, bound, start.decoder.shape),
            attention=rng.uniform(-bound, bound, start.attention.shape),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Gradient:
    """Ascent directions of the mean log-likelihood of a batch, and its value."""

    decoder: Real
    attention: Real
    likelihood: float


def gradient(
    weights: Weights,
    counts: Real,
    query: NDArray[np.int64],
    following: NDArray[np.int64],
    *,
    decorrelate: bool = False,
) -> Gradient:
    """Return the gradient of a batch (lemma 1).

    Args:
        counts: occurrences of each token in each context, or P(l | n), (B, V).
        query: of each context, (B,).
        following: the next token, (B,).
        decorrelate: replace f_n in the decoder's gradient by f_n − F E' e_n, E' = I − (FᵀF)⁻¹, as
            lemma 3 needs. The batch must then be the K classes themselves.
    """
    size = len(counts)
    weight = counts * np.exp(weights.attention[query])  # (B, V)
    share = weight / weight.sum(axis=1, keepdims=True)  # Xᵀb
    norm = np.linalg.norm(share, axis=1, keepdims=True)
    f = share / norm
    logits = f @ weights.decoder  # (B, M)
    logits -= logits.max(axis=1, keepdims=True)
    odds = np.exp(logits)
    total = odds.sum(axis=1, keepdims=True)
    residual = -odds / total  # e_n − α
    residual[np.arange(size), following] += 1
    back = residual @ weights.decoder.T  # (B, V)
    back -= (back * f).sum(axis=1, keepdims=True) * f  # P⊥
    onto = np.zeros((len(weights.attention), size))
    onto[query, np.arange(size)] = 1 / size
    sources = f - correlation(f) @ f if decorrelate else f
    chosen = logits[np.arange(size), following] - np.log(total[:, 0])
    return Gradient(
        decoder=sources.T @ residual / size,
        attention=onto @ (share * back / norm),
        likelihood=float(chosen.mean()),
    )


def correlation(f: Real) -> Real:
    """Return E' = I − (I + E)⁻¹ with I + E = FᵀF, (K, K), for unit rows f (K, V)."""
    return np.eye(len(f)) - np.linalg.inv(f @ f.T)


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """State of a run after t steps."""

    t: int
    z: Real
    """(queries, V)"""
    margin: float
    """Mean of the logit of the next token less the mean of outputs that never follow."""
    growing: bool
    """Whether, in the steps so far, every distinct token rose."""
    falling: bool
    """Whether, in the steps so far, every common token fell."""


@dataclass(kw_only=True, eq=False)
class _Signs:
    """Signs of the steps of the attention (theorem 2), over pairs (query, token) that occur."""

    classes: SequenceClasses
    growing: bool = True
    falling: bool = True
    rising: NDArray[np.bool_] = field(init=False)
    sinking: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        occurs = np.zeros((self.classes.queries, self.classes.tokens), bool)
        for query, row in zip(self.classes.query, self.classes.context, strict=True):
            occurs[query] |= row > 0
        self.rising = occurs & self.classes.distinct
        self.sinking = occurs & self.classes.common

    def see(self, step: Real) -> None:
        self.growing &= bool((step[self.rising] > 0).all())
        self.falling &= bool((step[self.sinking] < 0).all())


def population(
    classes: SequenceClasses, rates: Rates, steps: int, *, decorrelate: bool, every: int
) -> Iterator[Moment]:
    """Train on the classes' distributions, as sequences of infinite length would give.

    A step is a gradient step on the mean over classes, so its time is one sample. The first step
    of the attention is zero, as the decoder is, and is left out of the signs.
    """
    weights = Weights.zero(classes, rates.outputs)
    following = np.arange(classes.count)
    signs = _Signs(classes=classes)
    for t in range(steps + 1):
        if t % every == 0 or t == steps:
            yield Moment(
                t=t,
                z=weights.attention.copy(),
                margin=_margin(classes, weights),
                growing=signs.growing,
                falling=signs.falling,
            )
        step = gradient(
            weights, classes.context, classes.query, following, decorrelate=decorrelate
        )
        if t > 0:
            signs.see(step.attention)
        weights.decoder += rates.decoder * step.decoder
        weights.attention += rates.attention * step.attention


def reduced(
    classes: SequenceClasses, rates: Rates, steps: int, *, every: int
) -> Iterator[Moment]:
    """Integrate lemma 4 with the exact E' and the closed γ, by Euler steps of one sample.

    dz_m = η_Z γ / K · Σ_{n: query m} diag(f_n) Σ_{n'≠n} E'_nn' (f_n f_nᵀ − I) f_n'
    """
    z = np.zeros((classes.queries, classes.tokens))
    strength = force(rates, np.arange(steps + 1.0))
    onto = np.eye(classes.queries)[:, classes.query]  # (queries, K)
    signs = _Signs(classes=classes)
    u = margin(rates, np.arange(steps + 1.0))
    for t in range(steps + 1):
        if t % every == 0 or t == steps:
            yield Moment(
                t=t,
                z=z.copy(),
                margin=float(u[t]),
                growing=signs.growing,
                falling=signs.falling,
            )
        share = attention(classes, z)
        f = share / np.linalg.norm(share, axis=1, keepdims=True)
        beta = correlation(f)
        np.fill_diagonal(beta, 0)
        xi = (beta * (f @ f.T)).sum(axis=1, keepdims=True)  # over γ
        direction = onto @ (f * (xi * f - beta @ f)) / classes.count
        if t > 0:
            signs.see(direction)
        z += rates.attention * strength[t] * direction


@dataclass(frozen=True, kw_only=True)
class SgdParams:
    """Parameters of sampled training; the defaults are the paper's."""

    length: int | None = 128
    """T, with the query; None for sequences of infinite length."""
    batch: int = 128
    steps: int = 100
    momentum: float = 0.9


def sampled(
    classes: SequenceClasses,
    rates: Rates,
    params: SgdParams,
    weights: Weights,
    rng: np.random.Generator,
) -> Weights:
    """Train by SGD with momentum on sampled sequences; returns the weights, changed in place."""
    speed = Weights(
        decoder=np.zeros_like(weights.decoder),
        attention=np.zeros_like(weights.attention),
    )
    for _ in range(params.steps):
        drawn = rng.integers(0, classes.count, params.batch)
        counts = classes.context[drawn]
        if params.length is not None:
            counts = rng.multinomial(params.length - 1, counts).astype(float)
        step = gradient(weights, counts, classes.query[drawn], drawn)
        for name, rate in (("decoder", rates.decoder), ("attention", rates.attention)):
            moved = getattr(speed, name)
            moved *= params.momentum
            moved += getattr(step, name)
            trained = getattr(weights, name)
            trained += rate * moved
    return weights


def _margin(classes: SequenceClasses, weights: Weights) -> float:
    share = attention(classes, weights.attention)
    f = share / np.linalg.norm(share, axis=1, keepdims=True)
    logits = f @ weights.decoder
    count = classes.count
    if logits.shape[1] == count:
        return float("nan")
    return float(np.trace(logits[:, :count]) / count - logits[:, count:].mean())
