"""Fast feasibility test in doubles, for the search. Results are verified by `solvers.exact`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.types import (
    FEASIBILITY_TOLERANCE,
    INTEGRALITY_TOLERANCE,
    Floats,
    MilpModel,
)


@dataclass(frozen=True, kw_only=True)
class Violation:
    """Violations of a point. Those of rows and bounds are relative to max(1, |side|).

    A violated whole row counts at least 2e-6, which exceeds the tolerance, at any size of its side.
    """

    rows: float
    bounds: float
    integrality: float  # largest distance of an integer variable to the nearest integer
    worst_row: int | None  # index of the most violated row; None when no row is violated
    finite: bool = True
    extras: float = 0.0  # largest relative violation of the parts that are not linear
    tolerance: float = FEASIBILITY_TOLERANCE  # of rows, bounds and extras

    @property
    def feasible(self) -> bool:
        """True within the tolerances of the model: 1e-6 each, unless its owner chose another."""
        return (
            self.finite
            and self.rows <= self.tolerance
            and self.bounds <= self.tolerance
            and self.integrality <= INTEGRALITY_TOLERANCE
            and self.extras <= self.tolerance
        )


def violation(model: MilpModel, x: Floats) -> Violation:
    """Measure a point of shape (n,)."""
    if x.shape != (model.n,):
        raise ValueError(f"x: expected shape ({model.n},), got {x.shape}")
    if not np.isfinite(x).all():
        return Violation(
            rows=np.inf, bounds=np.inf, integrality=np.inf, worst_row=None, finite=False
        )
    rows = row_violations(model, x)
    worst = int(rows.argmax()) if model.m else None
    bounds = _outside(x, model.col_lower, model.col_upper)
    fractions = np.abs(x - np.rint(x))[model.integrality]
    return Violation(
        rows=float(rows[worst]) if worst is not None else 0.0,
        bounds=float(bounds.max(initial=0.0)),
        integrality=float(fractions.max(initial=0.0)),
        worst_row=worst if worst is not None and rows[worst] > 0 else None,
        extras=model.extras.violation(x) if model.extras is not None else 0.0,
        tolerance=model.feasibility_tolerance,
    )


def row_violations(model: MilpModel, x: Floats) -> Floats:
    """Return (m,) relative violations of the rows; see `Violation` for whole rows."""
    activity = model.activity(np.where(model.integrality, np.rint(x), x))
    outside = _outside(activity, model.row_lower, model.row_upper)
    whole = np.flatnonzero(model.whole_rows)
    if len(whole):
        unit, part = model.whole_rows[whole], activity[whole]
        beyond = (
            np.maximum(model.row_lower[whole] - part, part - model.row_upper[whole])
            / unit
        )
        # Sums beyond 2^53 units are rounded; the exact check decides those.
        noise = 1e-15 * np.abs(part) / unit
        broken = max(FEASIBILITY_TOLERANCE, model.feasibility_tolerance)
        outside[whole] = np.where(
            beyond > 0.5 + noise,
            np.maximum(outside[whole], 2 * broken),
            0.0,
        )
    return outside


def is_feasible(model: MilpModel, x: Floats) -> bool:
    """Return True when the point is feasible within tolerance."""
    return violation(model, x).feasible


def activity_range_of(
    data: Floats,
    indices: np.ndarray,
    row_of_entry: np.ndarray,
    rows: int,
    lower: Floats,
    upper: Floats,
) -> tuple[Floats, Floats]:
    """Return activity ranges of a matrix as entries: coefficient, column and row of each."""
    with np.errstate(invalid="ignore"):  # a stored zero times an absent bound
        at_lower = np.nan_to_num(
            data * lower[indices], nan=0.0, posinf=np.inf, neginf=-np.inf
        )
        at_upper = np.nan_to_num(
            data * upper[indices], nan=0.0, posinf=np.inf, neginf=-np.inf
        )
    low = np.bincount(
        row_of_entry, weights=np.minimum(at_lower, at_upper), minlength=rows
    )
    high = np.bincount(
        row_of_entry, weights=np.maximum(at_lower, at_upper), minlength=rows
    )
    return low.astype(np.float64, copy=False), high.astype(np.float64, copy=False)


def _outside(values: Floats, lower: Floats, upper: Floats) -> Floats:
    def beyond(side: Floats, by: Floats) -> Floats:
        # For an absent side `by` is -inf, which the scale must not turn into NaN.
        scale = np.where(np.isfinite(side), np.maximum(1.0, np.abs(side)), 1.0)
        return by / scale

    return np.maximum(
        0.0, np.maximum(beyond(lower, lower - values), beyond(upper, values - upper))
    )
