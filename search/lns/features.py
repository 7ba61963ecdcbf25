"""Features of CL-LNS: a program, its root LP and its incumbents as a bipartite graph.

Huang et al. (2023), section 4. One node per variable, one per row side (a row with two sides
becomes two nodes, the lower one negated, so that all read a·x ≤ b) and one edge per nonzero. The
columns follow the paper's sets (Gasse et al. 2019; Khalil et al. 2016; a window of incumbents) as
far as they have a meaning at a root without branching: pseudocosts and cutoffs, always 0 there, are
left out. Counts and degrees are divided by their mean over the graph, so that a net trained on
small instances reads large ones.
"""

from __future__ import annotations

from enum import IntEnum, auto
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy import sparse

from gnn.policies.bipartite_graph import BipartiteGraph
from solvers.relaxation import LpSolution
from solvers.types import Floats, MilpModel

WINDOW = 3  # incumbents, newest first
_CLIP = 10.0
_OF_INCUMBENTS = ("INCUMBENT_", "PRESENT_", "VALUE_")


class _Zero(IntEnum):
    @staticmethod
    def _generate_next_value_(
        name: str, start: int, count: int, last_values: list[int]
    ) -> int:
        return count


class VariableFeature(_Zero):
    """Columns of the variable nodes."""

    OBJECTIVE = auto()  # over the largest |c|
    OBJECTIVE_POSITIVE = auto()
    OBJECTIVE_NEGATIVE = auto()
    OBJECTIVE_RANK = auto()  # place of |c| among all, in [0, 1]
    BINARY = auto()
    GENERAL_INTEGER = auto()
    CONTINUOUS = auto()
    HAS_LOWER = auto()
    HAS_UPPER = auto()
    DEGREE = auto()  # rows, over the mean
    ROW_DEGREE_MEAN = auto()  # of the rows it is in, over the mean row's
    ROW_DEGREE_STD = auto()
    ROW_DEGREE_MIN = auto()
    ROW_DEGREE_MAX = auto()
    POSITIVE_SHARE = auto()  # of its coefficients
    COEFFICIENT_MEAN = auto()  # each coefficient over the largest of its row
    COEFFICIENT_STD = auto()
    COEFFICIENT_MIN = auto()
    COEFFICIENT_MAX = auto()
    OVER_RHS_MIN = auto()  # coefficient / |b|
    OVER_RHS_MAX = auto()
    LP_VALUE = auto()  # over the range, from the lower bound
    LP_FRACTIONALITY = auto()
    LP_AT_LOWER = auto()
    LP_AT_UPPER = auto()
    REDUCED_COST = auto()  # over the largest |c|
    REDUCED_COST_RANK = auto()  # place of |d| among all, in [0, 1]
    TIGHT_SHARE = auto()  # of its rows, in the LP
    DUAL_MEAN = auto()  # |dual| of its rows over the mean of nonzero duals
    DUAL_MAX = auto()
    INCUMBENT_DIFFERENCE = auto()  # |x̂ − x_LP| over the range
    INCUMBENT_TIGHT_SHARE = auto()  # of its rows, at the incumbent
    PRESENT_0 = auto()  # the window: 1 if there is such an incumbent, and its value
    VALUE_0 = auto()
    PRESENT_1 = auto()
    VALUE_1 = auto()
    PRESENT_2 = auto()
    VALUE_2 = auto()
    # Since 2026-11-30; the shipped weights know the columns above alone.
    LOG_COST = auto()  # log |c| over the median of integer variables with a cost
    LOG_REDUCED_COST = auto()  # log(1 + |d| over the median of nonzero ones)
    # At the incumbent, of the flow that the variable switches on, over its capacity.
    UTILISATION = auto()
    UTILISATION_LP = auto()
    # Cost of that flow: at the incumbent less in the LP, log scale.
    LINKED_COST = auto()
    MOVED = auto()  # distance it went within the window


class RowFeature(_Zero):
    """Columns of the row nodes."""

    RHS_OVER_NORM = auto()  # b / ‖a‖
    RHS_SIGN = auto()
    LOWER_SIDE = auto()  # 1 for a negated ≥ side
    EQUALITY = auto()
    DEGREE = auto()  # over the mean
    COSINE = auto()  # of a and c
    TIGHT = auto()  # in the LP
    DUAL = auto()  # |dual| over the mean of nonzero duals
    INCUMBENT_TIGHT = auto()
    INCUMBENT_SLACK = auto()  # over ‖a‖


# Columns whose means describe a family (gnn.policies.out_of_distribution): those that the shipped
# weights were described by.
_DESCRIBES = [
    feature
    for feature in VariableFeature
    if feature <= VariableFeature.VALUE_2 and not feature.name.startswith(_OF_INCUMBENTS)
]
_WINDOW_COLUMNS = (
    (VariableFeature.PRESENT_0, VariableFeature.VALUE_0),
    (VariableFeature.PRESENT_1, VariableFeature.VALUE_1),
    (VariableFeature.PRESENT_2, VariableFeature.VALUE_2),
)


