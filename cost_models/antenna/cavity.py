"""Cavity model of the metal at the feed: a cheap, coarse description of its resonances.

Below a thin patch the field is that of a cavity with magnetic walls (Lo, Solomon and Richards, IEEE
Trans. Antennas Propag. 27(2), 1979): (∇² + k²) E_z = source, ∂E_z/∂n = 0 at the outline. On the
pixels ∇² is the graph Laplacian L of neighbouring metal cells, and fringing adds to the mass of
cells at the outline. The feed at cell p has the impedance, up to a factor,

    Z(p, k) ∝ [(L − κ M)⁻¹]_pp = Σ_m φ_m(p)² / (λ_m − κ),   κ = (k a)² (1 − jδ)

with L φ_m = λ_m M φ_m. The net reads it at several k beside the image: it gives the modes, and the
net learns what the model leaves out: fringing, radiation, coupling between islands, the post.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

POINTS = 24
NUMBERS = 2 * POINTS
_LOW, _HIGH = 0.5, 1.4  # of the lowest and highest frequency, that points reach
_DAMPING = 0.08
_FRINGE = 0.4  # of the slab's height, by which the field extends beyond an edge
_LEAST_METAL = 1e-4  # of a cell that takes part, in relaxed masks
_GAIN = 4.0
_C0 = 299_792_458.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Cavity:
    """Cavity model of one board."""

    squares: Real  # (k a)² at the points, (POINTS,)
    extension: float  # of the field beyond an edge, in cells

    @classmethod
    def of(
        cls,
        *,
        eps_r: float,
        height_m: float,
        cell_m: float,
        f_min_hz: float,
        f_max_hz: float,
    ) -> Cavity:
        """Return the model, its points geometrically spaced in frequency."""
        frequencies = np.geomspace(_LOW * f_min_hz, _HIGH * f_max_hz, POINTS)
        squares = (2 * np.pi * frequencies * np.sqrt(eps_r) * cell_m / _C0) ** 2
        return cls(squares=np.asarray(squares), extension=_FRINGE * height_m / cell_m)

    def features(self, metal: Real, cells: NDArray[np.int64]) -> Real:
        """Return the compressed response at feeds, (feeds, NUMBERS).

        metal: (n, n) in [0, 1]. cells: (feeds, 2).
        """
        _, excited, damped, _ = self._modes(metal, cells)
        return _compressed(excited**2 @ damped.T)

    def pullback(self, metal: Real, cell: NDArray[np.int64], slope: Real) -> Real:
        """Return the gradient by the metal, (n, n), of a loss with `slope` by the features.

        With x = A⁻¹e_p and A = L − κM, ∂(A⁻¹)_pp = −xᵀ ∂A x: for an edge of weight w_ab between
        neighbours −(x_a − x_b)², for a mass κ·x_i².
        """
        modes, excited, damped, inside = self._modes(metal, cell[None])
        response = (excited**2 @ damped.T)[0]
        half = np.concatenate([response.real, response.imag])
        inner = slope * _GAIN / np.sqrt(1 + (_GAIN * half) ** 2)
        # Adjoint of (Re, Im) as a complex number: Re(conj(adjoint)·∂response).
        adjoint = np.conj(inner[:POINTS] + 1j * inner[POINTS:])
        x = np.zeros((POINTS, *metal.shape), complex)  # zero off the metal
        x[:, inside] = (excited * damped) @ modes.T
        kappa = self._kappa()
        by_mass = np.real(np.einsum("k,kij->ij", adjoint * kappa, x**2))
        result = by_mass * (1 + self.extension * (4 - _neighbours(metal)))
        by_mass = by_mass * metal
        for axis in (0, 1):
            a, b = _pair(axis)
            jump = x[(slice(None), *a)] - x[(slice(None), *b)]
            by_edge = -np.real(np.einsum("k,kij->ij", adjoint, jump**2))
            # The edge's weight is the product of both cells; each is the other's neighbour.
            result[a] += by_edge * metal[b] - self.extension * by_mass[b]
            result[b] += by_edge * metal[a] - self.extension * by_mass[a]
        return np.asarray(result)

    def _kappa(self) -> Complex:
        return np.asarray(self.squares * (1 - 1j * _DAMPING))

    def _modes(
        self, metal: Real, cells: NDArray[np.int64]
    ) -> tuple[Real, Real, Complex, NDArray[np.bool_]]:
        """Return modes (metal cells, modes), at feeds, 1/(λ − κ) (POINTS, modes), metal cells."""
        n = len(metal)
        inside = metal > _LEAST_METAL
        inside[cells[:, 0], cells[:, 1]] = True
        index = np.full((n, n), -1)
        count = int(inside.sum())
        index[inside] = np.arange(count)
        stiffness = np.zeros((count, count))
        for axis in (0, 1):
            a, b = _pair(axis)
            both = inside[a] & inside[b]
            weight = (metal[a] * metal[b])[both]
            i, j = index[a][both], index[b][both]
            stiffness[i, j] = stiffness[j, i] = -weight
        stiffness[np.arange(count), np.arange(count)] = -stiffness.sum(axis=1)
        mass = metal * (1 + self.extension * (4 - _neighbours(metal)))
        root = 1 / np.sqrt(np.maximum(mass[inside], _LEAST_METAL))
        values, vectors = np.linalg.eigh(stiffness * root[:, None] * root[None])
        modes = vectors * root[:, None]  # (cells, modes)
        excited = modes[index[cells[:, 0], cells[:, 1]]]  # (feeds, modes)
        damped = 1 / (values[None] - self._kappa()[:, None])  # (POINTS, modes)
        return modes, excited, damped, inside


def _compressed(response: Complex) -> Real:
    both = np.concatenate([response.real, response.imag], axis=1)
    return np.asarray(np.arcsinh(_GAIN * both))


def _neighbours(metal: Real) -> Real:
    padded = np.pad(metal, 1)
    return np.asarray(
        padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2]
    )


def _pair(axis: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the cells before and behind all edges along an axis."""
    low, high, whole = slice(0, -1), slice(1, None), slice(None)
    return ((low, whole), (high, whole)) if axis == 0 else ((whole, low), (whole, high))
