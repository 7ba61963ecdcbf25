"""Is a graph like those the net was trained on? If not, its scores mean nothing and the arm that uses them stays silent.

A graph is summarised by the mean of each feature over its nodes, those of the incumbents left out
(`search.lns.features.GraphBuilder.summary`). Each training family keeps the centre and spread of its instances' summaries; a
graph is at home when the root mean square of its standardised distances to the nearest family is below the largest seen
in training, times a margin for larger instances of a family.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

MARGIN = 6.0  # in training's own radii: five times the size is at 1-3, another family at 13 and more
_LEAST_SPREAD = (
    0.1  # of a feature that hardly moved in training: features are of the order of 1
)


def learn(summaries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Family → (instances, F) summaries; returns the arrays kept beside the weights."""
    centres = np.stack([s.mean(axis=0) for s in summaries.values()])
    spreads = np.stack(
        [np.maximum(_LEAST_SPREAD, s.std(axis=0)) for s in summaries.values()]
    )
    radii = [
        max(_distance(one, centre, spread) for one in s)
        for s, centre, spread in zip(summaries.values(), centres, spreads, strict=True)
    ]
    return {
        "home.centres": centres.astype(np.float32),
        "home.spreads": spreads.astype(np.float32),
        "home.radii": np.array(radii, dtype=np.float32),
    }


def strangeness(own: np.ndarray, weights: Mapping[str, np.ndarray]) -> float:
    """Distance of a summary (F,) to the nearest family over its radius; at home up to `MARGIN`."""
    rows = zip(
        weights["home.centres"], weights["home.spreads"], weights["home.radii"], strict=True
    )
    return min(
        _distance(own, centre, spread) / max(1e-6, float(radius))
        for centre, spread, radius in rows
    )


def _distance(own: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> float:
    return float(np.sqrt(np.mean(((own - centre) / spread) ** 2)))
