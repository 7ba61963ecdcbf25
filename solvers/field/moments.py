"""Method of moments on the pixel grid: rooftop currents on metal, uniform ones in posts.

Unknowns are the total currents through the common edges of neighbouring metal cells (rooftops, in x
and in y), and those of posts between ground and metal: the port first, then vias. The matrix is
complex symmetric; its entries are read from `Tables` by offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from solvers.field.board import Cell, Mask, refined_mask, refined_post
from solvers.field.slab import Complex
from solvers.field.tables import Tables

Index = NDArray[np.intp]
MOST_UNKNOWNS = 3_000


class TooManyUnknowns(ValueError):
    """The antenna has more unknowns than this solver takes. The message says how many."""


@dataclass(frozen=True, kw_only=True)
class Antenna:
    """Metal on a grid, with one port and vias. Build it with `antenna`."""

    mask: Mask
    x_edges: tuple[Index, Index]  # (i, j): current from cell (i, j) to (i+1, j)
    y_edges: tuple[Index, Index]  # (i, j): current from cell (i, j) to (i, j+1)
    posts: NDArray[np.intp]  # (posts, 2), the port's first
    port_posts: int  # how many of them are the port's, which share its current equally

    @property
    def unknowns(self) -> int:
        """Rows of the matrix."""
        return len(self.x_edges[0]) + len(self.y_edges[0]) + len(self.posts)


def antenna(mask: Mask, port: Sequence[Cell], vias: Sequence[Cell] = ()) -> Antenna:
    """Return the antenna of a mask. Raises ValueError for posts off the metal, TooManyUnknowns."""
    metal = np.asarray(mask, bool)
    if metal.ndim != 2:
        raise ValueError(f"mask: expected two dimensions, got shape {metal.shape}")
    for name, cells in (("port", port), ("vias", vias)):
        for i, j in cells:
            inside = 0 <= i < metal.shape[0] and 0 <= j < metal.shape[1]
            if not inside or not metal[i, j]:
                raise ValueError(f"{name}: expected a cell on the metal, got ({i}, {j})")
    if not port:
        raise ValueError("port: expected at least one cell, got none")
    if len({*port, *vias}) != len(port) + len(vias):
        raise ValueError("port and vias: expected different cells, got one twice")
    built = Antenna(
        mask=metal,
        x_edges=_pairs(metal[:-1] & metal[1:]),
        y_edges=_pairs(metal[:, :-1] & metal[:, 1:]),
        posts=np.array([*port, *vias], dtype=np.intp).reshape(-1, 2),
        port_posts=len(port),
    )
    if built.unknowns > MOST_UNKNOWNS:
        raise TooManyUnknowns(
            f"mask: expected at most {MOST_UNKNOWNS:,} unknowns, got {built.unknowns:,}; "
            "use a coarser grid or less metal"
        )
    return built


def refined_antenna(
    mask: Mask, feed: Cell, vias: Sequence[Cell] = (), *, factor: int
) -> Antenna:
    """Return an antenna of pixels on `Grid.refined(factor)`: a post covers all cells of its pixel.

    Raises as `antenna`.
    """
    posts = [cell for via in vias for cell in refined_post(via, factor)]
    return antenna(refined_mask(mask, factor), refined_post(feed, factor), posts)


class MomentMethod:
    """The matrix of one antenna, at any frequency of the tables."""

    def __init__(self, tables: Tables, antenna: Antenna) -> None:
        if max(antenna.mask.shape) > tables.grid.cells:
            raise ValueError(
                f"mask: expected at most {tables.grid.cells} cells a side, got {antenna.mask.shape}"
            )
        self.tables, self.antenna = tables, antenna
        (xi, xj), (yi, yj), posts = antenna.x_edges, antenna.y_edges, antenna.posts
        vi, vj = posts[:, 0], posts[:, 1]
        self._xx = np.abs(_difference(xi, xi)), np.abs(_difference(xj, xj))
        self._yy = np.abs(_difference(yi, yi)), np.abs(_difference(yj, yj))
        self._xy = _difference(xi, yi), _difference(xj, yj)
        self._vx = _difference(vi, xi), _difference(vj, xj)
        self._vy = _difference(vi, yi), _difference(vj, yj)
        self._vv = np.abs(_difference(vi, vi)), np.abs(_difference(vj, vj))
        self.overlap = self._overlap()

    def matrix(self, index: int) -> Complex:
        """Return the impedance matrix at one frequency, shape (unknowns, unknowns), ohm."""
        tables = self.tables
        jw = 2j * np.pi * tables.frequencies_hz[index]
        scalar, post = tables.scalar[index], tables.post_rooftop[index]
        nx, ny = len(self.antenna.x_edges[0]), len(self.antenna.y_edges[0])
        n = nx + ny
        z = np.empty((self.antenna.unknowns,) * 2, complex)
        along_x = jw * tables.vector_x[index] + _second_difference(scalar) / jw
        along_y = jw * tables.vector_y[index] + _second_difference(scalar.T).T / jw
        z[:nx, :nx] = along_x[self._xx]
        z[nx:n, nx:n] = along_y[self._yy]
        di, dj = self._xy
        mixed = _at(scalar, di, dj) - _at(scalar, di, dj - 1)
        mixed += _at(scalar, di + 1, dj - 1) - _at(scalar, di + 1, dj)
        z[:nx, nx:n] = mixed / jw
        z[nx:n, :nx] = z[:nx, nx:n].T
        z[:n, :n] += self.loss_impedance(index) * self.overlap
        di, dj = self._vx
        z[n:, :nx] = _at(post, di, dj) - _at(post, di - 1, dj)
        di, dj = self._vy
        z[n:, nx:n] = _at(post, di, dj) - _at(post, di, dj - 1)
        z[:n, n:] = z[n:, :n].T
        z[n:, n:] = tables.post_post[index][self._vv]
        return z

    def loss_impedance(self, index: int) -> complex:
        """Return the surface impedance of metal and ground together, ohm per square.

        The ground carries the image of the metal's current, so its loss doubles the metal's; the
        cavity model's Q_c = h√(πfμ₀σ) counts both plates in the same way (Balanis, Antenna Theory,
        4th ed., section 14.3).
        """
        frequency = self.tables.frequencies_hz[index]
        return 2 * complex(self.tables.board.surface_impedance(frequency))

    def _overlap(self) -> NDArray[np.float64]:
        """Return ∫ f_m·f_n of unit rooftops, (edges, edges): 2/3 on itself, 1/6 beside it.

        Neighbours are collinear: the next edge in the direction of the current.
        """
        nx = len(self.antenna.x_edges[0])
        n = nx + len(self.antenna.y_edges[0])
        overlap = np.zeros((n, n))
        overlap[:nx, :nx] = ((self._xx[1] == 0) & (self._xx[0] == 1)) / 6
        overlap[nx:, nx:] = ((self._yy[0] == 0) & (self._yy[1] == 1)) / 6
        overlap[np.arange(n), np.arange(n)] = 2 / 3
        return overlap

    def currents(self, index: int) -> Complex:
        """Return the currents for 1 V at the port, shape (unknowns,), ampere.

        The port's posts are one unknown: they share its current equally, and its voltage is their
        mean. So a port on a finer grid remains the post of the coarse one, with a uniform current,
        and openEMS' lumped port is the same post. With posts of equal voltage instead, the current
        would move to the outer ones, and a finer grid would converge to another antenna: the mean
        |ΔS11| to openEMS of three random designs was 0.095 with 2 x 2 and 0.113 with 3 x 3 cells a
        pixel, against 0.069 and 0.057 with a uniform current.
        """
        z = self.matrix(index)
        first = self.antenna.unknowns - len(self.antenna.posts)
        count = self.antenna.port_posts
        end = first + count
        if count > 1:
            z[first] = z[first:end].mean(axis=0)
            z[:, first] = z[:, first:end].mean(axis=1)
            others = np.arange(first + 1, end)
            z = np.delete(np.delete(z, others, axis=0), others, axis=1)
        volts = np.zeros(len(z), complex)
        volts[first] = 1
        solved = scipy.linalg.solve(
            z, volts, assume_a="sym", overwrite_a=True, check_finite=False
        )
        shared = np.full(count, solved[first] / count)
        return np.concatenate([solved[:first], shared, solved[first + 1 :]])

    def input_impedance(self, index: int) -> complex:
        """Return the port's impedance at frequency number `index`, ohm."""
        edges = self.antenna.unknowns - len(self.antenna.posts)
        port = self.currents(index)[edges : edges + self.antenna.port_posts]
        return complex(1 / port.sum())


def reflection(
    impedance: complex | Complex, reference_ohm: float = 50.0
) -> complex | Complex:
    """Return S11 = (Z − Z₀)/(Z + Z₀)."""
    return (impedance - reference_ohm) / (impedance + reference_ohm)


def _pairs(both: Mask) -> tuple[Index, Index]:
    i, j = np.nonzero(both)
    return i, j


def _difference(a: Index, b: Index) -> Index:
    return np.asarray(a[:, None] - b[None])


def _at(table: Complex, di: Index, dj: Index) -> Complex:
    return table[np.abs(di), np.abs(dj)]


def _second_difference(table: Complex) -> Complex:
    """2T(m) − T(m−1) − T(m+1) along the first axis; the table is even in its offset."""
    before = np.concatenate([table[1:2], table[:-1]])
    after = np.concatenate([table[1:], table[-1:]])
    return np.asarray(2 * table - before - after)
