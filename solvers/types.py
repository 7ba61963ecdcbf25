"""Types common to all solvers: model, parameters, result, and the `Solver` protocol.

A `MilpModel` always minimises. A model that maximises has `maximize=True` and negated costs and
offset; every objective, bound, cutoff and callback below is in the minimising sense, offset
included. Only `model.in_user_sense(value)` converts back, for output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from solvers.extras import Extras
from solvers.whole_rows import whole_units
from trimtab.results import Reason, Termination

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]

INTEGRALITY_TOLERANCE = 1e-6
FEASIBILITY_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class MilpModel:
    """A mixed-integer linear program, with extras for parts that are not linear.

        min  c·x + offset s.t. row_lower ≤ A x ≤ row_upper,  col_lower ≤ x ≤ col_upper,  x_j integer
        where `integrality`

    Shapes: n variables, m rows, A as CSR. Absent sides are ±inf. Arrays are made read-only.
    """

    c: Floats  # (n,)
    col_lower: Floats  # (n,)
    col_upper: Floats  # (n,)
    integrality: Bools  # (n,) True where x_j must be integer
    indptr: Ints  # (m + 1,)
    indices: Ints  # (nnz,) columns
    data: Floats  # (nnz,)
    row_lower: Floats  # (m,)
    row_upper: Floats  # (m,)
    offset: float = 0.0
    maximize: bool = False  # the author maximises; c and offset here are already negated
    col_names: tuple[str, ...] | None = None
    row_names: tuple[str, ...] | None = None
    name: str = ""
    extras: Extras | None = None  # parts that are not linear; ask `Solver.why_not`
    # Powers of two (solvers.scaling): c and offset are the author's, minimised, times
    # `cost_factor`; rows are the author's times `row_factors`, (m,) or None for 1.
    cost_factor: float = 1.0
    row_factors: Floats | None = None
    # Violation of a row or bound that is allowed, relative to max(1, |side|).
    feasibility_tolerance: float = FEASIBILITY_TOLERANCE

    def __post_init__(self) -> None:
        n, m = len(self.c), len(self.row_lower)
        for field_name, dtype, size in (
            ("c", np.float64, n),
            ("col_lower", np.float64, n),
            ("col_upper", np.float64, n),
            ("integrality", np.bool_, n),
            ("indptr", np.int32, m + 1),
            ("indices", np.int32, len(self.data)),
            ("data", np.float64, len(self.data)),
            ("row_lower", np.float64, m),
            ("row_upper", np.float64, m),
        ):
            # A view: the caller's own array stays writable.
            array = np.ascontiguousarray(getattr(self, field_name), dtype=dtype).view()
            if array.shape != (size,):
                raise ValueError(
                    f"{field_name}: expected shape ({size},), got {array.shape}"
                )
            array.flags.writeable = False
            object.__setattr__(self, field_name, array)
        if not (self.cost_factor > 0 and math.frexp(self.cost_factor)[0] == 0.5):
            raise ValueError(
                f"cost_factor: expected a power of two, got {self.cost_factor!r}"
            )
        if (
            self.indptr[0] != 0
            or self.indptr[-1] != len(self.data)
            or np.any(np.diff(self.indptr) < 0)
        ):
            raise ValueError("indptr: expected 0 = indptr[0] ≤ … ≤ indptr[m] = nnz")
        if len(self.indices) and not (self.indices.min() >= 0 and self.indices.max() < n):
            raise ValueError(f"indices: expected columns in [0, {n})")
        if not (
            np.isfinite(self.c).all()
            and np.isfinite(self.data).all()
            and math.isfinite(self.offset)
        ):
            raise ValueError("costs, coefficients and offset: expected finite numbers")
        for sides in (self.col_lower, self.col_upper, self.row_lower, self.row_upper):
            if np.isnan(sides).any():
                raise ValueError(
                    "bounds and row sides: expected numbers or ±inf, got NaN"
                )
        for names, size in ((self.col_names, n), (self.row_names, m)):
            if names is not None and len(names) != size:
                raise ValueError(
                    f"names: expected {size}, one per row or column, got {len(names)}"
                )

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.c)

    @property
    def m(self) -> int:
        """Number of rows."""
        return len(self.row_lower)

    @property
    def nnz(self) -> int:
        """Number of stored coefficients."""
        return len(self.data)

    @cached_property
    def row_of_entry(self) -> Ints:
        """(nnz,) the row of each stored coefficient."""
        return np.repeat(np.arange(self.m, dtype=np.int32), np.diff(self.indptr))

    @cached_property
    def whole_rows(self) -> Floats:
        """(m,) the unit of each whole row, 0.0 for the other rows (solvers.whole_rows)."""
        integer_entry = self.integrality[self.indices]
        if self.row_factors is None:
            return whole_units(
                self.data,
                integer_entry,
                self.row_of_entry,
                self.row_lower,
                self.row_upper,
            )
        data, lower, upper = self.author_rows()
        return (
            whole_units(data, integer_entry, self.row_of_entry, lower, upper)
            * self.row_factors
        )

    def author_rows(self) -> tuple[Floats, Floats, Floats]:
        """Return coefficients (nnz,) and sides (m,), (m,) before rows were scaled.

        They are exact: the factors are powers of two.
        """
        if self.row_factors is None:
            return self.data, self.row_lower, self.row_upper
        factors = self.row_factors
        return (
            self.data / factors[self.row_of_entry],
            self.row_lower / factors,
            self.row_upper / factors,
        )

    @cached_property
    def matrix(self) -> Any:
        """A as a scipy CSR matrix over the same memory."""
        # scipy takes 0.1 s to import, and some users of models do not need it.
        from scipy.sparse import csr_matrix

        return csr_matrix(
            (self.data, self.indices, self.indptr), shape=(self.m, self.n), copy=False
        )

    @property
    def beyond_linear(self) -> tuple[str, ...]:
        """Descriptions of the parts that only some solvers take; empty for a linear model."""
        return self.extras.words if self.extras is not None else ()

    def objective(self, x: Floats) -> float:
        """Return c·x + offset and the quadratic part, in the minimising sense."""
        quadratic = self.extras.objective if self.extras is not None else None
        return (
            float(self.c @ x)
            + self.offset
            + (quadratic.of(x) if quadratic is not None else 0.0)
        )

    def activity(self, x: Floats) -> Floats:
        """Return (m,) A x."""
        return np.bincount(
            self.row_of_entry, weights=self.data * x[self.indices], minlength=self.m
        ).astype(np.float64, copy=False)

    def in_user_sense(self, value: float) -> float:
        """Convert an objective or bound to the author's sense."""
        return (-value if self.maximize else value) / self.cost_factor

    def from_user_sense(self, value: float) -> float:
        """Convert an objective or bound of the author's to the minimising sense."""
        return (-value if self.maximize else value) * self.cost_factor

    def column_name(self, column: int) -> str:
        """Return the author's name, or C1, C2, … as solvers write them."""
        return self.col_names[column] if self.col_names is not None else f"C{column + 1}"

    def row_name(self, row: int) -> str:
        """Return the author's name, or R1, R2, …"""
        return self.row_names[row] if self.row_names is not None else f"R{row + 1}"


