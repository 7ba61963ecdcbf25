from __future__ import annotations

import numpy as np
import pytest

from solvers.field.board import MU0
from solvers.field.openems.mesh import MeshSettings
from solvers.field.openems.pixels import port_inductance_h, simulation
from tests.solvers.field.boards import BOARD, FEED, GRID, random_mask


@pytest.mark.parametrize("seed", range(10))
def test_rectangles_are_the_mask_shrunk_at_its_outline(seed: int) -> None:
    """Sampled at 0.1 mm: metal inside the outline by the edge correction, none outside."""
    mask, edge, a = random_mask(seed), 0.25, 3.0
    built = simulation(
        BOARD, GRID, mask, port=FEED, band_hz=(2e9, 8e9), mesh=MeshSettings(edge_mm=edge)
    )
    x = np.arange(0.03, 36, 0.1)
    drawn = np.zeros((len(x), len(x)), int)
    for (x0, y0, z0), (x1, y1, z1) in built.metal:
        assert z0 == z1 == BOARD.height_m * 1e3
        drawn += np.outer((x > x0) & (x < x1), (x > y0) & (x < y1))
    assert drawn.max() == 1, "rectangles do not overlap"

    def metal(shift_x: float, shift_y: float) -> np.ndarray:
        i, j = (
            np.floor((x + shift_x) / a).astype(int),
            np.floor((x + shift_y) / a).astype(int),
        )
        inside = np.outer((i >= 0) & (i < 12), (j >= 0) & (j < 12))
        return np.asarray(mask[np.ix_(i.clip(0, 11), j.clip(0, 11))] & inside)

    shifts = (-edge, 0, edge)
    eroded = np.logical_and.reduce([metal(u, v) for u in shifts for v in shifts])
    assert np.array_equal(drawn.astype(bool), eroded)


def test_a_narrow_band_has_a_short_pulse_and_a_stricter_end() -> None:
    narrow, broad = (
        simulation(
            BOARD, GRID, random_mask(0), port=FEED, band_hz=(5e9 - half, 5e9 + half)
        )
        for half in (0.3e9, 3e9)
    )
    assert narrow.half_bandwidth_hz == pytest.approx(0.35 * 5e9)
    assert broad.half_bandwidth_hz == pytest.approx(1.3 * 3e9)
    assert narrow.end_criterion < broad.end_criterion == 1e-4


def test_loss_is_exact_at_the_centre_of_the_band() -> None:
    built = simulation(BOARD, GRID, random_mask(0), port=FEED, band_hz=(4e9, 6e9))
    eps0 = 8.8541878e-12
    loss_tangent = built.slab_conductivity_s_m / (2 * np.pi * 5e9 * eps0 * BOARD.eps_r)
    assert loss_tangent == pytest.approx(BOARD.tan_d, rel=1e-6)


def test_port_inductance() -> None:
    """0.16 nH for a post of 3.175 mm."""
    assert port_inductance_h(BOARD) == pytest.approx(MU0 * 3.175e-3 / (8 * np.pi))
    assert port_inductance_h(BOARD) == pytest.approx(0.159e-9, rel=2e-3)


@pytest.mark.parametrize("seed", range(10))
def test_every_sheet_and_post_ends_on_mesh_lines(seed: int) -> None:
    """Off a line by a rounding error, openEMS drops it."""
    mask = random_mask(seed)
    vias = [(3, 5)] if mask[3, 5] else []
    built = simulation(BOARD, GRID, mask, port=FEED, vias=vias, band_hz=(2e9, 8e9))
    lines = [set(axis.tolist()) for axis in (built.x, built.y, built.z)]
    for box in (*built.metal, built.port, built.ground, built.slab):
        for point in box:
            assert all(value in axis for value, axis in zip(point, lines, strict=True))


def test_a_plain_patch_has_edge_lines_at_its_outline_and_port_alone() -> None:
    mask = np.zeros((12, 12), bool)
    mask[2:10, 1:11] = True
    built = simulation(BOARD, GRID, mask, port=FEED, band_hz=(2e9, 8e9))
    doubled = {
        i for i in range(13) if {i * 3.0 - 0.25, i * 3.0 + 0.25} <= set(built.x.tolist())
    }
    assert doubled == {2, 10, FEED[0], FEED[0] + 1}
    random = simulation(BOARD, GRID, random_mask(0), port=FEED, band_hz=(2e9, 8e9))
    assert len(built.x) < len(random.x)
