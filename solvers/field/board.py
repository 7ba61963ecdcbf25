"""Board and pixel grid of a planar antenna. Lengths in metres, frequencies in hertz."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

C0 = 299_792_458.0  # speed of light, m/s
MU0 = 4e-7 * np.pi  # H/m
EPS0 = 1 / (MU0 * C0**2)  # F/m
ETA0 = MU0 * C0  # wave impedance of free space, ohm

Mask = NDArray[np.bool_]
Cell = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Board:
    """A dielectric slab on a ground plane, both endless in the method of moments."""

    eps_r: float  # relative permittivity
    tan_d: float  # loss tangent of the dielectric
    height_m: float  # slab thickness
    conductivity_s_m: float = 5.8e7  # of metal and ground plane; 0: perfect conductor

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("eps_r", self.eps_r, 1.0, 100.0),
            ("tan_d", self.tan_d, 0.0, 1.0),
            ("height_m", self.height_m, 1e-5, 0.1),
            ("conductivity_s_m", self.conductivity_s_m, 0.0, 1e9),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name}: expected {low:g} to {high:g}, got {value:g}")

    def surface_impedance(
        self, frequency_hz: NDArray[np.float64]
    ) -> NDArray[np.complex128]:
        """Ohm per square of a conductor that is thick against its skin depth: (1+j)√(π f μ₀/σ)."""
        if self.conductivity_s_m == 0:
            return np.zeros(np.shape(frequency_hz), complex)
        return (1 + 1j) * np.sqrt(
            np.pi * np.asarray(frequency_hz) * MU0 / self.conductivity_s_m
        )


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Square cells of metal or air: the unknowns of the method of moments live on their edges."""

    cells: int  # along x and along y
    cell_m: float

    def __post_init__(self) -> None:
        if not 2 <= self.cells <= 128:
            raise ValueError(f"cells: expected 2 to 128, got {self.cells}")
        if not 1e-5 <= self.cell_m <= 0.1:
            raise ValueError(f"cell_m: expected 1e-05 to 0.1, got {self.cell_m:g}")

    @property
    def size_m(self) -> float:
        """Side of the square of cells."""
        return self.cells * self.cell_m

    def refined(self, factor: int) -> Grid:
        """Return the grid whose cells are `factor` times smaller along each side."""
        return Grid(cells=self.cells * factor, cell_m=self.cell_m / factor)


def refined_mask(mask: Mask, factor: int) -> Mask:
    """Return the mask on `Grid.refined(factor)`: each pixel becomes factor × factor cells."""
    return np.kron(mask, np.ones((factor, factor), bool)).astype(bool)


def refined_post(post: Cell, factor: int) -> list[Cell]:
    """Return the cells of the refined grid that a post of one pixel covers."""
    i, j = post
    return [
        (factor * i + a, factor * j + b) for a in range(factor) for b in range(factor)
    ]
