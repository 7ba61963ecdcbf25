"""A surrogate that prefers designs like the patch: predictions and gradients in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.search.domains.antenna.jobs import PATCH


class Resembling:
    """|S11| grows with the share of cells that differ from the patch."""

    def __init__(self, refinements: int = 0) -> None:
        self.refinements = refinements

    def _size(self, masks: Any) -> Any:
        wanted = PATCH.mask.astype(float)
        return 0.1 + 0.85 * ((masks - wanted) ** 2).mean(axis=(1, 2))

    def predict(self, masks: Any, feeds: Any, frequencies_hz: Any, **options: Any) -> Any:
        assert feeds.shape == (len(masks), 2)
        size = self._size(np.asarray(masks, float))
        return np.repeat(size[:, None], len(frequencies_hz), axis=1).astype(complex)

    def gradient(
        self, masks: Any, feeds: Any, frequencies_hz: Any, slope_of: Any, **options: Any
    ) -> Any:
        s11 = self.predict(masks, feeds, frequencies_hz)
        loss, slope = slope_of(s11)
        by_size = slope.real.sum(axis=1)[:, None, None]
        change = 2 * 0.85 * (masks - PATCH.mask) / PATCH.mask.size
        return loss, by_size * change

    def refined(self, *arguments: Any, **options: Any) -> Resembling:
        return Resembling(self.refinements + 1)