@dataclass(frozen=True, kw_only=True)
class SolveParams:
    """Limits and settings of a solve, checked on construction."""

    time_limit_s: float = math.inf
    threads: int = 1
    seed: int = 0
    relative_gap: float = 1e-4  # ends when |primal - dual| ≤ relative_gap · |primal|
    absolute_gap: float = 1e-6
    cutoff: float | None = None  # search only for solutions with objective < cutoff
    # End at the first solution with objective ≤ this.
    objective_limit: float | None = None
    node_limit: int | None = None
    # More time for primal heuristics, if the solver has a setting for it.
    aggressive: bool = False
    # If the solver has one; the child's rlimit always holds.
    memory_limit_mb: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        cutoff, limit = self.cutoff, self.objective_limit
        for valid, name, expected in (
            (self.time_limit_s > 0, "time_limit_s", "seconds > 0"),
            (self.threads >= 1, "threads", "a count ≥ 1"),
            (0 <= self.seed < 2**31, "seed", "an integer in [0, 2^31)"),
            (0 <= self.relative_gap < math.inf, "relative_gap", "a number ≥ 0"),
            (0 <= self.absolute_gap < math.inf, "absolute_gap", "a number ≥ 0"),
            (cutoff is None or math.isfinite(cutoff), "cutoff", "a finite number"),
            (limit is None or math.isfinite(limit), "objective_limit", "a finite number"),
            (
                self.node_limit is None or self.node_limit >= 0,
                "node_limit",
                "a count ≥ 0",
            ),
            (
                self.memory_limit_mb is None or self.memory_limit_mb > 0,
                "memory_limit_mb",
                "a size > 0",
            ),
        ):
            if not valid:
                raise ValueError(
                    f"{name}: expected {expected}, got {getattr(self, name)!r}"
                )


