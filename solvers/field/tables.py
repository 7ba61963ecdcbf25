"""Interactions of cells as tables of their offset, computed once a board for all antennas.

On a uniform grid the matrix entries of the method of moments depend on the offset of two cells
alone. A table entry is the kernel integrated over two basis functions, which is one integral
over their difference, with the correlation of their shapes as weight: a triangle for two
pulses, a cubic B-spline for two triangles. Four-point Gauss rules a cell, a Duffy transformation
where the kernel is singular.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from solvers.field.board import EPS0, MU0, Board, Grid
from solvers.field.slab import Complex, Kernels, Real, SlabKernels

_VERSION = 1  # of the file's contents: part of the cache's key
_NODES, _DUFFY = 4, 8
_MARGIN = 2  # cells beyond the grid that differences of tables reach
_ARRAYS = ("vector_x", "vector_y", "scalar", "post_rooftop", "post_post")


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Interaction tables of one board, grid and set of frequencies.

    Each array has shape (frequencies, L, L) with L = grid.cells + 2, indexed by |Δi|, |Δj|, in SI
    units for unit total currents: multiply the vector tables by jω, the scalar one by 1/(jω).
    """

    board: Board
    grid: Grid
    frequencies_hz: Real
    vector_x: Complex
    vector_y: Complex
    scalar: Complex
    post_rooftop: Complex
    post_post: Complex


def load_tables(
    board: Board, grid: Grid, frequencies_hz: Real, *, cache: Path | None
) -> Tables:
    """Return the tables from the cache folder, or compute them and keep them there."""
    frequencies = np.asarray(frequencies_hz, float)
    if cache is None:
        return compute_tables(board, grid, frequencies)
    path = cache / f"field-tables-{_key(board, grid, frequencies)}.npz"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in _ARRAYS}
        return Tables(board=board, grid=grid, frequencies_hz=frequencies, **arrays)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        pass  # absent, or written by a process that was killed
    tables = compute_tables(board, grid, frequencies)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache, suffix=".npz", delete=False) as written:
        np.savez(written, **{name: getattr(tables, name) for name in _ARRAYS})
    os.replace(written.name, path)
    return tables


def compute_tables(board: Board, grid: Grid, frequencies_hz: Real) -> Tables:
    """Compute the tables. About 10 ms a frequency on a grid of 12 cells, 20 ms on one of 24."""
    frequencies = np.asarray(frequencies_hz, float)
    quadrature = _Quadrature.on(grid)
    kernels = SlabKernels(
        board,
        reach_m=grid.cell_m * (grid.cells + _MARGIN) * np.sqrt(2) * 1.01,
        nearest_m=grid.cell_m * 2e-2,
        highest_hz=float(frequencies.max()),
    )
    rows = [quadrature.tables(kernels, float(frequency)) for frequency in frequencies]
    arrays = {
        name: np.array([row[index] for row in rows]) for index, name in enumerate(_ARRAYS)
    }
    return Tables(board=board, grid=grid, frequencies_hz=frequencies, **arrays)


def _key(board: Board, grid: Grid, frequencies: Real) -> str:
    digest = hashlib.sha256(repr((_VERSION, board, grid)).encode())
    digest.update(frequencies.tobytes())
    return digest.hexdigest()[:24]


@dataclass(frozen=True, kw_only=True)
class _Quadrature:
    """Nodes in the plane of differences, and the weights that shapes give them."""

    cell_m: float
    length: int
    distances: Real  # (L, L, 4, 4), metres
    weights: Real  # the same
    corner_distances: Real  # of the singular cell, Duffy nodes
    corner_weights: Real
    # Shape → (offset, node along one axis), negative half folded in.
    shapes: dict[str, Real]
    corner_shapes: dict[str, tuple[Real, Real]]  # shape → along x and along y

    @classmethod
    def on(cls, grid: Grid) -> _Quadrature:
        length = grid.cells + _MARGIN
        x, w = _gauss(_NODES)
        starts = np.arange(length)
        nodes = starts[:, None] + x  # (L, 4)
        distance = grid.cell_m * np.hypot(
            nodes[:, None, :, None], nodes[None, :, None, :]
        )
        p, wp = _gauss(_DUFFY)
        outer, inner = np.meshgrid(p, p, indexing="ij")
        corner_x = np.concatenate([outer.ravel(), (outer * inner).ravel()])
        corner_y = np.concatenate([(outer * inner).ravel(), outer.ravel()])
        corner_w = np.concatenate([(np.outer(wp, wp) * outer).ravel()] * 2)
        offsets = np.arange(length)[:, None]

        def folded(shape: str, at: Real) -> Real:
            function = _SHAPES[shape]
            return np.asarray(
                function(at[None] - offsets) + function(-at[None] - offsets)
            )

        return cls(
            cell_m=grid.cell_m,
            length=length,
            distances=distance,
            weights=np.broadcast_to(np.outer(w, w), distance.shape),
            corner_distances=grid.cell_m * np.hypot(corner_x, corner_y),
            corner_weights=corner_w,
            shapes={shape: folded(shape, nodes.ravel()) for shape in _SHAPES},
            corner_shapes={
                shape: (folded(shape, corner_x), folded(shape, corner_y))
                for shape in _SHAPES
            },
        )

    def tables(self, kernels: SlabKernels, frequency_hz: float) -> tuple[Complex, ...]:
        """Return the five tables at one frequency, in the order of `_ARRAYS`."""
        cells, corner = kernels.at(frequency_hz, [self.distances, self.corner_distances])

        def table(name: str, along_x: str, along_y: str) -> Complex:
            return self._integrate(cells, corner, name, along_x, along_y)

        # Rooftops carry a unit total current: 1/a times the triangle; pulses carry 1/a².
        area = self.cell_m**2
        return (
            table("vector", "spline", "triangle") * area * MU0 / (2 * np.pi),
            table("vector", "triangle", "spline") * area * MU0 / (2 * np.pi),
            table("scalar", "triangle", "triangle") / (2 * np.pi * EPS0),
            table("post_rooftop", "triangle", "triangle") / (2 * np.pi),
            table("post_post", "triangle", "triangle") / (2 * np.pi),
        )

    def _integrate(
        self, cells: Kernels, corner: Kernels, name: str, along_x: str, along_y: str
    ) -> Complex:
        values = getattr(cells, name) * self.weights
        values[0, 0] = 0  # the singular cell is the corner's
        plane = values.transpose(0, 2, 1, 3).reshape(
            self.length * _NODES, self.length * _NODES
        )
        regular = self.shapes[along_x] @ plane @ self.shapes[along_y].T
        weighted = getattr(corner, name) * self.corner_weights
        singular = (self.corner_shapes[along_x][0] * weighted) @ self.corner_shapes[
            along_y
        ][1].T
        return np.asarray(regular + singular)


def _gauss(count: int) -> tuple[Real, Real]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(count)
    return (x + 1) / 2, w / 2


def _triangle(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of two unit pulses."""
    return np.asarray(np.maximum(0.0, 1 - np.abs(t)))


def _spline(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of two unit triangles: the cubic B-spline."""
    t = np.abs(t)
    inner, outer = 2 / 3 - t**2 + t**3 / 2, (2 - t) ** 3 / 6
    return np.asarray(np.where(t < 1, inner, np.where(t < 2, outer, 0.0)))


_SHAPES = {"triangle": _triangle, "spline": _spline}
