"""One vocabulary over programs that are not ours: a model, parameters, a result, and the `Solver` that joins them.

Signs are settled once, here: a `MilpModel` always minimises. A model that maximises keeps `maximize=True` and has its
costs and offset negated; every objective, bound, cutoff and callback below is in that minimising sense, offset
included. `model.in_user_sense(value)` is the only way back, and only the edge that talks to people needs it.
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
    """min c·x + offset  subject to  row_lower ≤ A x ≤ row_upper,  col_lower ≤ x ≤ col_upper,  x_j integer where said.

    Shapes: n variables, m rows, A as CSR. Absent sides are ±inf. Arrays are made read-only: slices are copied, never
    written through.
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
    maximize: bool = False  # the author maximised; c and offset here are already negated
    col_names: tuple[str, ...] | None = None
    row_names: tuple[str, ...] | None = None
    name: str = ""
    extras: Extras | None = (
        None  # what is not linear; only solvers whose `why_not` says so take such a model
    )
    cost_factor: float = 1.0  # power of two: c and offset are the author's (minimised) times this (solvers.scaling)
    row_factors: Floats | None = (
        None  # (m,) powers of two: rows are the author's times these; None: all 1
    )

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
            # A view, so that the caller's own array stays writable to its caller.
            array = np.ascontiguousarray(getattr(self, field_name), dtype=dtype).view()
            if array.shape != (size,):
                raise ValueError(f"{field_name} wants shape ({size},); {array.shape} came")
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
            raise ValueError("indptr wants 0 = indptr[0] ≤ … ≤ indptr[m] = nnz")
        if len(self.indices) and not (self.indices.min() >= 0 and self.indices.max() < n):
            raise ValueError(f"indices want columns in [0, {n})")
        if not (
            np.isfinite(self.c).all()
            and np.isfinite(self.data).all()
            and math.isfinite(self.offset)
        ):
            raise ValueError("costs, coefficients and offset want finite numbers")
        for sides in (self.col_lower, self.col_upper, self.row_lower, self.row_upper):
            if np.isnan(sides).any():
                raise ValueError("bounds and row sides want numbers or ±inf; NaN came")
        for names, size in ((self.col_names, n), (self.row_names, m)):
            if names is not None and len(names) != size:
                raise ValueError(
                    f"names want one a row or column: {size}; {len(names)} came"
                )

    @property
    def n(self) -> int:
        """Variables."""
        return len(self.c)

    @property
    def m(self) -> int:
        """Rows."""
        return len(self.row_lower)

    @property
    def nnz(self) -> int:
        """Stored coefficients."""
        return len(self.data)

    @cached_property
    def row_of_entry(self) -> Ints:
        """(nnz,) the row of each stored coefficient."""
        return np.repeat(np.arange(self.m, dtype=np.int32), np.diff(self.indptr))

    @cached_property
    def whole_rows(self) -> Floats:
        """(m,) the unit of each whole row, which holds exactly or not at all; 0.0 for the other rows (solvers.whole_rows)."""
        integer_entry = self.integrality[self.indices]
        if self.row_factors is None:
            return whole_units(
                self.data, integer_entry, self.row_of_entry, self.row_lower, self.row_upper
            )
        data, lower, upper = self.author_rows()
        return (
            whole_units(data, integer_entry, self.row_of_entry, lower, upper)
            * self.row_factors
        )

    def author_rows(self) -> tuple[Floats, Floats, Floats]:
        """Coefficients (nnz,) and sides (m,), (m,) before rows were scaled. Exact: the factors are powers of two."""
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
        from scipy.sparse import (
            csr_matrix,
        )  # scipy takes 0.1 s to import; not everyone who makes a model needs it

        return csr_matrix(
            (self.data, self.indices, self.indptr), shape=(self.m, self.n), copy=False
        )

    @property
    def beyond_linear(self) -> tuple[str, ...]:
        """For people: the parts that only some solvers take; empty for a linear model."""
        return self.extras.words if self.extras is not None else ()

    def objective(self, x: Floats) -> float:
        """c·x + offset (and the quadratic part), minimising sense."""
        quadratic = self.extras.objective if self.extras is not None else None
        return (
            float(self.c @ x)
            + self.offset
            + (quadratic.of(x) if quadratic is not None else 0.0)
        )

    def activity(self, x: Floats) -> Floats:
        """(m,) A x."""
        return np.bincount(
            self.row_of_entry, weights=self.data * x[self.indices], minlength=self.m
        ).astype(np.float64, copy=False)

    def in_user_sense(self, value: float) -> float:
        """An objective or bound as the model's author counts it."""
        return (-value if self.maximize else value) / self.cost_factor

    def from_user_sense(self, value: float) -> float:
        """The author's objective or bound as this model counts it."""
        return (-value if self.maximize else value) * self.cost_factor

    def column_name(self, column: int) -> str:
        """The author's name, or C1, C2, … as solvers write them."""
        return self.col_names[column] if self.col_names is not None else f"C{column + 1}"

    def row_name(self, row: int) -> str:
        """The author's name, or R1, R2, …"""
        return self.row_names[row] if self.row_names is not None else f"R{row + 1}"


