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
from typing import Any

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

    tables: on the grid of pixels, or on one refined by `factor`. posts: pixels that may carry the
    port or, where `vias`, a via. A post covers all cells of its pixel: one unknown of uniform
    current for the port, one a cell for a via, as in `solvers.field.moments`.
    """

    def __init__(
        self,
        tables: Tables,
        posts: Sequence[Cell],
        *,
        vias: bool = False,
        factor: int = 1,
    ) -> None:
        n, count = tables.grid.cells, len(posts)
        cells = [cell for post in posts for cell in refined_post(post, factor)]
        self._method = MomentMethod(tables, antenna(np.ones((n, n), bool), cells))
        self._frequencies = len(tables.frequencies_hz)
        self._edges = edges = 2 * n * (n - 1)
        self._factor, per_post = factor, factor**2
        self._ports = {post: edges + k for k, post in enumerate(posts)}
        # Without refinement a via is the port's unknown, short-circuited.
        self._own_vias = vias and factor > 1
        first = edges + count if self._own_vias else edges
        self._vias = {
            post: first + per_post * k + np.arange(per_post)
            for k, post in enumerate(posts)
        }
        self.unknowns = edges + count * (1 + per_post * self._own_vias)
        small = memory_bytes(self.unknowns, self._frequencies) <= _SMALL_BYTES
        self._type = np.complex128 if small else np.complex64
        self._z = [*map(self._full, range(self._frequencies))] if small else None
        self._w: NDArray[Any] | None = None
        self._pivots = 0
        self._present = np.zeros(self.unknowns, bool)

    def unknowns_of(
        self, masks: Mask, ports: Sequence[Cell], vias: Sequence[Sequence[Cell]]
    ) -> Bool:
        """Return which unknowns antennas have, (antennas, unknowns).

        masks: (antennas, pixels, pixels); ports and vias: pixels of each antenna's posts.
        """
        count = len(masks)
        metal = np.repeat(np.repeat(masks, self._factor, axis=1), self._factor, axis=2)
        has = np.zeros((count, self.unknowns), bool)
        half = self._edges // 2
        has[:, :half] = (metal[:, :-1] & metal[:, 1:]).reshape(count, -1)
        along_y = metal[:, :, :-1] & metal[:, :, 1:]
        has[:, half : self._edges] = along_y.reshape(count, -1)
        has[np.arange(count), [self._ports[port] for port in ports]] = True
        for row, cells in enumerate(vias):
            for cell in cells:
                has[row, self._vias[cell]] = True
        return has

    def move(self, mask: Mask, port: Cell, vias: Sequence[Cell] = ()) -> None:
        """Make an antenna the present one, by a pivot where it is near the one before."""
        target = self.unknowns_of(mask[None], [port], [vias])[0]
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
        port = np.array([self._ports[cell] for cell in ports], np.intp)
        rows_of_all = np.arange(len(has))
        toggled = has ^ self._present
        # The port's own row is pivoted last: its admittance is the inverse of what is left.
        own = toggled[rows_of_all, port]
        toggled[rows_of_all, port] = False
        for rows, size in _grouped(toggled.sum(axis=1), self._frequencies):
            left = self._left(toggled[rows], port[rows], size)
            moved = own[rows]
            left[:, moved] = 1 / left[:, moved]
            result[rows] = left.T
        return result

    def _left(self, toggled: Bool, port: Index, size: int) -> NDArray[Any]:
        """Return W_pp − W_pD W_DD⁻¹ W_Dp, (frequencies, antennas).

        D is padded to `size` by rows of the unit matrix.
        """
        assert self._w is not None
        w = self._w
        at_port = w[:, port, port]
        if size == 0:
            return at_port
        order = np.argsort(~toggled, axis=1, kind="stable")[:, :size]
        real = np.take_along_axis(toggled, order, axis=1)  # (antennas, size)
        block = w[:, order[:, :, None], order[:, None, :]]
        block *= real[:, :, None] & real[:, None, :]
        block += np.eye(size, dtype=block.dtype) * ~real[:, :, None]
        column = w[:, order, port[:, None]] * real  # (frequencies, antennas, size)
        row = w[:, port[:, None], order] * real
        solved = np.linalg.solve(block, column[..., None])[..., 0]
        return np.asarray(at_port - (row * solved).sum(axis=-1))

    def _full(self, index: int) -> Complex:
        """Return the matrix of the grid that is all metal, with one row for each port."""
        z, edges = self._method.matrix(index), self._edges
        if self._factor == 1:
            return z
        per_post, size = self._factor**2, len(z)
        for _ in range(2):  # rows, then columns: the matrix is symmetric
            ports = z[edges:].reshape(-1, per_post, z.shape[1]).mean(axis=1)
            vias = z[edges:size] if self._own_vias else z[:0]
            z = np.concatenate([z[:edges], ports, vias]).T
        return z

    def _transform(self, present: Index) -> None:
        """Compute the principal pivot transform on `present` at each frequency."""
        size = self.unknowns
        if self._w is None:
            self._w = np.empty((self._frequencies, size, size), self._type)
        absent = np.setdiff1d(np.arange(size), present)
        nn, na = np.ix_(present, present), np.ix_(present, absent)
        an, aa = np.ix_(absent, present), np.ix_(absent, absent)
        for index, result in enumerate(self._w):
            z = self._full(index) if self._z is None else self._z[index]
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


def _pivot(w: NDArray[Any], toggled: Index) -> None:
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
