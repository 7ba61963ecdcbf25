"""A textbook patch for the lowest band: the first design of every search."""

from __future__ import annotations

import numpy as np

from search.domains.antenna.design import Design
from search.domains.antenna.parse import AntennaProblem
from search.domains.antenna.search.legalise import Rules
from solvers.field.patch import feed_inset_m, patch_sides_m


def textbook_patch(problem: AntennaProblem) -> Design:
    """Return a rectangular patch, resonant along x at the centre of the lowest band.

    Sides and feed are those of `solvers.field.patch`, rounded to cells and cut to the grid. Where
    the feed is fixed, the patch lies around it.
    """
    spec = problem.spec
    cells, cell_m = spec.grid.cells, problem.grid.cell_m
    band = min(spec.bands, key=lambda row: row.f_lo_hz)
    frequency_hz = (band.f_lo_hz + band.f_hi_hz) / 2
    sides = [_cells(side, cell_m, cells) for side in _sides_m(problem, frequency_hz)]
    if spec.symmetric:
        sides[1] -= (cells - sides[1]) % 2
    length, width = (max(2, side) for side in sides)
    inset_m = feed_inset_m(
        problem.board,
        frequency_hz,
        length_m=length * cell_m,
        width_m=width * cell_m,
        ohm=spec.z0_ohm,
    )
    inset = min(int(inset_m / cell_m), length - 1)
    feed = spec.feed or ((cells - length) // 2 + inset, cells // 2)
    x = min(max(0, feed[0] - inset), cells - length)
    y = (
        (cells - width) // 2
        if spec.symmetric
        else min(max(0, feed[1] - width // 2), cells - width)
    )
    mask = np.zeros((cells, cells), bool)
    mask[x : x + length, y : y + width] = True
    return Rules(spec).legal(Design(mask=mask, feed=feed))


def _sides_m(problem: AntennaProblem, frequency_hz: float) -> tuple[float, float]:
    length_m, width_m = patch_sides_m(problem.board, frequency_hz)
    size_m = problem.grid.size_m
    return min(length_m, size_m), min(width_m, size_m)


def _cells(side_m: float, cell_m: float, most: int) -> int:
    return min(most, max(1, round(side_m / cell_m)))