@dataclass(frozen=True, kw_only=True)
class SolveResult:
    """Result of a solve: reason and limit of its end, bounds and solution.

    With a `cutoff`, INFEASIBLE means that no solution below the cutoff exists; `dual_bound` is at
    least the cutoff then (or +inf), and `x` is None.
    """

    termination: Termination
    # Objective of x, recomputed from the model; None without a solution.
    primal: float | None
    dual_bound: float | None  # no solution is better; None without a proof
    x: Floats | None  # (n,) integers rounded; feasible by the solver's claim only
    solver: str
    elapsed_s: float
    nodes: int = 0
    solutions: int = 0  # improving solutions reported
    details: dict[str, float] = field(default_factory=dict)

    @property
    def proved(self) -> bool:
        """True for a complete answer: optimal, infeasible or unbounded."""
        return self.termination.reason in (
            Reason.OPTIMAL,
            Reason.INFEASIBLE,
            Reason.UNBOUNDED,
            Reason.INFEASIBLE_OR_UNBOUNDED,
        )


OnIncumbent = Callable[[float, Floats], None]
"""Called with (objective, x) at each improvement, in the solver's thread: must return fast."""

OnBound = Callable[[float], None]
"""Called with each better dual bound."""

Stop = Callable[[], bool]
"""Called often, in the solver's or a watcher's thread; True ends the solve with the best so far."""

Injected = Callable[[], Floats | None]
"""Called now and then for a better solution from elsewhere; None when there is no new one."""


class Solver(Protocol):
    """A program that solves a `MilpModel`. Instances can be reused, by one thread at a time."""

    @property
    def name(self) -> str:
        """Its name in the table, e.g. `highs`."""
        ...

    def why_not(self, model: MilpModel) -> str | None:
        """Return None when the solver takes the model, and the reason otherwise."""
        ...

    def solve(
        self,
        model: MilpModel,
        params: SolveParams,
        *,
        hint: Floats | None = None,
        on_incumbent: OnIncumbent | None = None,
        on_bound: OnBound | None = None,
        stop: Stop | None = None,
        injected: Injected | None = None,
    ) -> SolveResult:
        """Solve a model. Raises Unsupported or SolverFailed.

        hint: a full or partial solution (NaN for unknown values).
        injected: solutions from elsewhere; solvers that cannot take any while they run never call
        it.
        """
        ...


def why_not_linear(model: MilpModel) -> str | None:
    """Return the reason why solvers for linear models do not take this one; None if they do."""
    return (
        f"it takes linear models only, and this one has {', '.join(model.beyond_linear)}"
        if model.extras
        else None
    )
