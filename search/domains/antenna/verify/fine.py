"""Fine solve of a design for check and files, apart from the search's own evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.parse import FINE, AntennaProblem
from solvers.field.far_field import FarField, far_field
from solvers.field.moments import MomentMethod, refined_antenna
from solvers.field.sweep import Sweep, sweep

Real = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FineSolve:
    """Method of moments with 2 x 2 cells per pixel, over the job's frequencies."""

    method: MomentMethod
    swept: Sweep
    frequencies_hz: Real

    def response(self, frequencies_hz: Real) -> NDArray[np.complex128]:
        """Return S11 of the rational model."""
        return self.swept.model(frequencies_hz / self.frequencies_hz.max())

    def far_field_at(
        self, frequency_hz: float, *, thetas: int = 12, phis: int = 18
    ) -> FarField:
        """Return the far field at the table's frequency next to `frequency_hz`."""
        index = int(np.abs(self.frequencies_hz - frequency_hz).argmin())
        return far_field(self.method, index, thetas=thetas, phis=phis)


def solve_fine(problem: AntennaProblem, design: Design) -> FineSolve:
    """Solve a design."""
    built = refined_antenna(design.mask, design.feed, design.vias, factor=FINE)
    method = MomentMethod(problem.fine, built)
    return FineSolve(
        method=method,
        swept=sweep(method, reference_ohm=problem.spec.z0_ohm),
        frequencies_hz=problem.frequencies_hz,
    )
