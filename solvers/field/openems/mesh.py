"""Mesh lines for a pixel antenna on a finite board.

Millimetres. A thin metal sheet acts about 0.37 of a cell larger than it is at each edge in a
finite-difference grid. So two lines stand around every pixel boundary with an edge, at ± `edge_mm`,
and the sheets end at the inner one: what remains of the error is a quarter of `edge_mm`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Lines = NDArray[np.float64]
_LAYERS_PER_PIXEL = 7.5  # in a slab as thick as a pixel is wide


@dataclass(frozen=True, kw_only=True)
class MeshSettings:
    """Resolution of the grid."""

    edge_mm: float = 0.25  # lines at each pixel boundary with an edge ± this
    lines_per_cell: int = 2  # intervals within a pixel, beside the edge lines
    slab_layers: int = 4  # cells over the height of the slab
    board_margin_mm: float = 24.0  # board beyond the pixels, each side
    air_mm: float = 20.0  # air beyond the board, each side
    cells_per_wavelength: int = 15  # at the highest frequency, in air
    growth: float = 1.4  # of neighbouring cells at most


def layers_of(height_mm: float, cell_mm: float) -> int:
    """Return the layers over the height of the slab: thinner than 0.13 of a pixel, 4 to 12.

    With 4 layers of 0.8 mm under pixels of 3 mm, the mean |ΔS11| between the fine method of moments
    and openEMS was 0.065 over five random designs, with 8 layers 0.054, and the resonances 0.5 %
    higher. On a patch of 9 x 14 mm, 10 layers raise the resonance by 2.3 %.
    """
    return min(12, max(4, math.ceil(height_mm / cell_mm * _LAYERS_PER_PIXEL)))


def pixel_lines(
    cells: int, cell_mm: float, settings: MeshSettings, *, edges: Collection[int]
) -> Lines:
    """Return the fixed lines over the pixels: boundaries and interior.

    edges: numbers of the boundaries, 0 to `cells`, at which some sheet or post ends. These have two
    lines, the others one.
    """
    boundaries = [
        i * cell_mm + side
        for i in range(cells + 1)
        for side in ((-settings.edge_mm, settings.edge_mm) if i in edges else (0.0,))
    ]
    inside = [
        (i + k / settings.lines_per_cell) * cell_mm
        for i in range(cells)
        for k in range(1, settings.lines_per_cell)
    ]
    return np.array(sorted(boundaries + inside))


def smooth(fixed: Lines, *, largest_mm: float, growth: float) -> Lines:
    """Return the fixed lines and further ones, so that cells grow by about `growth` at most.

    The size wanted at x is the least of `largest_mm` and w + (growth − 1)·distance over all fixed
    intervals of width w; each interval is divided at equal steps of ∫ dx/size. The fixed lines come
    back exactly: openEMS drops a sheet that is off its line by a rounding error.
    """
    lines = np.unique(fixed)
    left, right, widths = lines[:-1], lines[1:], np.diff(lines)
    parts = [lines[:1]]
    for start, end in itertools.pairwise(lines):
        x = np.linspace(start, end, 65)
        away = np.maximum(
            0, np.maximum(left[None] - x[:, None], x[:, None] - right[None])
        )
        size = np.minimum(largest_mm, (widths[None] + (growth - 1) * away).min(axis=1))
        steps = np.concatenate(
            [[0], np.cumsum((1 / size[1:] + 1 / size[:-1]) / 2 * np.diff(x))]
        )
        count = max(1, int(np.ceil(steps[-1] - 1e-9)))
        inner = np.interp(np.arange(1, count) * steps[-1] / count, steps, x)
        parts += [inner, np.array([end])]
    return np.concatenate(parts)
