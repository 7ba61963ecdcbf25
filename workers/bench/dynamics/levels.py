"""Closed forms, reduced equation, population training and sampled SGD, side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from gnn.dynamics.closed_form import Rates, common_token, margin, profile
from gnn.dynamics.sequences import SequenceClasses, attention, linear_classes
from gnn.dynamics.training import (
    Moment,
    SgdParams,
    Weights,
    population,
    reduced,
    sampled,
)
from workers.bench.dynamics.picture import Curve, Panel

Line = dict[str, Any]
_POINTS = 16
# Figure 3 of the paper has K = 10 and M = 1000; a small attention rate keeps assumption 1(c).
CASES: tuple[tuple[int, int, float], ...] = (
    (2, 1000, 0.1),
    (10, 1000, 0.1),
    (10, 1000, 0.5),
)


def run(*, horizon: float, seed: int) -> Iterator[Line]:
    """Yield, for each case and level, the margin and the attention at points of time.

    horizon: in units of t₀, after which the attention all but stops.
    """
    for count, outputs, rate in CASES:
        classes = linear_classes(count, distinct=10, common=1)
        rates = Rates(decoder=1.0, attention=rate, classes=count, outputs=outputs)
        steps = int(horizon * rates.snap)
        every = max(1, steps // _POINTS)
        case = {"classes": count, "outputs": outputs, "rate": rate}
        case |= {"t0": round(rates.snap, 1)}
        levels = {
            "reduced": reduced(classes, rates, steps, every=every),
            "population": population(
                classes, rates, steps, decorrelate=True, every=every
            ),
            "population, plain": population(
                classes, rates, steps, decorrelate=False, every=every
            ),
            "sampled, plain": _sampled(classes, rates, steps, every, seed),
        }
        for name, moments in levels.items():
            for moment in moments:
                law = float(margin(rates, np.array(float(moment.t))))
                yield {
                    **case,
                    "level": name,
                    "t": moment.t,
                    "margin": _round(moment.margin),
                    "margin_law": _round(law),
                    "z_top": _round(moment.z[0, 10]),
                    "z_common": _round(moment.z[0, 0]),
                    "theorem_2": moment.growing and moment.falling,
                }
        yield from _closed(classes, rates, case, np.arange(0, steps + 1, every))


def _closed(
    classes: SequenceClasses, rates: Rates, case: Line, times: np.ndarray
) -> Iterator[Line]:
    """Yield the closed forms; z of the common token only, which is for weak correlation."""
    share = classes.context[0]
    ratio = float((share[classes.distinct] ** 2).sum() / share[0] ** 2)
    z = common_token(rates, times.astype(float), ratio)
    for t, u, common in zip(times, margin(rates, times.astype(float)), z, strict=True):
        yield {
            **case,
            "level": "closed form",
            "t": int(t),
            "margin": _round(u),
            "margin_law": _round(u),
            "z_common": _round(common),
        }


def _sampled(
    classes: SequenceClasses, rates: Rates, steps: int, every: int, seed: int
) -> Iterator[Moment]:
    """Train on sequences of 128 tokens, 32 a step, without momentum; signs are not promised."""
    rng = np.random.default_rng(seed)
    weights = Weights.zero(classes, rates.outputs)
    params = SgdParams(batch=32, steps=every, momentum=0.0)
    for t in itertools.count(step=every):
        share = attention(classes, weights.attention)
        f = share / np.linalg.norm(share, axis=1, keepdims=True)
        logits = f @ weights.decoder
        count = classes.count
        yield Moment(
            t=t,
            z=weights.attention.copy(),
            margin=float(np.trace(logits[:, :count]) / count - logits[:, count:].mean()),
            growing=False,
            falling=False,
        )
        if t + every > steps:
            return
        sampled(classes, rates, params, weights, rng)


def validity(*, seeds: int, steps: int) -> Iterator[Line]:
    """Yield the error of the profile law by the ratio of the rates (assumption 1(c)).

    The law predicts z of all distinct tokens from that of the most frequent one. Reported is the
    greatest relative error over the more frequent half, median over seeds.
    """
    classes = linear_classes(2, distinct=10, common=10)
    outputs = classes.tokens + 3
    share = classes.context[0, 10:20]
    for ratio in (1 / 3, 1, 2, 5, 10, 25, 100):
        for length in (None, 128):
            errors, tops = [], []
            for seed in range(seeds if length else 1):
                rng = np.random.default_rng(seed)
                rates = Rates(
                    decoder=1.0, attention=1 / ratio, classes=2, outputs=outputs
                )
                weights = Weights.zero(classes, outputs)
                params = SgdParams(length=length, steps=steps)
                z = sampled(classes, rates, params, weights, rng).attention[0, 10:20]
                law = profile(share, max(1.0, float(np.exp(2 * z[-1]))))
                errors.append(float(np.max(np.abs(law - z)[5:] / np.abs(z[5:]))))
                tops.append(float(z[-1]))
            yield {
                "ratio": round(ratio, 3),
                "length": length or "infinite",
                "law_error": round(float(np.median(errors)), 4),
                "z_top": round(float(np.median(tops)), 4),
                "seeds": len(errors),
            }


def signs(*, steps: int) -> Iterator[Line]:
    """Yield whether theorem 2 held at every step, for several cases and rates."""
    for count, outputs, rate in (*CASES, (2, 30, 0.1), (5, 200, 1.0)):
        classes = linear_classes(count, distinct=10, common=1)
        rates = Rates(decoder=1.0, attention=rate, classes=count, outputs=outputs)
        for decorrelate in (True, False):
            last = list(
                population(classes, rates, steps, decorrelate=decorrelate, every=steps)
            )[-1]
            yield {
                "classes": count,
                "outputs": outputs,
                "rate": rate,
                "decoder_gradient": "of lemma 3" if decorrelate else "plain",
                "steps": steps,
                "distinct_rose": last.growing,
                "common_fell": last.falling,
            }


def panels(lines: list[Line]) -> list[Panel]:
    """Return margin and attention of the case K = 10, η_Z = 0.1 as panels."""
    chosen = [r for r in lines if (r.get("classes"), r.get("rate")) == (10, 0.1)]
    names = list(dict.fromkeys(r["level"] for r in chosen if "level" in r))
    out = []
    for field, title in (
        ("margin", "margin of the decoder"),
        ("z_common", "z, common token"),
    ):
        curves = [
            Curve(
                name=name,
                points=[(r["t"], r[field]) for r in chosen if r["level"] == name],
            )
            for name in names
        ]
        out.append(Panel(title=title, x="samples", y=field, curves=curves))
    return out


def validity_panels(lines: list[Line]) -> list[Panel]:
    """Return the error of the profile law over the logarithm of the ratio."""
    lengths = list(dict.fromkeys(r["length"] for r in lines))
    curves = [
        Curve(
            name=f"sequences of length {length}",
            points=[
                (float(np.log10(r["ratio"])), r["law_error"])
                for r in lines
                if r["length"] == length
            ],
        )
        for length in lengths
    ]
    return [
        Panel(
            title="error of the profile law", x="log10 of the ratio", y="", curves=curves
        )
    ]


def _round(value: float) -> float:
    return round(float(value), 5)
