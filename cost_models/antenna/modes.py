"""Modes of the metal, and the method of moments reduced to them.

The method of moments solves (jωA + GVGᵀ/(jω)) ψ = −C for the currents through the edges of the
metal's cells: A is the inductance between edges, V the potential between cells, Gᵀψ the charge that
currents leave on cells. At the middle of the band the real parts of A and V make a symmetric
eigenvalue problem,

    G V Gᵀ ψ_m = λ_m A ψ_m,   ψ_mᵀ A ψ_m = 1,

whose solutions are the antenna's resonances without radiation (a "partial element" circuit, Ruehli,
IEEE Trans. Microw. Theory Techn. 22(3), 1974). Projected on the lowest K of them, the method of
moments has K unknowns instead of hundreds. Radiation and retardation are in the reduced matrices
at a few frequencies, between which they are smooth; modes above K add a capacitance and an
inductance at the feed.

A and V depend on the offset of two edges or cells alone, so a board is a few small tables.

For gradients the metal may lie between 0 and 1. An edge between cells with amounts a and b then has
an inductance of A₀·(1/(ab) − 1) in series, and a cell a potential of V₀·(1/a³ − 1) by its own
charge: both open as a goes to 0, the second faster, so that the modes of what vanishes do too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from cost_models.antenna.image import oriented
from cost_models.antenna.ops import Array

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Index = NDArray[np.intp]

NODES = 5  # frequencies of the reduced matrices; the middle one is the band's middle
TABLES = ("vector_x", "vector_y", "scalar", "post", "port")
SCALARS = 1 + 4 * NODES  # numbers that describe a mode to the net
_LEAST_METAL = 0.03  # of a cell that takes part, in relaxed masks
_ZERO = 1e-9  # of the largest eigenvalue: below it a mode is the charge of an island
_TINY = 1e-300
_PADDED = 100.0  # λ of a mode that is absent
GAIN = 10.0


def nodes() -> Real:
    """Return Chebyshev's nodes in x from −1 to 1, (NODES,)."""
    return np.asarray(-np.cos((np.arange(NODES) + 0.5) / NODES * np.pi))


def interpolation(x: NDArray[np.float64]) -> Real:
    """Return Lagrange's weights of the nodes at x, (..., NODES)."""
    at = nodes()
    result = np.ones((*np.shape(x), NODES))
    for k in range(NODES):
        for other in range(NODES):
            if other != k:
                result[..., k] *= (x - at[other]) / (at[k] - at[other])
    return result


@dataclass(frozen=True, kw_only=True, eq=False)
class BoardTables:
    """Interactions on one board by offset, in units of the band's middle ω₀ and of 50 Ω.

    vector_x, vector_y: ω₀·inductance of edges along x and y over 50 Ω, with the conductors' loss.
    scalar: potential of cells over ω₀·50 Ω. post: the same between a post and a cell. Shape
    (NODES, L, L), L > cells. port: of a post with itself, (NODES,).
    """

    vector_x: Complex
    vector_y: Complex
    scalar: Complex
    post: Complex
    port: Complex

    @cached_property
    def base(self) -> tuple[Real, Real, Real]:
        """Real parts at the middle: vector_x, vector_y, scalar."""
        middle = NODES // 2
        return (
            self.vector_x[middle].real,
            self.vector_y[middle].real,
            self.scalar[middle].real,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Reduced:
    """Reduced models of designs, the input of head `modal`. Single precision.

    electric, magnetic: shares of a mode's energy in each cell, (n, K, cells, cells), sums of 1.
    scalars: (n, K, SCALARS). inductance, elastance: (n, 2·NODES, K, K), real parts, then imaginary
    ones. coupling of feeds to modes: (n, feeds, 2·NODES, K). rest: of the modes above K, potential
    and inductance at the feeds, (n, feeds, 2). port: the board's, (n, 2·NODES).
    """

    electric: Array
    magnetic: Array
    scalars: Array
    inductance: Array
    elastance: Array
    coupling: Array
    rest: Array
    port: Array


ARRAYS = tuple(Reduced.__dataclass_fields__)


Given = Reduced | NDArray[np.float32] | None
"""What a net reads beside the image: reduced models, cavity features (n, feeds, f), or nothing."""


def rows_of(given: Given, rows: np.ndarray | slice) -> Given:
    """Return what belongs to some designs."""
    if isinstance(given, Reduced):
        return Reduced(**{name: value[rows] for name, value in vars(given).items()})
    return None if given is None else given[rows]


def turned_input(given: Given, orientation: int) -> Given:
    """Turn and mirror pictures of modes as `image.oriented` does masks."""
    if not isinstance(given, Reduced):
        return given
    pictures = {}
    for name in ("electric", "magnetic"):
        value = getattr(given, name)
        flat = value.reshape(-1, *value.shape[2:])
        pictures[name] = oriented(flat, np.zeros((0, 2)), orientation)[0].reshape(
            value.shape
        )
    return replace(given, **pictures)


def reduce_many(
    tables: BoardTables, metal: np.ndarray, cells: np.ndarray, modes: int
) -> Reduced:
    """Return the reduced models of masks (n, c, c) at feeds (n, feeds, 2)."""
    return stacked(
        Modes(tables, mask.astype(float), feeds, modes).reduced
        for mask, feeds in zip(metal, cells, strict=True)
    )


def stacked(models: Iterable[Reduced]) -> Reduced:
    """Return one set of models with the axis of designs, in single precision."""
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ARRAYS}
    for one in models:
        for name, arrays in rows.items():
            arrays.append(getattr(one, name).astype(np.float32))
    return Reduced(**{name: np.stack(arrays) for name, arrays in rows.items()})


