"""Closed forms of Scan and Snap: the decoder's margin, its driving force, and the attention.

Tian et al. (2023), lemmas 5 and 6, theorems 1, 3 and 4. Time t counts single samples; K classes are
equally frequent, and the decoder has M outputs. Corrections to the paper's text are listed in
deploy/docs/design/scan-and-snap.md, "Corrections".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gnn.dynamics.sequences import Real


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Learning rates of one sample, and sizes."""

    decoder: float
    """η_Y"""
    attention: float
    """η_Z"""
    classes: int
    """K"""
    outputs: int
    """M"""

    def __post_init__(self) -> None:
        """Refuse rates and sizes that the theory has no meaning for."""
        for name in ("decoder", "attention"):
            if getattr(self, name) <= 0:
                raise ValueError(
                    f"{name}: expected a positive rate, got {getattr(self, name)}"
                )
        if not 1 < self.classes <= self.outputs:
            raise ValueError(
                "classes: expected at least 2 and at most as many as outputs, "
                f"got {self.classes} classes and {self.outputs} outputs"
            )

    @property
    def snap(self) -> float:
        """t₀ = 2 K ln M / η_Y, after which the attention all but stops."""
        return 2 * self.classes * float(np.log(self.outputs)) / self.decoder


def margin(rates: Rates, t: Real) -> Real:
    """Return the logit margin u(t) = M h, from e^u + (M − 1) u = M η_Y t / K + 1 (lemma 6).

    Newton's method from above: the left side is convex and increasing, so steps never overshoot.
    """
    others = rates.outputs - 1
    level = rates.outputs * rates.decoder * np.asarray(t, float) / rates.classes + 1
    # Both terms are bounded by the level: u ≤ ln(level) and u ≤ (level − 1) / (M − 1).
    u = np.minimum(np.log(level), (level - 1) / others)
    for _ in range(100):
        step = (np.exp(u) + others * u - level) / (np.exp(u) + others)
        u = u - step
        if np.max(np.abs(step), initial=0.0) < 1e-14 * (1 + np.max(u, initial=0.0)):
            break
    return u


def force(rates: Rates, t: Real) -> Real:
    """Return γ(t) = (M − 1)² h / (M − 1 + e^(M h)), which drives the attention (theorem 1)."""
    u = margin(rates, t)
    others = rates.outputs - 1
    out: Real = others**2 * (u / rates.outputs) / (others + np.exp(u))
    return out


def work(rates: Rates, t: Real) -> Real:
    """Return Γ(t) = η_Z ∫₀ᵗ γ = (η_Z / η_Y) K (M − 1)² h² / 2."""
    h = margin(rates, t) / rates.outputs
    ratio = rates.attention / rates.decoder
    out: Real = ratio * rates.classes * (rates.outputs - 1) ** 2 * h**2 / 2
    return out


def common_token(rates: Rates, t: Real, distinct_to_common: float) -> Real:
    """Return z(t) of a single common token of one query: −¼ ln(1 + 4 Γ / C₀).

    For weakly correlated classes, K f_common² ≪ 1. B_n(t) of theorem 4 is its negative.

    Args:
        distinct_to_common: Σ over distinct tokens of P(l | n)², over P(common | n)²; C₀ is its
            square over K − 1.
    """
    start = distinct_to_common**2 / (rates.classes - 1)
    out: Real = -np.log1p(4 * work(rates, t) / start) / 4
    return out


def profile(share: Real, growth: float) -> Real:
    """Return z_l of the distinct tokens of a class from the growth of its most frequent one.

    (1 − e^(−2 z_l)) / P(l | n)² is equal for all of them (theorem 3 and equation 110), so one
    number fixes them: z_l = −½ ln(1 − (P_l / P_0)² (1 − 1/χ)), χ = e^(2 z_0).

    Args:
        share: P(l | n) of the distinct tokens, (D,).
        growth: χ of the most frequent one, at least 1.
    """
    if growth < 1:
        raise ValueError(f"growth: expected at least 1, got {growth}")
    relative = (share / share.max()) ** 2
    out: Real = -0.5 * np.log(1 - relative * (1 - 1 / growth))
    return out
