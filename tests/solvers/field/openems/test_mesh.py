from __future__ import annotations

import numpy as np
import pytest

from solvers.field.openems.mesh import MeshSettings, layers_of, pixel_lines, smooth


@pytest.mark.parametrize("growth", [1.2, 1.4, 2.0])
@pytest.mark.parametrize("seed", range(5))
def test_cells_grow_slowly_and_stay_small(growth: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    fixed = np.concatenate([[-40.0, 60.0], np.cumsum(rng.uniform(0.2, 4.0, 12))])
    lines = smooth(fixed, largest_mm=3.0, growth=growth)
    widths = np.diff(lines)
    assert (widths > 0).all()
    assert widths.max() <= 3.0 + 1e-9
    ratio = np.maximum(widths[1:] / widths[:-1], widths[:-1] / widths[1:])
    assert ratio.max() < 1.75 * growth


def test_fixed_lines_come_back_exactly() -> None:
    """1.524 mm and 3 × 0.1 mm are no binary fractions: one bit off, and a sheet vanishes."""
    fixed = np.array([0.0, 0.1 * 3, 1.524, 1.524e-3 * 1e3 + 2.0, 30.0])
    lines = set(smooth(fixed, largest_mm=1.0, growth=1.4).tolist())
    assert set(fixed.tolist()) <= lines


def test_boundaries_without_an_edge_have_one_line() -> None:
    settings = MeshSettings(edge_mm=0.25, lines_per_cell=1)
    lines = pixel_lines(3, 3.0, settings, edges={1})
    assert lines.tolist() == [0.0, 2.75, 3.25, 6.0, 9.0]


def test_pixels_have_two_lines_at_each_boundary() -> None:
    settings = MeshSettings(edge_mm=0.25, lines_per_cell=2)
    lines = pixel_lines(3, 3.0, settings, edges=range(4))
    assert lines.tolist() == [
        -0.25,
        0.25,
        1.5,
        2.75,
        3.25,
        4.5,
        5.75,
        6.25,
        7.5,
        8.75,
        9.25,
    ]


@pytest.mark.parametrize(
    ("height_mm", "cell_mm", "layers"),
    [(3.175, 3.0, 8), (0.8, 2.0, 4), (1.6, 3.0, 4), (3.175, 0.5, 12), (8.0, 6.0, 10)],
)
def test_layers_of_a_slab(height_mm: float, cell_mm: float, layers: int) -> None:
    assert layers_of(height_mm, cell_mm) == layers