@dataclass(frozen=True, kw_only=True)
class SolveParams:
    """What a solve may take. Rejects nonsense where it is made."""

    time_limit_s: float = math.inf
    threads: int = 1
    seed: int = 0
    relative_gap: float = 1e-4  # ends when |primal - dual| ≤ relative_gap · |primal|
    absolute_gap: float = 1e-6
    cutoff: float | None = (
        None  # look only for solutions with objective < cutoff, minimising sense, offset included
    )
    objective_limit: float | None = (
        None  # ends as soon as a solution with objective ≤ this is found
    )
    node_limit: int | None = None
    aggressive: bool = False  # put more of the time into primal heuristics, where the solver has such a setting
    memory_limit_mb: float | None = (
        None  # honoured where the solver can; the child's rlimit holds always
    )
    log: bool = False

    def __post_init__(self) -> None:
        def wants(ok: bool, name: str, wish: str) -> None:
            if not ok:
                raise ValueError(f"{name} wants {wish}; {getattr(self, name)!r} came")

        wants(self.time_limit_s > 0, "time_limit_s", "seconds > 0")
        wants(self.threads >= 1, "threads", "a count ≥ 1")
        wants(0 <= self.seed < 2**31, "seed", "an integer in [0, 2^31)")
        wants(0 <= self.relative_gap < math.inf, "relative_gap", "a number ≥ 0")
        wants(0 <= self.absolute_gap < math.inf, "absolute_gap", "a number ≥ 0")
        wants(
            self.cutoff is None or math.isfinite(self.cutoff), "cutoff", "a finite number"
        )
        wants(
            self.objective_limit is None or math.isfinite(self.objective_limit),
            "objective_limit",
            "a finite number",
        )
        wants(self.node_limit is None or self.node_limit >= 0, "node_limit", "a count ≥ 0")
        wants(
            self.memory_limit_mb is None or self.memory_limit_mb > 0,
            "memory_limit_mb",
            "a size > 0",
        )


@dataclass(frozen=True, kw_only=True)
class SolveResult:
    """How a solve ended, by which limit, with which bounds. Nothing defaults to success.

    With a `cutoff`, INFEASIBLE means: proved that nothing better than the cutoff exists; `dual_bound` then is at least
    the cutoff (or +inf), and `x` is None.
    """

    termination: Termination
    primal: (
        float | None
    )  # objective of x, recomputed from the model; None without a solution
    dual_bound: (
        float | None
    )  # no solution is better than this; None while nothing is proved
    x: Floats | None  # (n,) integers rounded; feasible by the solver's word only
    solver: str
    elapsed_s: float
    nodes: int = 0
    solutions: int = 0  # improving solutions reported
    details: dict[str, float] = field(default_factory=dict)

    @property
    def proved(self) -> bool:
        """True when the question is closed: optimal, infeasible or unbounded."""
        return self.termination.reason in (
            Reason.OPTIMAL,
            Reason.INFEASIBLE,
            Reason.UNBOUNDED,
            Reason.INFEASIBLE_OR_UNBOUNDED,
        )


OnIncumbent = Callable[[float, Floats], None]
"""Called with (objective, x) at each improving solution, in the solver's thread: return fast, do not raise."""

OnBound = Callable[[float], None]
"""Called with each better dual bound."""

Stop = Callable[[], bool]
"""Asked often; True ends the solve and keeps the best. Called from the solver's own thread or a watcher's."""

Injected = Callable[[], Floats | None]
"""Asked now and then for a better solution found elsewhere; None when there is no news."""


class Solver(Protocol):
    """A program that solves a `MilpModel`. One instance may be used again, not by two threads at once."""

    @property
    def name(self) -> str:
        """The word of the table, e.g. `highs`."""
        ...

    def why_not(self, model: MilpModel) -> str | None:
        """None when the solver can take the model, otherwise a sentence that says why it cannot."""
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
        """Solve. `hint` is a full or partial (NaN = unknown) solution. Raises Unsupported or SolverFailed.

        `injected` is an offer: a solver that cannot take solutions while it runs never asks for them.
        """
        ...


def why_not_linear(model: MilpModel) -> str | None:
    """For solvers that take linear models only: what else this one has."""
    return (
        f"it takes linear models only, and this one has {', '.join(model.beyond_linear)}"
        if model.extras
        else None
    )
