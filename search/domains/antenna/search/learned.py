"""The learned surrogate as the search uses it: scores of designs, gradients, active learning."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.search.samples import BandSamples

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Cells = NDArray[np.int64]
SlopeOf = Callable[[Complex], tuple[Real, Complex]]
_SOFT_DB = 1.0  # of the soft maximum over the frequencies of a loss


class Predictor(Protocol):
    """Parts of a surrogate that the search needs; `cost_models.antenna.surrogate` has them."""

    def predict(
        self,
        masks: NDArray[np.bool_],
        feeds: Cells,
        frequencies_hz: Real,
        *,
        fine: bool = True,
        z0_ohm: float = 50.0,
    ) -> Complex:
        """Return S11, (n, f)."""
        ...

    def gradient(
        self,
        masks: Real,
        feeds: Cells,
        frequencies_hz: Real,
        slope_of: SlopeOf,
        *,
        fine: bool = True,
    ) -> tuple[Real, Real]:
        """Return losses, (n,), and their gradients by the metal, (n, cells, cells)."""
        ...

    def refined(
        self,
        masks: NDArray[np.bool_],
        feeds: Cells,
        s11: Complex,
        frequencies_hz: Real,
        *,
        rng: np.random.Generator,
        steps: int = 150,
        seconds: float = np.inf,
        fine: bool = True,
    ) -> Predictor:
        """Return a copy that is fine-tuned on solved designs."""
        ...


class Learned:
    """A surrogate over the bands of one job, with the designs that were solved meanwhile."""

    def __init__(self, model: Predictor, samples: BandSamples, name: str) -> None:
        self.model, self.name = model, name
        self.samples = samples
        self.predicted, self.rounds = 0, 0
        self.seconds = {"predict": 0.0, "learn": 0.0}
        self._solved: list[tuple[Design, Complex]] = []
        self._waiting = 0

    def guides(self, designs: Sequence[Design]) -> tuple[Real, Real]:
        """Return the predicted margin and guide of each design, dB."""
        began = time.process_time()
        s11 = self.model.predict(
            _masks(designs),
            _feeds(designs),
            self.samples.frequencies_hz,
            z0_ohm=self.samples.reference_ohm,
        )
        table, guides = self.samples.margins(s11)
        self.predicted += len(designs)
        self.seconds["predict"] += time.process_time() - began
        return table.min(axis=1), guides

    def slopes(self, masks: Real, feed: tuple[int, int]) -> tuple[Real, Real]:
        """Return the loss of relaxed masks, dB, and its gradient by the metal.

        The loss is a soft maximum of how far |S11| is above the limits over all frequencies.
        """
        feeds = np.repeat(np.array([feed], np.int64), len(masks), axis=0)
        limits, signs = self.samples.limits_db, self.samples.signs

        def slope_of(s11: Complex) -> tuple[Real, Complex]:
            size = np.maximum(np.abs(s11), 1e-3)
            excess = signs * (20 * np.log10(size) - limits) / _SOFT_DB
            top = excess.max(axis=1, keepdims=True)
            share = np.exp(excess - top)
            total = share.sum(axis=1, keepdims=True)
            loss = _SOFT_DB * (top + np.log(total))[:, 0]
            by_size = (share / total) * signs * (20 / np.log(10)) / size
            return loss, by_size * s11 / size

        return self.model.gradient(masks, feeds, self.samples.frequencies_hz, slope_of)

    def add(self, design: Design, s11: Complex) -> None:
        """Remember a solved design for active learning; s11 at the samples' frequencies."""
        self._solved.append((design, s11))
        self._waiting += 1

    def learn(self, rng: np.random.Generator, *, after: int, steps: int) -> bool:
        """Fine-tune a copy once `after` designs were added since the last time."""
        if self._waiting < after:
            return False
        began = time.process_time()
        designs = [design for design, _ in self._solved]
        self.model = self.model.refined(
            _masks(designs),
            _feeds(designs),
            np.array([s11 for _, s11 in self._solved]),
            self.samples.frequencies_hz,
            rng=rng,
            steps=steps,
        )
        self._waiting, self.rounds = 0, self.rounds + 1
        self.seconds["learn"] += time.process_time() - began
        return True


def _masks(designs: Sequence[Design]) -> NDArray[np.bool_]:
    return np.array([design.mask for design in designs])


def _feeds(designs: Sequence[Design]) -> Cells:
    return np.array([design.feed for design in designs], np.int64)
