"""Conditional logit over the slots that fit a number and `NOTHING` (McFadden 1974).

P(role) ∝ exp(sum of the weights of its signs). Signs are hashed into a table of fixed size
(Weinberger et al. 2009, arXiv 0902.2206). Trained by `python -m workers.train plan roles`.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.weights import load_weights
from search.domains.plan.reading.quantities.quantity import Quantity
from search.domains.plan.reading.roles.features import NOTHING, Candidate, signs_of
from search.domains.plan.reading.scene import Scene

NAME = "plan-roles"
BUCKETS = 1 << 16


def bucket(sign: str) -> int:
    """Return the place of a sign in the table of weights."""
    return zlib.crc32(sign.encode()) % BUCKETS


def places(signs: Iterable[str]) -> NDArray[np.int32]:
    """Return the places of some signs in the table of weights, each once."""
    return np.unique(np.array([bucket(sign) for sign in signs], dtype=np.int32))


@dataclass(frozen=True, kw_only=True)
class RoleModel:
    """Weights of the signs, `[BUCKETS]`, and the temperature that calibrates them."""

    weights: NDArray[np.float32]
    temperature: float = 1.0

    def shares(
        self, scene: Scene, quantity: Quantity, candidates: Sequence[Candidate]
    ) -> dict[str, float]:
        """Return the probability of each path, and of `NOTHING`."""
        rows = [places(signs) for signs in signs_of(scene, quantity, candidates)]
        names = [*(each.path for each in candidates), NOTHING]
        return dict(zip(names, self.probabilities(rows).tolist(), strict=True))

    def probabilities(self, rows: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
        """Return the probability of each row, which has the places of its signs."""
        scores = np.array([float(self.weights[row].sum()) for row in rows])
        scores = np.exp((scores - scores.max()) / self.temperature)
        result: NDArray[np.float64] = scores / scores.sum()
        return result


@functools.cache
def shipped() -> RoleModel:
    """Return the shipped model. Raises WeightsRefused."""
    arrays = load_weights(NAME)
    return RoleModel(
        weights=arrays["weights"].astype(np.float32),
        temperature=float(arrays["temperature"][0]),
    )
