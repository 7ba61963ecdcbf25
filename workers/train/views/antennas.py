"""Views of pixel antennas: the symmetries of a grid over an endless board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Cell = tuple[int, int]
SYMMETRIES = 8  # of a square; the first four keep rows and columns apart


@dataclass(frozen=True, kw_only=True, eq=False)
class AntennaView:
    """An antenna, mirrored or turned with its feeds."""

    metal: NDArray[np.bool_]
    """(rows, columns)"""
    cells: tuple[Cell, ...]
    """feeds and posts, in the order they were given"""


def antenna_view(
    metal: NDArray[np.bool_], cells: Sequence[Cell], symmetry: int
) -> AntennaView:
    """Return one of the eight symmetric antennas; 0 is the antenna itself.

    S11 over an endless board of one material is the same for all. For pixels that are not square,
    and for boards that differ by direction, use the first four only: mirrored vertically (1),
    horizontally (2) or both (3); 4 to 7 are the same after rows and columns change places.
    """
    if not 0 <= symmetry < SYMMETRIES:
        raise ValueError(
            f"symmetry: expected a number from 0 to {SYMMETRIES - 1}, got {symmetry}"
        )
    height, width = metal.shape
    inside = all(0 <= i < height and 0 <= j < width for i, j in cells)
    if not inside:
        raise ValueError(
            f"cells: expected places on {height} × {width} pixels, got {list(cells)}"
        )
    places = list(cells)
    if symmetry & 4:
        metal, height, width = metal.T, width, height
        places = [(j, i) for i, j in places]
    if symmetry & 1:
        metal, places = metal[::-1], [(height - 1 - i, j) for i, j in places]
    if symmetry & 2:
        metal, places = metal[:, ::-1], [(i, width - 1 - j) for i, j in places]
    return AntennaView(metal=np.ascontiguousarray(metal), cells=tuple(places))
