"""The coarse mesh's correction: nearer to a finer mesh, and still a table of offsets."""

from __future__ import annotations

import numpy as np
import pytest

from solvers.field.board import Board, Grid
from solvers.field.coarse import coarse_tables, corrected
from solvers.field.moments import MomentMethod, antenna, refined_antenna
from solvers.field.tables import Tables, compute_tables
from tests.solvers.field.boards import FEED, random_mask

FREQUENCIES = np.linspace(2e9, 7e9, 9)


def _s11(tables: Tables, seed: int, factor: int = 1) -> np.ndarray:
    mask = random_mask(seed)
    built = (
        antenna(mask, [FEED])
        if factor == 1
        else refined_antenna(mask, FEED, factor=factor)
    )
    method = MomentMethod(tables, built)
    z = np.array([method.input_impedance(k) for k in range(len(FREQUENCIES))])
    return (z - 50) / (z + 50)


@pytest.mark.parametrize(
    "board",
    [
        Board(eps_r=2.2, tan_d=0.001, height_m=3.175e-3),
        Board(eps_r=10.2, tan_d=0.002, height_m=2.5e-3),  # the fit never saw such a board
    ],
)
def test_corrected_tables_are_nearer_to_a_finer_mesh(board: Board) -> None:
    grid = Grid(cells=12, cell_m=3e-3)
    plain = compute_tables(board, grid, FREQUENCIES)
    fine = compute_tables(board, grid.refined(2), FREQUENCIES)
    differences = np.zeros(2)
    for seed in range(6):
        truth = _s11(fine, seed, 2)
        for number, tables in enumerate((plain, corrected(plain))):
            differences[number] += np.abs(_s11(tables, seed) - truth).mean() / 6
    assert differences[1] < 0.8 * differences[0]


def test_the_correction_is_of_near_neighbours_in_proportion_on_thin_boards() -> None:
    grid = Grid(cells=6, cell_m=4e-3)
    changes = []
    for height in (1e-3, 1e-4):
        board = Board(eps_r=3.0, tan_d=0.0, height_m=height)
        plain = compute_tables(board, grid, FREQUENCIES[:2])
        after = coarse_tables(board, grid, FREQUENCIES[:2])
        assert np.array_equal(after.scalar[:, 2:], plain.scalar[:, 2:])
        assert np.array_equal(after.scalar[:, 0, 0], plain.scalar[:, 0, 0])
        assert np.array_equal(after.post_post, plain.post_post)
        assert np.allclose(after.vector_x, after.vector_y.transpose(0, 2, 1))
        assert np.array_equal(after.vector_x[:, :, 3:], plain.vector_x[:, :, 3:])
        own = plain.scalar[:, 0, 0].real
        changes.append((after.scalar[:, 1, 0] - plain.scalar[:, 1, 0]).real / own)
    assert np.allclose(changes[1], 0.1 * changes[0])


@pytest.mark.parametrize(
    ("eps_r", "height_m"), [(2.2, 3.175e-3), (1.07, 6e-3), (10.2, 2.5e-3), (3.4, 1e-4)]
)
def test_energies_stay_positive(eps_r: float, height_m: float) -> None:
    """A current or charge of negative energy would make resonances that nothing has."""
    board = Board(eps_r=eps_r, tan_d=0.0, height_m=height_m)
    tables = coarse_tables(board, Grid(cells=9, cell_m=3e-3), np.array([3e9]))
    for table, shape in ((tables.vector_x, (8, 9)), (tables.scalar, (9, 9))):
        i, j = (index.ravel() for index in np.indices(shape))
        full = table[0].real[abs(i[:, None] - i), abs(j[:, None] - j)]
        assert np.linalg.eigvalsh(full)[0] > 0.03 * table[0, 0, 0].real
