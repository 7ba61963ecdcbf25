"""Tables of the coarse mesh, corrected for what one unknown a pixel's edge cannot show.

Currents and charges crowd at the edges of metal. A rooftop spreads both evenly over its pixels,
which costs energy: the charges' makes resonances of open patches too high, the currents' those
around slots and holes too low. Halving the cells removes most of either. On the average over
shapes it changes the interactions of near neighbours alone, so that few numbers in the tables do
the same, and every property of the tables remains: symmetric, of the offset alone, exact under a
change of metal, positive definite.

The numbers are fitted, by Gauss-Newton steps on the currents of coarse solves, to S11 of 2 x 2
cells a pixel: 54 designs on each of three boards (thickness over cell 0.27, 0.53 and 1.06), random
rectangles, mutations and late designs of searches. `python -m workers.bench antenna meshes` has
boards that the fit never saw.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from solvers.field.board import Board, Grid
from solvers.field.slab import Real
from solvers.field.tables import Tables, compute_tables

VERSION = 1  # of the correction: labels of coarse solves depend on it
# Of the self term: a charge on a cell beside it, a current on itself, and on the edge beside it,
# across the current, on a slab as thick as a cell is wide.
_CHARGE_BESIDE, _CURRENT_SELF, _CURRENT_BESIDE = 0.0114, -0.021, 0.0673
_BY_THICKNESS = 0.22  # exponent of the last one
# The edge after the next one takes so much that a current which alternates from edge to edge loses
# this share: half of what it has, so that inductance remains positive.
_MOST_LOST = 0.09
_THIN = 0.25  # thickness over cell; below, all are in proportion to it


def coarse_tables(board: Board, grid: Grid, frequencies_hz: Real) -> Tables:
    """Return the corrected tables of one cell a pixel. Costs as `compute_tables`."""
    return corrected(compute_tables(board, grid, frequencies_hz))


def corrected(tables: Tables) -> Tables:
    """Return tables of one cell a pixel that give nearly the response of four."""
    thickness = tables.board.height_m / tables.grid.cell_m
    share = min(1.0, thickness / _THIN)
    beside = _CURRENT_BESIDE * thickness**_BY_THICKNESS
    after = max(0.0, (2 * beside - _CURRENT_SELF - _MOST_LOST) / 2)
    scalar, along_x, along_y = (
        np.array(table) for table in (tables.scalar, tables.vector_x, tables.vector_y)
    )
    charge = share * scalar[:, 0, 0].real
    scalar[:, 1, 0] += _CHARGE_BESIDE * charge
    scalar[:, 0, 1] += _CHARGE_BESIDE * charge
    current = share * along_x[:, 0, 0].real
    for table in (along_x, along_y.transpose(0, 2, 1)):
        table[:, 0, 0] += _CURRENT_SELF * current
        table[:, 0, 1] += beside * current
        table[:, 0, 2] += after * current
    return replace(tables, scalar=scalar, vector_x=along_x, vector_y=along_y)
