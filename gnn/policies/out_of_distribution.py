"""Out-of-distribution check for the neighbourhood policy.

A graph is summarised by the mean of each feature over its nodes, without the features of incumbents
(`search.lns.features.GraphBuilder.summary`). Each training family is described by the centre and
spread of the summaries of its instances and by its radius, the largest distance of an instance to
the centre; distances are root mean squares of standardised differences. The score of a graph is its
distance to the nearest family in units of that family's radius. Above `MARGIN` the policy's scores
mean nothing, and the arm that uses them disables itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# Instances of five times the training size score 1 to 3, other families 13 and more.
MARGIN = 6.0

# Features are of the order of 1; one that hardly varies in training gets this spread.
_LEAST_SPREAD = 0.1

# Instances that recur are nearly alike: the few that a policy was fitted to must not make the
# next one a stranger.
_LEAST_RADIUS = 0.5

# Names of the arrays in the weights file, which has had them since its first training run.
PREFIX = "home."
_CENTRES, _SPREADS, _RADII = (
    f"{PREFIX}{part}" for part in ("centres", "spreads", "radii")
)


def fit(summaries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays that describe the training families, to be stored beside the weights.

    summaries: family → (instances, F) summaries.
    """
    centres = np.stack([s.mean(axis=0) for s in summaries.values()])
    spreads = np.stack(
        [np.maximum(_LEAST_SPREAD, s.std(axis=0)) for s in summaries.values()]
    )
    radii = [
        max(_LEAST_RADIUS, *(_distance(one, centre, spread) for one in s))
        for s, centre, spread in zip(summaries.values(), centres, spreads, strict=True)
    ]
    return {
        _CENTRES: centres.astype(np.float32),
        _SPREADS: spreads.astype(np.float32),
        _RADII: np.array(radii, dtype=np.float32),
    }


def ood_score(summary: np.ndarray, weights: Mapping[str, np.ndarray]) -> float:
    """Return the distance of a summary (F,) to the nearest family, in radii of that family."""
    families = zip(weights[_CENTRES], weights[_SPREADS], weights[_RADII], strict=True)
    return min(
        _distance(summary, centre, spread) / max(1e-6, float(radius))
        for centre, spread, radius in families
    )


def _distance(summary: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> float:
    return float(np.sqrt(np.mean(((summary - centre) / spread) ** 2)))
