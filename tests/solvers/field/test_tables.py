from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from solvers.field.board import EPS0, Board, Grid
from solvers.field.slab import SlabKernels
from solvers.field.tables import compute_tables, load_tables
from tests.solvers.field.boards import BOARD

GRID = Grid(cells=4, cell_m=3e-3)
FREQUENCIES = np.array([3e9, 5e9])


def test_keeps_tables_and_reads_them_back(tmp_path: Path) -> None:
    first = load_tables(BOARD, GRID, FREQUENCIES, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    second = load_tables(BOARD, GRID, FREQUENCIES, cache=tmp_path)
    assert file.stat().st_mtime_ns == before, "read, not computed again"
    assert np.array_equal(first.scalar, second.scalar)
    load_tables(BOARD, GRID, FREQUENCIES * 1.01, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_damaged_file_is_replaced(tmp_path: Path) -> None:
    load_tables(BOARD, GRID, FREQUENCIES, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    tables = load_tables(BOARD, GRID, FREQUENCIES, cache=tmp_path)
    assert np.array_equal(tables.scalar, compute_tables(BOARD, GRID, FREQUENCIES).scalar)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_entries_do_not_depend_on_the_size_of_the_grid() -> None:
    small = compute_tables(BOARD, GRID, FREQUENCIES)
    large = compute_tables(BOARD, Grid(cells=9, cell_m=3e-3), FREQUENCIES)
    for name in ("vector_x", "scalar", "post_rooftop", "post_post"):
        left, right = getattr(small, name)[:, :5, :5], getattr(large, name)[:, :5, :5]
        assert np.abs(left - right).max() < 1e-6 * np.abs(right).max(), name


def test_axes_are_equal() -> None:
    tables = compute_tables(BOARD, GRID, FREQUENCIES)
    assert np.allclose(tables.vector_x, tables.vector_y.transpose(0, 2, 1), rtol=1e-12)
    assert np.allclose(tables.scalar, tables.scalar.transpose(0, 2, 1), rtol=1e-12)


def test_distant_entries_are_the_kernel_between_centres() -> None:
    """Two pulses ten cells apart see each other as points, to the second order of the cell."""
    tables = compute_tables(BOARD, Grid(cells=14, cell_m=1e-3), FREQUENCIES[:1])
    kernels = SlabKernels(BOARD, reach_m=0.03, nearest_m=1e-4, highest_hz=3e9)
    (point,) = kernels.at(3e9, [np.array([10e-3])])
    expected = point.scalar[0] / (2 * np.pi * EPS0)
    assert tables.scalar[0, 10, 0] == pytest.approx(expected, rel=1.5e-2)


def test_a_cell_on_itself_is_the_known_integral() -> None:
    """∬∬ 1/|r−r'| over a unit square twice is 4 ln(1+√2) + 4(1−√2)/3 = 2.97321."""
    cell, height = 1e-3, 0.1
    board = Board(eps_r=1.0, tan_d=0.0, height_m=height)
    tables = compute_tables(board, Grid(cells=2, cell_m=cell), np.array([1e6]))
    square = 4 * np.log(1 + np.sqrt(2)) + 4 * (1 - np.sqrt(2)) / 3
    expected = (square / cell - 1 / (2 * height)) / (4 * np.pi * EPS0)
    assert tables.scalar[0, 0, 0].real == pytest.approx(expected, rel=2e-4)
