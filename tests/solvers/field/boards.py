"""Boards and masks that several tests use."""

from __future__ import annotations

from functools import cache

import numpy as np

from solvers.field.board import Board, Grid, Mask
from solvers.field.tables import Tables, compute_tables

BOARD = Board(eps_r=2.2, tan_d=1e-3, height_m=3.175e-3)
LOSSLESS = Board(eps_r=2.2, tan_d=0.0, height_m=3.175e-3, conductivity_s_m=0.0)
GRID = Grid(cells=12, cell_m=3e-3)
FEED = (3, 6)


@cache
def tables(board: Board = BOARD, grid: Grid = GRID, count: int = 31) -> Tables:
    return compute_tables(board, grid, np.linspace(2e9, 8e9, count))


def random_mask(seed: int, cells: int = 12, feed: tuple[int, int] = FEED) -> Mask:
    """Five random rectangles, one of them over the feed."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((cells, cells), bool)
    mask[feed[0] - 2 : feed[0] + 3, feed[1] - 3 : feed[1] + 2] = True
    for _ in range(4):
        width, length = rng.integers(2, 8, 2)
        i, j = rng.integers(0, cells - width + 1), rng.integers(0, cells - length + 1)
        mask[i : i + width, j : j + length] = True
    return mask
