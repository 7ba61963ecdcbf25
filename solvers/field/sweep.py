"""S11 over a grid of frequencies from few solves: an adaptive rational sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.field.moments import MomentMethod, reflection
from solvers.field.rational import Rational, fit
from solvers.field.slab import Complex

_START = 9  # points, placed as Chebyshev nodes
_MOST = 60
_TOO_LARGE = 1.02  # |S11| of a passive antenna is at most 1


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A swept response."""

    s11: Complex  # (frequencies,)
    solved: tuple[int, ...]  # numbers of the frequencies that were solved
    model: Rational  # in x = f / f_max


def sweep(
    method: MomentMethod, *, reference_ohm: float = 50.0, tolerance: float = 2e-3
) -> Sweep:
    """Sweep all frequencies of the tables.

    Solves where two successive fits differ most. Ends when the prediction at three new points in
    succession, one of them at the centre of the largest gap, was within `tolerance`.
    """
    frequencies = method.tables.frequencies_hz
    x, count = frequencies / frequencies.max(), len(frequencies)
    solved: dict[int, complex] = {}

    def solve(index: int) -> complex:
        solved[index] = complex(reflection(method.input_impedance(index), reference_ohm))
        return solved[index]

    def fitted() -> tuple[Rational, Complex]:
        indices = np.array(sorted(solved))
        values = np.array([solved[int(index)] for index in indices])
        model = fit(x[indices], values, tolerance=tolerance / 20)
        return model, model(x)

    angles = np.linspace(0, np.pi, min(_START, count))
    for index in np.unique(np.round((count - 1) * (1 - np.cos(angles)) / 2).astype(int)):
        solve(int(index))
    before: Complex | None = None
    in_a_row = 0
    while True:
        model, response = fitted()
        if len(solved) >= min(_MOST, count) or in_a_row >= 3:
            return Sweep(s11=response, solved=tuple(sorted(solved)), model=model)
        gap = np.abs(np.arange(count)[:, None] - np.array(sorted(solved))).min(axis=1)
        doubt = (
            gap.astype(float) if before is None else np.abs(response - before) * (gap > 0)
        )
        doubt[(~np.isfinite(response) | (np.abs(response) > _TOO_LARGE)) & (gap > 0)] = (
            np.inf
        )
        index = int(doubt.argmax()) if doubt.max() > 0 else int(gap.argmax())
        predicted = response[index]
        in_a_row = in_a_row + 1 if abs(solve(index) - predicted) < tolerance else 0
        # The third is taken from the largest gap.
        before = None if in_a_row == 2 else response