class GraphBuilder:
    """Builds the graphs of one model: static features once, those of incumbents in `at`."""

    def __init__(self, model: MilpModel, root: LpSolution) -> None:
        if root.x is None or root.reduced_costs is None or root.row_duals is None:
            raise ValueError(
                "features: expected a root LP solved to optimality with duals"
            )
        self._model = model
        upper, lower = (
            np.flatnonzero(np.isfinite(model.row_upper)),
            np.flatnonzero(np.isfinite(model.row_lower)),
        )
        matrix = model.matrix
        self._rows: sparse.csr_matrix = sparse.vstack(
            [matrix[upper], -matrix[lower]], format="csr"
        ).astype(np.float32)
        self._rhs = np.concatenate([model.row_upper[upper], -model.row_lower[lower]])
        self._row_of_side = np.concatenate([upper, lower])
        self._is_lower = np.concatenate([np.zeros(len(upper)), np.ones(len(lower))])
        span = model.col_upper - model.col_lower
        self._range = np.where(np.isfinite(span) & (span > 0), span, 1.0)
        self._base = np.where(np.isfinite(model.col_lower), model.col_lower, 0.0)
        self._x_lp, self._reduced, self._duals = (
            root.x,
            root.reduced_costs,
            root.row_duals,
        )
        self._switches = SwitchRows(model, self._rows, self._rhs)
        self._variables = self._static_variables()
        self._row_nodes = self._static_rows()

    def at(self, incumbents: list[Floats]) -> BipartiteGraph:
        """Return the graph with the features of up to three incumbents, newest first."""
        if not incumbents:
            raise ValueError("features: expected at least one incumbent, got none")
        variables, rows = self._variables.copy(), self._row_nodes.copy()
        for (present, value), x in zip(
            _WINDOW_COLUMNS, incumbents[:WINDOW], strict=False
        ):
            variables[:, present] = 1.0
            variables[:, value] = self._scaled(x)
        newest = incumbents[0]
        variables[:, VariableFeature.INCUMBENT_DIFFERENCE] = np.minimum(
            1.0, np.abs(newest - self._x_lp) / self._range
        )
        variables[:, VariableFeature.UTILISATION] = self._switches.utilisation(newest)
        variables[:, VariableFeature.LINKED_COST] = _signed_log(
            self._switches.cost(newest) - self._switches.cost(self._x_lp), self._cost_unit
        )
        values = [self._scaled(x) for x in incumbents[:WINDOW]]
        for one, other in pairwise(values):
            variables[:, VariableFeature.MOVED] += np.abs(one - other)
        slack = (self._rhs - self._rows @ newest) / self._row_norm
        tight = slack <= 1e-6
        rows[:, RowFeature.INCUMBENT_TIGHT] = tight
        rows[:, RowFeature.INCUMBENT_SLACK] = np.clip(slack, -_CLIP, _CLIP)
        variables[:, VariableFeature.INCUMBENT_TIGHT_SHARE] = (
            self._pattern.T @ tight.astype(np.float32)
        ) / self._degree
        return BipartiteGraph(
            variables=variables, rows=rows, edges=self.edges, matrix=self._pattern
        )

    def summary(self) -> Floats:
        """Return the mean of each feature that does not depend on incumbents, variables first."""
        variables = list(_DESCRIBES)
        rows = [
            i for i, f in enumerate(RowFeature) if not f.name.startswith(_OF_INCUMBENTS)
        ]
        means = (
            self._variables[:, variables].mean(axis=0),
            self._row_nodes[:, rows].mean(axis=0),
        )
        return np.concatenate(means).astype(np.float64)

    @cached_property
    def _row_norm(self) -> Floats:
        squares = np.asarray(self._rows.multiply(self._rows).sum(axis=1)).ravel()
        norm: Floats = np.maximum(1e-9, np.sqrt(squares.astype(np.float64)))
        return norm

    @cached_property
    def _pattern(self) -> sparse.csr_matrix:
        return sparse.csr_matrix(
            (np.ones_like(self._rows.data), self._rows.indices, self._rows.indptr),
            shape=self._rows.shape,
        )

    @cached_property
    def _degree(self) -> Floats:
        degree: Floats = np.maximum(
            1.0,
            np.bincount(self._rows.indices, minlength=self._model.n).astype(np.float64),
        )
        return degree

    @cached_property
    def edges(self) -> np.ndarray:
        """(nnz, 2) coefficient over the largest of its row, and coefficient over |b|."""
        entry_row = np.repeat(np.arange(self._rows.shape[0]), np.diff(self._rows.indptr))
        largest = np.zeros(self._rows.shape[0])
        np.maximum.at(largest, entry_row, np.abs(self._rows.data))
        over_largest = self._rows.data / np.maximum(1e-9, largest)[entry_row]
        over_rhs = self._rows.data / np.maximum(1e-6, np.abs(self._rhs))[entry_row]
        return np.stack([over_largest, np.clip(over_rhs, -_CLIP, _CLIP)], axis=1).astype(
            np.float32
        )

    def _scaled(self, x: Floats) -> Floats:
        return np.clip((x - self._base) / self._range, -_CLIP, _CLIP)

    def _static_variables(self) -> np.ndarray:
        model, F = self._model, VariableFeature
        out = np.zeros((model.n, len(F)), dtype=np.float32)
        largest_c = max(1e-9, float(np.abs(model.c).max(initial=0.0)))
        c = model.c / largest_c
        span = model.col_upper - model.col_lower
        binary = model.integrality & (span <= 1)
        (
            out[:, F.OBJECTIVE],
            out[:, F.OBJECTIVE_POSITIVE],
            out[:, F.OBJECTIVE_NEGATIVE],
        ) = (
            c,
            np.maximum(c, 0),
            np.minimum(c, 0),
        )
        out[:, F.OBJECTIVE_RANK] = _rank(np.abs(c))
        out[:, F.BINARY], out[:, F.GENERAL_INTEGER] = binary, model.integrality & ~binary
        out[:, F.CONTINUOUS] = ~model.integrality
        out[:, F.HAS_LOWER], out[:, F.HAS_UPPER] = (
            np.isfinite(model.col_lower),
            np.isfinite(model.col_upper),
        )
        out[:, F.DEGREE] = self._degree / self._degree.mean()
        row_degree = np.diff(self._rows.indptr).astype(np.float64)
        row_degree = row_degree / max(1e-9, row_degree.mean() if len(row_degree) else 1.0)
        entry_row = np.repeat(np.arange(self._rows.shape[0]), np.diff(self._rows.indptr))
        mean, std, low, high = self._by_column(row_degree[entry_row])
        out[:, F.ROW_DEGREE_MEAN], out[:, F.ROW_DEGREE_STD] = mean, std
        out[:, F.ROW_DEGREE_MIN], out[:, F.ROW_DEGREE_MAX] = low, high
        relative = self.edges[:, 0].astype(np.float64)
        mean, std, low, high = self._by_column(relative)
        out[:, F.COEFFICIENT_MEAN], out[:, F.COEFFICIENT_STD] = mean, std
        out[:, F.COEFFICIENT_MIN], out[:, F.COEFFICIENT_MAX] = low, high
        out[:, F.POSITIVE_SHARE] = self._by_column((relative > 0).astype(float))[0]
        _, _, out[:, F.OVER_RHS_MIN], out[:, F.OVER_RHS_MAX] = self._by_column(
            self.edges[:, 1].astype(np.float64)
        )
        x = self._x_lp
        out[:, F.LP_VALUE] = self._scaled(x)
        out[:, F.LP_FRACTIONALITY] = np.where(
            model.integrality, np.abs(x - np.rint(x)), 0.0
        )
        out[:, F.LP_AT_LOWER], out[:, F.LP_AT_UPPER] = (
            x <= model.col_lower + 1e-9,
            x >= model.col_upper - 1e-9,
        )
        out[:, F.REDUCED_COST] = np.clip(self._reduced / largest_c, -_CLIP, _CLIP)
        out[:, F.REDUCED_COST_RANK] = _rank(np.abs(self._reduced))
        out[:, F.TIGHT_SHARE] = (
            self._pattern.T @ self._lp_tight.astype(np.float32)
        ) / self._degree
        mean, _, _, high = self._by_column(self._dual[entry_row])
        out[:, F.DUAL_MEAN], out[:, F.DUAL_MAX] = mean, high
        # A penalty column of 1,000 a unit would leave nothing of costs over the largest |c|.
        size = np.abs(model.c)
        out[:, F.LOG_COST] = np.where(
            size > 0,
            np.clip(np.log(np.maximum(size, 1e-12) / self._cost_unit), -_CLIP, _CLIP),
            0.0,
        )
        out[:, F.LOG_REDUCED_COST] = np.log1p(
            np.abs(self._reduced) / _median_of_nonzero(np.abs(self._reduced))
        )
        out[:, F.UTILISATION_LP] = self._switches.utilisation(self._x_lp)
        return out

    @cached_property
    def _cost_unit(self) -> float:
        return _median_of_nonzero(np.abs(self._model.c[self._model.integrality]))

    @cached_property
    def _lp_tight(self) -> np.ndarray:
        tight: np.ndarray = (self._rhs - self._rows @ self._x_lp) / self._row_norm <= 1e-6
        return tight

    @cached_property
    def _dual(self) -> Floats:
        """(sides,) |dual| over the mean of nonzero ones; a row's dual belongs to its tight side."""
        dual = np.where(self._lp_tight, np.abs(self._duals[self._row_of_side]), 0.0)
        used = dual[dual > 1e-9]
        return np.minimum(_CLIP, dual / (float(used.mean()) if len(used) else 1.0))

    def _static_rows(self) -> np.ndarray:
        model = self._model
        out = np.zeros((len(self._rhs), len(RowFeature)), dtype=np.float32)
        if not len(self._rhs):
            return out
        degree = np.diff(self._rows.indptr).astype(np.float64)
        out[:, RowFeature.RHS_OVER_NORM] = np.clip(
            self._rhs / self._row_norm, -_CLIP, _CLIP
        )
        out[:, RowFeature.RHS_SIGN] = np.sign(self._rhs)
        out[:, RowFeature.LOWER_SIDE] = self._is_lower
        out[:, RowFeature.EQUALITY] = (model.row_lower == model.row_upper)[
            self._row_of_side
        ]
        out[:, RowFeature.DEGREE] = degree / max(1e-9, degree.mean())
        norm_c = max(1e-9, float(np.linalg.norm(model.c)))
        out[:, RowFeature.COSINE] = (
            (self._rows @ model.c)
            / (self._row_norm * norm_c)
            * np.sqrt(model.n / np.maximum(1, degree))
        )
        out[:, RowFeature.TIGHT] = self._lp_tight
        out[:, RowFeature.DUAL] = self._dual
        return out

    def _by_column(self, values: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return mean, standard deviation, least and largest entry of each column, (n,) each.

        All are 0 for an empty column.
        """
        n, columns = self._model.n, self._rows.indices
        mean = np.bincount(columns, weights=values, minlength=n) / self._degree
        square = np.bincount(columns, weights=values**2, minlength=n) / self._degree
        low, high = np.full(n, np.inf), np.full(n, -np.inf)
        np.minimum.at(low, columns, values)
        np.maximum.at(high, columns, values)
        empty = ~np.isfinite(low)
        low[empty] = high[empty] = 0.0
        return mean, np.sqrt(np.maximum(0.0, square - mean**2)), low, high


class SwitchRows:
    """Rows Σ a x ≤ M y: an integer variable y that switches others, and how much they use of M.

    Set-ups, open sites and arcs, and units that are on.
    """

    def __init__(self, model: MilpModel, rows: sparse.csr_matrix, rhs: Floats) -> None:
        entry_row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        negative = rows.data < 0
        lengths = np.diff(rows.indptr)
        counted = np.bincount(entry_row, weights=negative, minlength=len(lengths))
        switching = (counted == 1) & (lengths > 1) & (rhs == 0)
        switch = negative & switching[entry_row] & model.integrality[rows.indices]
        entries = np.flatnonzero(switch)
        self._of_row = entry_row[entries]
        self._column = rows.indices[entries]
        self._capacity = -rows.data[entries].astype(np.float64)
        used = rows[self._of_row].astype(np.float64)
        used.data = np.maximum(used.data, 0.0)
        self._used = used
        self._count = np.maximum(1.0, np.bincount(self._column, minlength=model.n))
        # Each switched column once for its switch, however many rows link them.
        linked = sparse.csr_matrix(
            (np.ones(len(entries)), (self._column, np.arange(len(entries)))),
            shape=(model.n, len(entries)),
        ) @ (used > 0)
        linked.data[:] = 1.0
        self._linked, self._c = linked, model.c

    def utilisation(self, x: Floats) -> Floats:
        """Return (n,) the mean share of M that is used, in [0, 1]; 0 for other variables."""
        share = np.clip((self._used @ x) / self._capacity, 0.0, 1.0)
        total = np.bincount(self._column, weights=share, minlength=len(self._c))
        return total / self._count

    def cost(self, x: Floats) -> Floats:
        """Return (n,) what the switched variables cost at x; 0 for other variables."""
        cost: Floats = self._linked @ (self._c * x)
        return cost


def _median_of_nonzero(values: Floats) -> float:
    used = values[values > 1e-9]
    return float(np.median(used)) if len(used) else 1.0


def _signed_log(values: Floats, unit: float) -> Floats:
    logs: Floats = np.sign(values) * np.log1p(np.abs(values) / unit)
    return np.clip(logs, -_CLIP, _CLIP)


def _rank(values: Floats) -> Floats:
    """Return (n,) the share of values below each; ties share a rank."""
    if not len(values):
        return np.zeros(0)
    distinct, inverse = np.unique(values, return_inverse=True)
    below = np.concatenate([[0], np.cumsum(np.bincount(inverse))[:-1]])
    ranked: Floats = below[inverse] / max(1, len(values))
    return ranked if len(distinct) else np.zeros(len(values))
