from __future__ import annotations

import numpy as np
import pytest

from solvers.field.board import Board, Grid, refined_mask, refined_post


@pytest.mark.parametrize(
    ("field", "value"),
    [("eps_r", 0.9), ("tan_d", -0.1), ("height_m", 0.0), ("eps_r", np.nan)],
)
def test_refuses_impossible_boards(field: str, value: float) -> None:
    fields = {"eps_r": 2.2, "tan_d": 0.0, "height_m": 1e-3} | {field: value}
    with pytest.raises(ValueError, match=f"{field}: expected"):
        Board(**fields)


def test_refuses_impossible_grids() -> None:
    with pytest.raises(ValueError, match="cells: expected"):
        Grid(cells=1, cell_m=1e-3)
    with pytest.raises(ValueError, match="cell_m: expected"):
        Grid(cells=12, cell_m=3.0)


def test_copper_at_one_gigahertz() -> None:
    """Skin effect of copper: 8.25 milliohm per square at 1 GHz (Pozar, Microwave Engineering)."""
    impedance = Board(eps_r=1, tan_d=0, height_m=1e-3).surface_impedance(np.array([1e9]))
    assert impedance[0].real == pytest.approx(8.25e-3, rel=2e-3)
    assert impedance[0].imag == impedance[0].real


def test_refinement_keeps_area_and_port() -> None:
    mask = np.zeros((3, 3), bool)
    mask[1, 2] = True
    fine = refined_mask(mask, 2)
    assert fine.sum() == 4
    assert all(fine[cell] for cell in refined_post((1, 2), 2))
    assert Grid(cells=3, cell_m=2e-3).refined(2).size_m == pytest.approx(6e-3)