class Modes:
    """Modes of one mask, (c, c) in [0, 1], with feeds (feeds, 2).

    All but the charges of islands, by rising λ: `currents` (edges along x and y, modes), `charges`
    and `potentials` (cells, modes), the latter of charge/√λ.
    """

    def __init__(
        self, tables: BoardTables, metal: Real, feeds: Index, modes: int
    ) -> None:
        self._tables, self._metal, self.count = tables, metal, modes
        inside = metal > _LEAST_METAL
        inside[feeds[:, 0], feeds[:, 1]] = True
        self.i, self.j = np.nonzero(inside)
        number = np.full(metal.shape, -1)
        number[self.i, self.j] = np.arange(len(self.i))
        self._amount = np.maximum(metal, _LEAST_METAL)
        self._amount[feeds[:, 0], feeds[:, 1]] = 1.0
        self._edges = [
            _Edges.of(number, self._amount, tables.base[axis], axis) for axis in (0, 1)
        ]
        self.feeds = number[feeds[:, 0], feeds[:, 1]]
        self.potential = tables_at(tables.base[2], self.i, self.j)
        on = np.arange(len(self.i))
        self.potential[on, on] += tables.base[2][0, 0] * (
            self._amount[self.i, self.j] ** -3 - 1
        )
        self._solve()

    def _solve(self) -> None:
        factor = np.linalg.cholesky(self.potential)
        n = len(factor)
        stiffness, halves = np.zeros((n, n)), []
        for edges in self._edges:
            half = scipy.linalg.solve_triangular(
                edges.factor, factor[edges.a] - factor[edges.b], lower=True
            )
            halves.append(half)
            stiffness += half.T @ half
        values, vectors = np.linalg.eigh(stiffness)
        positive = values > _ZERO * max(float(values[-1]), _TINY)
        self.values = values[positive]
        vectors = vectors[:, positive]
        root = np.sqrt(self.values)
        self.currents = [
            scipy.linalg.solve_triangular(
                edges.factor, half @ vectors, lower=True, trans=1
            )
            / root
            for edges, half in zip(self._edges, halves, strict=True)
        ]
        self.potentials = factor @ vectors
        self.charges = root * scipy.linalg.solve_triangular(
            factor, vectors, lower=True, trans=1
        )

    @cached_property
    def reduced(self) -> Reduced:
        """The reduced model without the axis of designs, in double precision."""
        k, given, tables = self.count, min(self.count, len(self.values)), self._tables
        inductance: Complex = np.repeat(np.eye(k)[None] + 0j, NODES, axis=0)
        elastance: Complex = _PADDED * inductance
        coupling = np.zeros((len(self.feeds), NODES, k), complex)
        for axis, psi in enumerate(self.currents):
            p = psi[:, :given]
            inductance[:, :given, :given] += p.T @ (self.inductance_changes[axis] @ p)
        c = self.charges[:, :given]
        elastance[:, :given, :given] = np.diag(self.values[:given])
        elastance[:, :given, :given] += c.T @ (self.potential_changes @ c)
        coupling[..., :given] = (self.posts @ c).transpose(1, 0, 2)
        above = self.felt_by_posts[:, given:] ** 2
        rest = np.stack(
            [above.sum(axis=1), (above / self.values[given:]).sum(axis=1)], axis=1
        )
        electric, magnetic = self._densities(given)
        return Reduced(
            electric=electric,
            magnetic=magnetic,
            scalars=_scalars(inductance, elastance),
            inductance=_parts(inductance, 0),
            elastance=_parts(elastance, 0),
            coupling=_parts(coupling, 1),
            rest=rest,
            port=_parts(tables.port, 0),
        )

    @cached_property
    def inductance_changes(self) -> tuple[Complex, Complex]:
        """Parts of A beside its real part at the middle, x and y, (NODES, edges, edges)."""
        tables = self._tables
        changes = tables.vector_x - tables.base[0], tables.vector_y - tables.base[1]
        pairs = zip(changes, self._edges, strict=True)
        along_x, along_y = (tables_at(table, edges.i, edges.j) for table, edges in pairs)
        return along_x, along_y

    @cached_property
    def potential_changes(self) -> Complex:
        """Parts of V beside its real part at the middle, (NODES, cells, cells)."""
        tables = self._tables
        return tables_at(tables.scalar - tables.base[2], self.i, self.j)

    @cached_property
    def posts(self) -> Complex:
        """Potential of a post at each feed by charge on each cell, (NODES, feeds, cells)."""
        fi, fj = self.i[self.feeds], self.j[self.feeds]
        di = np.abs(fi[:, None] - self.i[None])
        dj = np.abs(fj[:, None] - self.j[None])
        return np.asarray(self._tables.post[:, di, dj])

    @cached_property
    def felt_by_posts(self) -> Real:
        """Potential of a post at each feed by charge/√λ of each mode, (feeds, modes).

        At the middle of the band, its real part.
        """
        felt: Real = self.posts[NODES // 2].real @ self.charges / np.sqrt(self.values)
        return felt

    @property
    def edge_ends(self) -> tuple[Index, Index]:
        """Cells at both ends of all edges, those along x first."""
        x, y = self._edges
        return np.concatenate([x.a, y.a]), np.concatenate([x.b, y.b])

    def times_inductance(self, right: Real) -> Real:
        """Return A·right, (edges, m)."""
        first, second = np.split(right, [len(self._edges[0].a)])
        return np.concatenate(
            [
                edges.factor @ (edges.factor.T @ part)
                for edges, part in zip(self._edges, (first, second), strict=True)
            ]
        )

    def solve_inductance(self, right: Real) -> Real:
        """Return A⁻¹·right, (edges, m)."""
        first, second = np.split(right, [len(self._edges[0].a)])
        return np.concatenate(
            [
                scipy.linalg.cho_solve((edges.factor, True), part)
                for edges, part in zip(self._edges, (first, second), strict=True)
            ]
        )

    def by_metal(self, by_inductance: Real, by_potential: Real) -> Real:
        """Return the gradient by the metal (c, c) of one by the diagonals of A and V."""
        result, amount = np.zeros_like(self._metal), self._amount
        result[self.i, self.j] = (
            -3 * by_potential * self._tables.base[2][0, 0] / amount[self.i, self.j] ** 4
        )
        first, second = np.split(by_inductance, [len(self._edges[0].a)])
        for edges, part, table in zip(
            self._edges, (first, second), self._tables.base[:2], strict=True
        ):
            by_weight = -part * table[0, 0] / edges.weight**2
            a, b = ((self.i[end], self.j[end]) for end in (edges.a, edges.b))
            np.add.at(result, a, by_weight * amount[b])
            np.add.at(result, b, by_weight * amount[a])
        result[self.i[self.feeds], self.j[self.feeds]] = 0.0
        return np.where(self._metal > _LEAST_METAL, result, 0.0)

    def _densities(self, given: int) -> tuple[Real, Real]:
        shape = (self.count, *self._metal.shape)
        electric, magnetic = np.zeros(shape), np.zeros(shape)
        c, phi = self.charges[:, :given], self.potentials[:, :given]
        electric[:given, self.i, self.j] = (c * phi / np.sqrt(self.values[:given])).T
        psi = np.concatenate(self.currents)[:, :given]
        energy = 0.5 * psi * self.times_inductance(psi)
        of_cells = np.zeros((len(self.i), given))
        for ends in self.edge_ends:
            np.add.at(of_cells, ends, energy)
        magnetic[:given, self.i, self.j] = of_cells.T
        return electric, magnetic


@dataclass(frozen=True, kw_only=True, eq=False)
class _Edges:
    """Edges along one axis: the cells a and b that they join, and their inductance's factor."""

    i: Index
    j: Index
    a: Index  # numbers of cells
    b: Index
    weight: Real  # product of both amounts of metal
    factor: Real  # Cholesky's, of the inductance

    @classmethod
    def of(cls, number: Index, amount: Real, table: Real, axis: int) -> _Edges:
        first = (slice(0, -1), slice(None)) if axis == 0 else (slice(None), slice(0, -1))
        second = (
            (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        )
        i, j = np.nonzero((number[first] >= 0) & (number[second] >= 0))
        weight = (amount[first] * amount[second])[i, j]
        inductance = tables_at(table, i, j)
        inductance[np.arange(len(i)), np.arange(len(i))] += table[0, 0] * (1 / weight - 1)
        return cls(
            i=i,
            j=j,
            a=number[first][i, j],
            b=number[second][i, j],
            weight=weight,
            factor=np.linalg.cholesky(inductance),
        )


def tables_at(table: np.ndarray, i: Index, j: Index) -> np.ndarray:
    """Return a table (..., L, L) at the offsets of all pairs, (..., n, n)."""
    di, dj = np.abs(i[:, None] - i[None]), np.abs(j[:, None] - j[None])
    return np.asarray(table[..., di, dj])


def _parts(values: Complex, axis: int) -> Real:
    return np.concatenate([values.real, values.imag], axis=axis)


def _scalars(inductance: Complex, elastance: Complex) -> Real:
    """Return numbers that describe modes: frequency, and loss and shift at each node."""
    own, back = (np.einsum("fkk->kf", m) for m in (inductance, elastance))
    value = np.maximum(back[:, NODES // 2].real, 1e-3)[:, None]
    columns = [
        0.5 * np.log(value),
        np.arcsinh(GAIN * own.imag),
        np.arcsinh(GAIN * (own.real - 1)),
        np.arcsinh(GAIN * back.imag / value),
        np.arcsinh(GAIN * (back.real / value - 1)),
    ]
    return np.concatenate(columns, axis=1)
