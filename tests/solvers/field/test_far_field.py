from __future__ import annotations

import numpy as np
import pytest

from solvers.field.board import C0, Board, Grid
from solvers.field.far_field import far_field
from solvers.field.moments import MomentMethod, antenna
from solvers.field.tables import compute_tables
from tests.solvers.field.boards import BOARD, FEED, LOSSLESS, random_mask, tables


@pytest.mark.parametrize(
    ("eps_r", "height_mm"),
    [(1.0, 3.0), (2.2, 0.8), (4.4, 1.6), (10.0, 2.0), (10.0, 0.25)],
)
def test_accepted_power_is_radiated_or_guided(eps_r: float, height_mm: float) -> None:
    """Power balance without loss: checks currents, far field and surface waves at once."""
    board = Board(eps_r=eps_r, tan_d=0.0, height_m=height_mm * 1e-3, conductivity_s_m=0.0)
    fields = compute_tables(board, Grid(cells=12, cell_m=3e-3), np.array([2e9, 5e9, 8e9]))
    for seed in range(3):
        method = MomentMethod(fields, antenna(random_mask(seed), [FEED], [(4, 5)]))
        for index in range(3):
            field = far_field(method, index, thetas=48, phis=72)
            accounted = field.radiated_w + field.surface_wave_w
            assert accounted == pytest.approx(field.accepted_w, rel=2e-3)


def test_loss_takes_its_share() -> None:
    mask = random_mask(1)
    lossy = far_field(MomentMethod(tables(), antenna(mask, [FEED])), 10)
    ideal = far_field(MomentMethod(tables(LOSSLESS), antenna(mask, [FEED])), 10)
    assert lossy.efficiency < ideal.efficiency <= 1 + 2e-3
    assert 0 < lossy.conductor_loss_w < lossy.accepted_w
    assert ideal.conductor_loss_w == 0


def test_conductor_loss_of_a_patch_is_the_cavity_models() -> None:
    """Q_c = h√(πfμ₀σ) of a cavity between two plates: loss over stored energy, here by power."""
    board = Board(eps_r=2.2, tan_d=0.0, height_m=1.6e-3, conductivity_s_m=1e6)
    doubled = Board(eps_r=2.2, tan_d=0.0, height_m=1.6e-3, conductivity_s_m=4e6)
    grid, frequency = Grid(cells=22, cell_m=2e-3), np.array([2.65e9])
    shares = []
    for metal in (board, doubled):
        method = MomentMethod(
            compute_tables(metal, grid, frequency),
            antenna(np.ones((18, 22), bool), [(5, 11)]),
        )
        field = far_field(method, 0)
        shares.append(field.conductor_loss_w / (field.radiated_w + field.surface_wave_w))
    assert shares[0] / shares[1] == pytest.approx(2.0, rel=0.05), "R_s ∝ 1/√σ"


def test_directivity_integrates_to_the_sphere() -> None:
    field = far_field(MomentMethod(tables(), antenna(random_mask(0), [FEED])), 20)
    solid_angle = (
        2 * np.pi / len(field.phi_rad) * field.theta_weights * np.sin(field.theta_rad)
    )
    assert (field.directivity * solid_angle[:, None]).sum() == pytest.approx(4 * np.pi)


def test_patch_radiates_broadside() -> None:
    """A half-wave patch: 5 to 10 dBi near the zenith, polarised along its length."""
    grid = Grid(cells=22, cell_m=2e-3)
    fields = compute_tables(BOARD, grid, np.array([2.6e9]))
    method = MomentMethod(fields, antenna(np.ones((18, 22), bool), [(5, 11)]))
    field = far_field(method, 0, thetas=32, phis=36)
    peak = np.unravel_index(int(field.directivity.argmax()), field.directivity.shape)
    assert np.degrees(field.theta_rad[peak[0]]) < 15
    assert 5 < 10 * np.log10(field.directivity.max()) < 10
    east = np.abs(field.e_theta[0, 0]) / np.abs(field.e_phi[0, 0])
    assert east > 3, "polarised along x, the resonant length"


def test_short_post_radiates_like_a_monopole() -> None:
    """A post with a small top plate over bare ground: sin θ pattern, 4.77 dBi."""
    board = Board(eps_r=1.0, tan_d=0.0, height_m=3e-3, conductivity_s_m=0.0)
    frequency = np.array([C0 / 0.3])
    fields = compute_tables(board, Grid(cells=3, cell_m=1e-3), frequency)
    method = MomentMethod(fields, antenna(np.ones((3, 3), bool), [(1, 1)]))
    field = far_field(method, 0, thetas=48)
    expected = np.sin(field.theta_rad)
    shape = np.abs(field.e_theta[:, 0]) / np.abs(field.e_theta).max()
    assert np.abs(shape / expected - 1).max() < 0.02
    assert 10 * np.log10(field.directivity.max()) == pytest.approx(4.77, abs=0.05)
