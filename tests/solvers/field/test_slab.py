from __future__ import annotations

import numpy as np
import pytest

from solvers.field.board import C0, Board
from solvers.field.slab import SlabKernels, layer_impedances, surface_waves

R = np.geomspace(1e-3, 5e-2, 25)


def kernels(board: Board, frequency: float) -> SlabKernels:
    return SlabKernels(board, reach_m=0.06, nearest_m=1e-4, highest_hz=frequency)


@pytest.mark.parametrize("height", [0.5e-3, 3e-3, 20e-3])
def test_air_slab_is_the_source_and_its_image(height: float) -> None:
    """Without a dielectric only the ground remains: both potentials are e^{-jkR}/R − image."""
    frequency = 5e9
    k = 2 * np.pi * frequency / C0
    board = Board(eps_r=1.0, tan_d=0.0, height_m=height)
    (values,) = kernels(board, frequency).at(frequency, [R])
    image = np.sqrt(R**2 + 4 * height**2)
    exact = (np.exp(-1j * k * R) / R - np.exp(-1j * k * image) / image) / 2
    assert np.abs(values.vector - exact).max() < 1e-6 * np.abs(exact).max()
    assert np.abs(values.scalar - exact).max() < 1e-6 * np.abs(exact).max()


def test_far_ground_leaves_free_space() -> None:
    frequency = 5e9
    k = 2 * np.pi * frequency / C0
    board = Board(eps_r=1.0, tan_d=0.0, height_m=0.1)
    (values,) = kernels(board, frequency).at(frequency, [R[:5]])
    free = np.exp(-1j * k * R[:5]) / R[:5] / 2
    assert np.abs(values.vector / free - 1).max() < 0.02


def test_static_limit_is_the_image_series() -> None:
    """At low frequency the scalar potential is the classical series of images in two media."""
    board, frequency = Board(eps_r=4.4, tan_d=0.0, height_m=1.6e-3), 1e7
    (values,) = kernels(board, frequency).at(frequency, [R])
    contrast = (board.eps_r - 1) / (board.eps_r + 1)
    image = [1 / np.sqrt(R**2 + (2 * n * board.height_m) ** 2) for n in range(200)]
    series = sum((-contrast) ** n * (image[n] - image[n + 1]) for n in range(199))
    exact = series / (board.eps_r + 1)
    assert np.abs(values.scalar - exact).max() < 2e-4 * exact.max()


def test_thin_slab_resolves_large_distances() -> None:
    """0.2 mm at 60 mm: 300 slab heights away; twice the panels change nothing."""
    board, frequency = Board(eps_r=10.0, tan_d=0.0, height_m=0.2e-3), 6e9
    near = SlabKernels(board, reach_m=0.06, nearest_m=1e-4, highest_hz=frequency)
    wide = SlabKernels(board, reach_m=0.12, nearest_m=1e-4, highest_hz=frequency)
    (a,), (b,) = near.at(frequency, [R]), wide.at(frequency, [R])
    for name in ("vector", "scalar", "post_rooftop", "post_post"):
        left, right = getattr(a, name), getattr(b, name)
        assert np.abs(left - right).max() < 1e-4 * np.abs(right).max(), name


def test_thin_slab_guides_one_mode_near_free_space() -> None:
    """TM₀ of a thin slab: κ² ≈ k₀² + (k₀²h(ε_r−1)/ε_r)²."""
    board, frequency = Board(eps_r=2.2, tan_d=0.0, height_m=0.3e-3), 5e9
    (mode,) = surface_waves(board, frequency)
    k0 = 2 * np.pi * frequency / C0
    excess = (k0**2 * board.height_m * (board.eps_r - 1) / board.eps_r) ** 2
    assert mode.polarisation == "TM"
    assert mode.kappa**2 - k0**2 == pytest.approx(excess, rel=0.01)


def test_modes_appear_at_their_cut_off() -> None:
    """TE₁ starts where h√(ε_r−1)/λ₀ = 1/4, TM₁ where it is 1/2."""
    board = Board(eps_r=10.0, tan_d=0.0, height_m=5e-3)
    quarter = C0 / (4 * board.height_m * 3)
    kinds = [
        [mode.polarisation for mode in surface_waves(board, quarter * factor)]
        for factor in (0.98, 1.02, 1.98, 2.02)
    ]
    assert kinds == [["TM"], ["TM", "TE"], ["TM", "TE"], ["TM", "TM", "TE"]]


def test_impedance_of_the_bare_ground_plane() -> None:
    """At κ = 0 both are air in parallel with a shorted line of length h."""
    board, frequency = Board(eps_r=1.0, tan_d=0.0, height_m=7e-3), 5e9
    z_tm, z_te, _ = layer_impedances(board, frequency, np.array([1e-6]))
    line = 1j * 376.730313 * np.tan(2 * np.pi * frequency / C0 * board.height_m)
    expected = 376.730313 * line / (376.730313 + line)
    assert z_tm[0] == pytest.approx(expected, rel=1e-6)
    assert z_te[0] == pytest.approx(expected, rel=1e-6)
