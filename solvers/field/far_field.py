"""Far field, radiated power and efficiency from the currents.

The field above the slab is the inverse Fourier transform of the tangential field at z = h; its
stationary-phase point gives the far field (Balanis, Antenna Theory, 4th ed., section 12.9):

    E_θ = (j k₀/2πr) e^{−jk₀r} Ẽ_u,   E_φ = (j k₀ cosθ/2πr) e^{−jk₀r} Ẽ_v

with u along and v across the direction of observation, at κ = k₀ sinθ, and with the impedances of
the slab (Michalski and Mosig 1997, equations 13-15)

    Ẽ_u = −Z_TM (J̃_u + jκ P̃/k_z²),   Ẽ_v = −Z_TE J̃_v

where J̃ are the rooftops' currents and P̃ those of the posts (upward, uniform in z).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.field.board import C0, ETA0
from solvers.field.moments import MomentMethod
from solvers.field.slab import Complex, Real, layer_impedances, surface_waves


@dataclass(frozen=True, kw_only=True)
class FarField:
    """Far field r·E·e^{jk₀r} on a grid of directions, volt, for 1 V at the port."""

    frequency_hz: float
    theta_rad: Real  # (θ,), 0 at the zenith, below π/2
    phi_rad: Real  # (φ,), equally spaced over 2π
    e_theta: Complex  # (θ, φ)
    e_phi: Complex  # (θ, φ)
    theta_weights: Real  # quadrature weights of θ
    radiated_w: float  # into the upper half space
    accepted_w: float  # at the port
    conductor_loss_w: float  # in metal and ground
    surface_wave_w: float  # guided along the slab, which has no end here

    @property
    def efficiency(self) -> float:
        """Power that neither metal nor dielectric dissipates, over accepted power.

        Surface waves count as radiated: a board of finite size radiates them from its edges, in
        directions that this solver does not know.
        """
        return (self.radiated_w + self.surface_wave_w) / self.accepted_w

    @property
    def space_wave_efficiency(self) -> float:
        """Power radiated into the half space above an endless slab, over accepted power."""
        return self.radiated_w / self.accepted_w

    @property
    def directivity(self) -> Real:
        """Directivity (θ, φ), relative to an isotropic radiator, not in dB."""
        intensity = (np.abs(self.e_theta) ** 2 + np.abs(self.e_phi) ** 2) / (2 * ETA0)
        return np.asarray(4 * np.pi * intensity / self.radiated_w)


def far_field(
    method: MomentMethod, index: int, *, thetas: int = 24, phis: int = 36
) -> FarField:
    """Return the far field at one frequency, on Gauss nodes in θ and equal steps in φ."""
    frequency = float(method.tables.frequencies_hz[index])
    currents = method.currents(index)
    nodes, weights = np.polynomial.legendre.leggauss(thetas)
    theta, theta_weights = (nodes + 1) * np.pi / 4, weights * np.pi / 4
    phi = 2 * np.pi * np.arange(phis) / phis
    k0 = 2 * np.pi * frequency / C0
    kappa = k0 * np.sin(theta)[:, None]
    kx, ky = kappa * np.cos(phi), kappa * np.sin(phi)
    jx, jy, post = _transforms(method, currents, kx, ky)
    z_tm, z_te, k_z2 = layer_impedances(method.tables.board, frequency, kappa)
    along = jx * np.cos(phi) + jy * np.sin(phi)
    across = -jx * np.sin(phi) + jy * np.cos(phi)
    factor = 1j * k0 / (2 * np.pi)
    e_theta = factor * -z_tm * (along + 1j * kappa * post / k_z2)
    e_phi = factor * np.cos(theta)[:, None] * -z_te * across
    intensity = (np.abs(e_theta) ** 2 + np.abs(e_phi) ** 2) / (2 * ETA0)
    radiated = (intensity.sum(axis=1) * np.sin(theta)) @ theta_weights * 2 * np.pi / phis
    edges = method.antenna.unknowns - len(method.antenna.posts)
    port = currents[edges : edges + method.antenna.port_posts].sum()
    return FarField(
        frequency_hz=frequency,
        theta_rad=theta,
        phi_rad=phi,
        e_theta=e_theta,
        e_phi=e_phi,
        theta_weights=theta_weights,
        radiated_w=float(radiated),
        accepted_w=float(port.real / 2),
        conductor_loss_w=_conductor_loss(method, currents, index),
        surface_wave_w=_surface_wave_power(method, currents, frequency, phi),
    )


def _surface_wave_power(
    method: MomentMethod, currents: Complex, frequency_hz: float, phi: Real
) -> float:
    """Power of the guided modes: the residues of the spectral power ½ Re ∫∫ Z|J̃|² κ dκ dφ/(2π)²."""
    total = 0.0
    for mode in surface_waves(method.tables.board, frequency_hz):
        kx, ky = mode.kappa * np.cos(phi), mode.kappa * np.sin(phi)
        jx, jy, post = _transforms(method, currents, kx, ky)
        k_z2 = layer_impedances(method.tables.board, frequency_hz, np.array(mode.kappa))[
            2
        ]
        if mode.polarisation == "TM":
            source = jx * np.cos(phi) + jy * np.sin(phi) + 1j * mode.kappa * post / k_z2
        else:
            source = -jx * np.sin(phi) + jy * np.cos(phi)
        mean = float((np.abs(source) ** 2).mean())
        total += abs(mode.residue) * mode.kappa * mean / 4
    return total


def _transforms(
    method: MomentMethod, currents: Complex, kx: Real, ky: Real
) -> tuple[Complex, Complex, Complex]:
    """Return ∫ f e^{j(k_x x + k_y y)} of x current, y current (A·m) and post current (A)."""
    a = method.tables.grid.cell_m
    (xi, xj), (yi, yj), posts = (
        method.antenna.x_edges,
        method.antenna.y_edges,
        method.antenna.posts,
    )
    nx, n = len(xi), len(xi) + len(yi)
    # A rooftop is a triangle along its current (transform a·sinc²) and a pulse across it.
    along_x, along_y = np.sinc(kx * a / (2 * np.pi)), np.sinc(ky * a / (2 * np.pi))

    def waves(i: NDArray[Any], j: NDArray[Any], amplitude: Complex) -> Complex:
        """Σ amplitude·e^{j(k_x x + k_y y)}, one exponential an axis: positions lie on a grid."""
        phase_x = np.exp(1j * a * kx[..., None] * i)
        phase_y = np.exp(1j * a * ky[..., None] * j)
        return np.asarray((phase_x * phase_y) @ amplitude)

    jx = a * along_x**2 * along_y * waves(xi + 1.0, xj + 0.5, currents[:nx])
    jy = a * along_x * along_y**2 * waves(yi + 0.5, yj + 1.0, currents[nx:n])
    post = along_x * along_y * waves(posts[:, 0] + 0.5, posts[:, 1] + 0.5, currents[n:])
    return jx, jy, post


def _conductor_loss(method: MomentMethod, currents: Complex, index: int) -> float:
    """Return ½ R_s Iᴴ O I, with the rooftops' overlap O."""
    edges = currents[: len(method.overlap)]
    squared = (edges.conj() @ method.overlap @ edges).real
    return float(method.loss_impedance(index).real * squared / 2)
