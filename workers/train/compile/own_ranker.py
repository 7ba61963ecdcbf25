"""Ranker of a mined coreset: ridge regression from a program's features to the shares saved.

It is kept only where it helps: modules are left out one by one, and the pipeline that it puts first
must save more on the left-out ones than the coreset's own first, by two standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.domains.compile.search.fitted import Ranker, standardised

Floats = NDArray[np.float64]
STRENGTHS = (30.0, 300.0, 3000.0)  # of the ridge, over standardised features
LEAST_MODULES = 8
_LEAST_GAIN = 5e-4  # of the share saved: less is not worth a model
_ERRORS = 2.0  # standard errors by which the ranker must be ahead


@dataclass(frozen=True, kw_only=True)
class RankerTrial:
    """Outcome of leaving modules out one by one."""

    ranker: Ranker | None  # None: it does not help
    gain: float  # mean share saved by its first pipeline over the coreset's own first
    error: float  # standard error of the gain

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        what = "kept" if self.ranker is not None else "not kept"
        return (
            f"The ranker is {what}: on modules left out its first pipeline saves "
            f"{100 * self.gain:+.2f} points against the coreset's own first (standard error "
            f"{100 * self.error:.2f})."
        )


def try_ranker(features: Floats, saved: Floats) -> RankerTrial:
    """Fit a ranker to (N, F) features and (N, K) shares saved, and keep it where it helps."""
    modules, pipelines = saved.shape
    if modules < LEAST_MODULES or pipelines < 2:
        return RankerTrial(ranker=None, gain=0.0, error=0.0)
    gains = {strength: _left_out(features, saved, strength) for strength in STRENGTHS}
    # The strength is chosen on the same modules: one of three, so the margin has to carry that.
    strength = max(gains, key=lambda s: float(gains[s].mean()))
    gain = gains[strength]
    mean, error = float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(modules))
    helps = mean > max(_LEAST_GAIN, _ERRORS * error)
    return RankerTrial(
        ranker=_ridge(features, saved, strength) if helps else None,
        gain=mean,
        error=error,
    )


def _left_out(features: Floats, saved: Floats, strength: float) -> Floats:
    """(N,) gain of the ranker's first pipeline on each module, fitted to the others."""
    gains = np.zeros(len(saved))
    for i in range(len(saved)):
        others = np.arange(len(saved)) != i
        ranker = _ridge(features[others], saved[others], strength)
        gains[i] = saved[i, ranker.scores(features[i]).argmax()] - saved[i, 0]
    return gains


def _ridge(features: Floats, saved: Floats, strength: float) -> Ranker:
    mean, std = features.mean(axis=0), features.std(axis=0)
    x = standardised(features, mean, std)  # (N, F)
    bias = saved.mean(axis=0)
    # N is far below F: the dual form.
    gram = x @ x.T + strength * np.eye(len(x))
    weight = np.linalg.solve(gram, saved - bias).T @ x  # (K, F)
    return Ranker(weight=weight, bias=bias, mean=mean, std=std)
