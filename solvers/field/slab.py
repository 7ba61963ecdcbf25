"""Green's functions of horizontal and vertical currents on a grounded dielectric slab.

Time convention e^{jωt}. Ground plane at z = 0, slab 0 < z < h, air above, sources at z = h. With
κ the radial wave number, u₀ = √(κ²−k₀²), u = √(κ²−k₁²), t = tanh(uh):

    D_TE = u₀ + u/t,   D_TM = ε_r u₀ + u t,   N = u₀ + u t
    G_A(ρ) = μ₀/2π ∫ J₀(κρ) κ/D_TE dκ                 vector potential of a horizontal dipole
    G_V(ρ) = 1/(2πε₀) ∫ J₀(κρ) κN/(D_TE D_TM) dκ      scalar potential of its charges
    C(ρ)   = 1/2π ∫ J₀(κρ) κ Z_p/k_z² dκ              potential of a vertical post's field at z = h
    D(ρ)   post on post: −∫ E_z dz along the post

(mixed-potential form of Mosig, in Itoh (ed.), Numerical Techniques for Microwave and
Millimeter-Wave Passive Structures, 1989, chapter 3; transmission-line form of the spectral fields:
Michalski and Mosig, IEEE Trans. Antennas Propag. 45(3), 1997, equations 11-15).
Static images are subtracted before the integration and added in closed form; what remains is
smooth in ρ.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import hankel2, jv

from solvers.field.board import C0, EPS0, MU0, Board

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]

_IMAGES = 6  # images subtracted from the scalar potential; the rest decays as e^{-12κh}
_SPLINE_GROWTH = 1.03  # of the spline's nodes in ρ, from one to the next
_SPLINE_RADIANS = 0.12  # k₁Δρ at most: a cubic spline is then good to 1e-6 of a wave
_PANEL_NODES = 28
_RADIANS_A_PANEL = 30.0  # J₀ turns at most this far within one panel


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """The four kernels at one frequency, at given distances, without their factors 1/2π."""

    vector: Complex  # G_A without μ₀/2π
    scalar: Complex  # G_V without 1/(2πε₀)
    post_rooftop: Complex  # C without 1/2π
    post_post: Complex  # D without 1/2π


class SlabKernels:
    """Kernels of one board for distances up to `reach_m`, at any frequency up to `highest_hz`."""

    def __init__(
        self, board: Board, *, reach_m: float, nearest_m: float, highest_hz: float
    ) -> None:
        self._board = board
        self._radii = _radii(board, nearest_m, reach_m, highest_hz)
        self._kappa, weights = _contour(board, reach_m, highest_hz)
        self._bessel = jv(0, np.outer(self._radii, self._kappa)) * weights

    def at(self, frequency_hz: float, distances_m: list[Real]) -> list[Kernels]:
        """Return the kernels at one frequency for each array of distances (> 0)."""
        board, kappa = self._board, self._kappa
        h, omega = board.height_m, 2 * np.pi * frequency_hz
        eps = board.eps_r * (1 - 1j * board.tan_d)
        k0 = omega / C0
        k1 = k0 * np.sqrt(eps)
        spectrum = _spectrum(eps=eps, h=h, omega=omega, kappa=kappa)
        splines = [
            CubicSpline(self._radii, self._bessel @ density) for density in spectrum
        ]
        contrast = (eps - 1) / (eps + 1)

        def evaluate(distance: Real) -> Kernels:
            images = []
            for n in range(_IMAGES + 1):
                r = np.sqrt(distance**2 + (2 * n * h) ** 2)
                images.append(np.exp(-1j * k0 * r) / r)
            static = sum(
                (-contrast) ** n * (images[n] - images[n + 1]) for n in range(_IMAGES)
            ) / (eps + 1)
            smooth_a, smooth_v, smooth_c, smooth_d = (
                spline(distance) for spline in splines
            )
            plates = (omega * MU0 * h / 4) * hankel2(0, k1 * distance) * 2 * np.pi
            return Kernels(
                vector=0.5 * (images[0] - images[1]) + smooth_a,
                scalar=static + smooth_v,
                post_rooftop=-static / (1j * omega * EPS0) + smooth_c,
                post_post=static / (1j * omega * EPS0) + smooth_d + plates,
            )

        return [evaluate(distance) for distance in distances_m]


def layer_impedances(
    board: Board, frequency_hz: float, kappa: Complex | Real
) -> tuple[Complex, Complex, Complex]:
    """Return (Z_TM, Z_TE, k_z²) at the interface: field over current of air and slab in parallel.

    Z_TM = Z₀Z_d/(Z₀+Z_d) with Z₀ = u₀/(jωε₀) and Z_d = u t/(jωε₁); Z_TE likewise with jωμ₀/u₀ and
    jωμ₀ t/u. k_z² = k₁² − κ² is of the slab. Units: ohm, ohm, 1/m².
    """
    omega = 2 * np.pi * frequency_hz
    eps = board.eps_r * (1 - 1j * board.tan_d)
    k0 = omega / C0
    u0 = np.sqrt(np.asarray(kappa) ** 2 - k0**2 + 0j)
    u = np.sqrt(np.asarray(kappa) ** 2 - k0**2 * eps + 0j)
    t = np.tanh(u * board.height_m)
    air_tm, slab_tm = u0 / (1j * omega * EPS0), u * t / (1j * omega * EPS0 * eps)
    slab_te = 1j * omega * MU0 * t / u
    z_tm = air_tm * slab_tm / (air_tm + slab_tm)
    z_te = 1j * omega * MU0 * slab_te / (1j * omega * MU0 + u0 * slab_te)
    return z_tm, z_te, -(u**2)


@dataclass(frozen=True, kw_only=True)
class SurfaceWave:
    """A guided mode of the lossless slab."""

    polarisation: str  # "TM" or "TE"
    kappa: float  # its wave number, 1/m
    residue: complex  # of Z_TM or Z_TE at κ, ohm/m


def surface_waves(board: Board, frequency_hz: float) -> list[SurfaceWave]:
    """Return the modes that propagate along the slab, its losses left out; TM₀ always does.

    Roots in k₀ < κ < k₁ of ε_r u₀ cos(vh) − v sin(vh) (TM) and u₀ sin(vh) + v cos(vh) (TE), with
    v = √(k₁²−κ²).
    """
    k0 = 2 * np.pi * frequency_hz / C0
    k1, h = k0 * np.sqrt(board.eps_r), board.height_m
    if board.eps_r == 1:
        return []
    lossless = Board(eps_r=board.eps_r, tan_d=0.0, height_m=h, conductivity_s_m=0.0)

    def tm(kappa: Any) -> Any:
        v = np.sqrt(k1**2 - kappa**2)
        return board.eps_r * np.sqrt(kappa**2 - k0**2) * np.cos(v * h) - v * np.sin(v * h)

    def te(kappa: Any) -> Any:
        v = np.sqrt(k1**2 - kappa**2)
        return np.sqrt(kappa**2 - k0**2) * np.sin(v * h) + v * np.cos(v * h)

    # Dense towards k₀: on a thin slab TM₀ lies within a relative 1e-6 of it.
    scan = k0 + (k1 - k0) * np.geomspace(1e-12, 1 - 1e-9, 4000)
    modes = []
    for number, (polarisation, characteristic) in enumerate((("TM", tm), ("TE", te))):
        values = characteristic(scan)
        for left in np.nonzero(values[:-1] * values[1:] < 0)[0]:
            kappa = float(brentq(characteristic, scan[left], scan[left + 1], xtol=1e-13))
            step = 1e-4 * min(kappa - k0, k1 - kappa)
            ends = np.array([kappa - step, kappa + step])
            admittance = 1 / layer_impedances(lossless, frequency_hz, ends)[number]
            residue = complex(2 * step / (admittance[1] - admittance[0]))
            modes.append(
                SurfaceWave(polarisation=polarisation, kappa=kappa, residue=residue)
            )
    return modes


def _spectrum(*, eps: complex, h: float, omega: float, kappa: Complex) -> list[Complex]:
    """Densities of the four kernels in κ, less their static images."""
    k0 = omega / C0
    u0 = np.sqrt(kappa**2 - k0**2 + 0j)
    u = np.sqrt(kappa**2 - k0**2 * eps + 0j)
    t = np.tanh(u * h)
    d_te, d_tm = u0 + u / t, eps * u0 + u * t
    contrast = (eps - 1) / (eps + 1)
    e = np.exp(-2 * u0 * h)
    series = sum((-contrast) ** n * e**n for n in range(_IMAGES)) * (1 - e)
    static = kappa * series / ((eps + 1) * u0)
    vector = kappa / d_te - kappa * (1 - e) / (2 * u0)
    scalar = kappa * (u0 + u * t) / (d_te * d_tm) - static
    air, slab = u0 / (1j * omega * EPS0), u * t / (1j * omega * EPS0 * eps)
    parallel, k_z2 = air * slab / (air + slab), -(u**2)
    post_rooftop = kappa * parallel / k_z2 + static / (1j * omega * EPS0)
    particular = -1j * kappa / k_z2  # current of the post's particular solution
    voltage = air * particular / (1 + air / slab)
    post_post = kappa * (1j * kappa / k_z2) * voltage - static / (1j * omega * EPS0)
    return [vector, scalar, post_rooftop, post_post]


def _radii(board: Board, nearest_m: float, reach_m: float, highest_hz: float) -> Real:
    """Nodes of the splines: geometric near the source, a fraction of the wavelength far from it."""
    widest = _SPLINE_RADIANS * C0 / (2 * np.pi * highest_hz * np.sqrt(board.eps_r))
    radii = [0.0, nearest_m]
    while radii[-1] < reach_m:
        radii.append(radii[-1] + min(radii[-1] * (_SPLINE_GROWTH - 1), widest))
    return np.array(radii)


def _contour(board: Board, reach_m: float, highest_hz: float) -> tuple[Complex, Complex]:
    """Nodes and weights of 0 → η(1+j) → T+jη → T → κ_max, above the surface-wave poles."""
    k0 = 2 * np.pi * highest_hz / C0
    turn = 1.35 * k0 * np.sqrt(board.eps_r)
    panels = max(10, int(np.ceil(turn * reach_m / 12)))
    # High above the poles against the width of a panel, and J₀ grows by e^1.2 at most.
    eta = min(0.5 * turn / panels, 1.2 / reach_m)
    last = max(30.0 / board.height_m, 4 * turn)
    nodes, weights = [], []

    def straight(start: complex, end: complex, count: int) -> None:
        x, w = np.polynomial.legendre.leggauss(count)
        nodes.append(start + (end - start) * (x + 1) / 2)
        weights.append(w * (end - start) / 2)

    straight(0, eta * (1 + 1j), 24)
    level = np.linspace(eta, turn, 1 + panels)
    for start, end in itertools.pairwise(level):
        straight(start + 1j * eta, end + 1j * eta, 16)
    straight(turn + 1j * eta, turn, 24)
    edges = [turn]
    ratio = (last / turn) ** (1 / 40)
    while edges[-1] < last:
        step = min(edges[-1] * (ratio - 1), _RADIANS_A_PANEL / reach_m)
        edges.append(min(last, edges[-1] + step))
    for start, end in itertools.pairwise(edges):
        straight(start, end, _PANEL_NODES)
    return np.concatenate(nodes), np.concatenate(weights)
