"""Exact responses of all designs near one design, from principal pivots of the full grid's matrix.

Metal that is present is a set N of unknowns of the grid that is all metal. The principal pivot
transform of its matrix Z on N (Tucker 1960; Tsatsomeros, Linear Algebra Appl. 307, 2000)

    W_NN = Y,  W_NA = −Y Z_NA,  W_AN = Z_AN Y,  W_AA = Z_AA − Z_AN Y Z_NA,   Y = Z_NN⁻¹

has the port's admittance on its diagonal. Toggling a set D of unknowns, present ones out and absent
ones in, is the pivot on D: the new admittance at the port p is W_pp − W_pD W_DD⁻¹ W_Dp, which costs
|D|³ where a solve costs |N|³. Single cells have at most four unknowns. The idea of evaluating all
nearest neighbours without inversion is that of Capek, Jelinek and Gustafsson (IEEE Trans. Antennas
Propag. 67, 2019; "topology sensitivity").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from solvers.field.board import Cell, Mask, refined_post
from solvers.field.moments import MomentMethod, antenna
from solvers.field.slab import Complex
from solvers.field.tables import Tables

Bool = NDArray[np.bool_]
Index = NDArray[np.intp]
_SIZES = (4, 8, 12, 20, 32)  # toggled unknowns are padded to the next of these
_ENTRIES = 2_000_000  # of the gathered blocks at once, 32 MB
# Pivots between fresh transforms: rounding errors grow by about a digit in a hundred.
_PIVOTS = 60
# Larger matrices are in single precision, and are assembled anew for each transform.
_SMALL_BYTES = 40_000_000


class Reanalysis:
    """The antenna that is present, and the port admittances of antennas near it.

    tables: on the grid of pixels, or on one refined by `factor`. posts: pixels that may carry a
    post (the feed or a via). A post covers all cells of its pixel; those of the port have one
    voltage, and their currents add up.
    """

    def __init__(self, tables: Tables, posts: Sequence[Cell], *, factor: int = 1) -> None:
        n = tables.grid.cells
        cells = [cell for post in posts for cell in refined_post(post, factor)]
        self._method = MomentMethod(tables, antenna(np.ones((n, n), bool), cells))
        self._frequencies = len(tables.frequencies_hz)
        self._edges = 2 * n * (n - 1)
        small = memory_bytes(self.unknowns, self._frequencies) <= _SMALL_BYTES
        self._z = [*map(self._method.matrix, range(self._frequencies))] if small else None
        self._type = np.complex128 if small else np.complex64
        self._factor = factor
        self._posts = {
            post: self._edges + k * factor**2 + np.arange(factor**2)
            for k, post in enumerate(posts)
        }
        self._w: Complex | None = None
        self._pivots = 0
        self._present = np.zeros(self.unknowns, bool)

    @property
    def unknowns(self) -> int:
        """Unknowns of the grid that is all metal, with all posts."""
        return self._method.antenna.unknowns

    def unknowns_of(self, masks: Mask, posts: Sequence[Sequence[Cell]]) -> Bool:
        """Return which unknowns antennas have, (antennas, unknowns).

        masks: (antennas, pixels, pixels); posts: those of each antenna, the port's among them.
        """
        count = len(masks)
        metal = np.repeat(np.repeat(masks, self._factor, axis=1), self._factor, axis=2)
        has = np.zeros((count, self.unknowns), bool)
        half = self._edges // 2
        has[:, :half] = (metal[:, :-1] & metal[:, 1:]).reshape(count, -1)
        along_y = metal[:, :, :-1] & metal[:, :, 1:]
        has[:, half : self._edges] = along_y.reshape(count, -1)
        for row, cells in enumerate(posts):
            for cell in cells:
                has[row, self._posts[cell]] = True
        return has

    def move(self, mask: Mask, posts: Sequence[Cell]) -> None:
        """Make an antenna the present one, by a pivot where it is near the one before."""
        target = self.unknowns_of(mask[None], [posts])[0]
        toggled = np.flatnonzero(target ^ self._present)
        if self._w is None or len(toggled) > _SIZES[-1] or self._pivots >= _PIVOTS:
            self._pivots = 0
            self._transform(np.flatnonzero(target))
        elif len(toggled):
            self._pivots += 1
            _pivot(self._w, toggled)
        self._present = target

    def admittances(self, has: Bool, ports: Sequence[Cell]) -> Complex:
        """Return the port admittance of antennas by frequency, (antennas, frequencies), siemens.

        has: their unknowns, from `unknowns_of`; ports: the pixel of each one's port.
        """
        assert self._w is not None, "move to an antenna first"
        result = np.empty((len(has), self._frequencies), complex)
        port = np.array([self._posts[cell] for cell in ports])
        toggled = has ^ self._present
        # The port's own rows are pivoted last: what is left of them is inverted.
        own = np.take_along_axis(toggled, port, axis=1)[:, 0]
        np.put_along_axis(toggled, port, False, axis=1)
        for rows, size in _grouped(toggled.sum(axis=1), self._frequencies):
            left = self._left(toggled[rows], port[rows], size)
            if own[rows].any():
                moved = own[rows]
                left[:, moved] = np.linalg.inv(left[:, moved])
            result[rows] = left.sum(axis=(-1, -2)).T
        return result

    def _left(self, toggled: Bool, port: Index, size: int) -> Complex:
        """Return W_pp − W_pD W_DD⁻¹ W_Dp, (frequencies, antennas, posts, posts).

        D is padded to `size` by rows of the unit matrix.
        """
        assert self._w is not None
        w = self._w
        at_port = w[:, port[:, :, None], port[:, None, :]]
        if size == 0:
            return np.asarray(at_port)
        order = np.argsort(~toggled, axis=1, kind="stable")[:, :size]
        real = np.take_along_axis(toggled, order, axis=1)  # (antennas, size)
        block = w[:, order[:, :, None], order[:, None, :]]
        block *= real[:, :, None] & real[:, None, :]
        block += np.eye(size, dtype=block.dtype) * ~real[:, :, None]
        columns = w[:, order[:, :, None], port[:, None, :]] * real[:, :, None]
        rows = w[:, port[:, :, None], order[:, None, :]] * real[:, None, :]
        return np.asarray(at_port - rows @ np.linalg.solve(block, columns))

    def _transform(self, present: Index) -> None:
        """Compute the principal pivot transform on `present` at each frequency."""
        size = self.unknowns
        if self._w is None:
            self._w = np.empty((self._frequencies, size, size), self._type)
        absent = np.setdiff1d(np.arange(size), present)
        nn, na = np.ix_(present, present), np.ix_(present, absent)
        an, aa = np.ix_(absent, present), np.ix_(absent, absent)
        for index, result in enumerate(self._w):
            z = self._method.matrix(index) if self._z is None else self._z[index]
            z = z.astype(self._type, copy=False)
            y = np.linalg.inv(z[nn])
            product = y @ z[na]
            result[nn], result[na] = y, -product
            # Z and Y are symmetric: Z_AN Y is the transpose of Y Z_NA.
            result[an] = product.T
            result[aa] = z[aa] - z[an] @ product


def memory_bytes(unknowns: int, frequencies: int) -> int:
    """Return the memory of the matrices in single precision."""
    return 8 * frequencies * unknowns**2


def _pivot(w: Complex, toggled: Index) -> None:
    """Apply the principal pivot on `toggled` to each matrix, in place."""
    for matrix in w:
        inverse = np.linalg.inv(matrix[np.ix_(toggled, toggled)])
        rows, columns = matrix[toggled], matrix[:, toggled]
        new_rows = inverse @ rows
        new_columns = columns @ inverse
        matrix -= columns @ new_rows
        matrix[toggled] = -new_rows
        matrix[:, toggled] = new_columns
        matrix[np.ix_(toggled, toggled)] = inverse


def _grouped(sizes: Index, frequencies: int) -> Iterator[tuple[Index, int]]:
    """Yield rows of similar size with the size they are padded to, few enough for memory."""
    lower = -1
    for upper in (0, *_SIZES, int(max(sizes.max(initial=0), _SIZES[-1] + 1))):
        rows = np.flatnonzero((sizes > lower) & (sizes <= upper))
        lower = upper
        if len(rows) == 0:
            continue
        most = max(1, _ENTRIES // max(1, upper * upper * frequencies))
        for start in range(0, len(rows), most):
            yield rows[start : start + most], upper
