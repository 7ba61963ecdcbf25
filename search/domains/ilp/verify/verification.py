"""What the check says: the original file, read again by code that shares nothing with the search, in rational arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from solvers.exact import ExactCheck, ExactModel, SolutionError, check
from trimtab.results import Verification, VerificationStatus

METHOD = "rational arithmetic on the original file"


def verify(
    model: ExactModel, values: Mapping[str, float], *, claimed: float | None
) -> Verification:
    """Check `values` (column name → value, absent ones 0) against the model as the exact reader has it."""
    try:
        found = check(model, values)
    except SolutionError as error:
        return Verification(
            status=VerificationStatus.INVALID,
            method=METHOD,
            claimed_objective=claimed,
            detail=str(error),
        )
    agrees = claimed is None or _close(found, claimed)
    return Verification(
        status=VerificationStatus.VALID
        if found.feasible and agrees
        else VerificationStatus.INVALID,
        method=METHOD,
        claimed_objective=claimed,
        objective=as_float(found.objective),
        objective_exact=_as_text(found.objective),
        max_violation=as_float(
            max(found.max_row_violation, found.max_bound_violation, found.max_set_violation)
        ),
        checks={
            "exactly_feasible": found.exactly_feasible,
            "rows": model.m,
            "columns": model.n,
            "violated_rows": found.violated_rows,
            "max_row_violation": as_float(found.max_row_violation),
            "max_bound_violation": as_float(found.max_bound_violation),
            "max_rounding_distance": as_float(found.max_integrality),
            "worst_row": found.worst_row,
            "worst_column": found.worst_column,
            **({} if model.linear else _special(model, found)),
        },
        detail=_sentence(found, agrees, claimed),
    )


def _special(model: ExactModel, found: ExactCheck) -> dict[str, Any]:
    """What else was checked than linear rows, bounds and integrality."""
    return {
        "quadratic_objective": bool(model.objective_products),
        "quadratic_rows": len(model.row_products),
        "indicator_rows": len(model.indicators),
        "sos_sets": len(model.sets),
        "semicontinuous_columns": len(model.semicontinuous),
        "max_set_violation": as_float(found.max_set_violation),
        "worst_set": found.worst_set,
    }


def _sentence(found: ExactCheck, agrees: bool, claimed: float | None) -> str:
    if not found.feasible:
        where = found.worst_row or found.worst_column or found.worst_set or "integrality"
        return f"infeasible: {where} is violated by {as_float(found.max_violation):.3g}"
    if not agrees:
        return f"the objective is {as_float(found.objective):.12g}, but {claimed:.12g} was claimed"
    if found.exactly_feasible:
        return "every row, bound and integrality holds exactly"
    return f"holds within 1e-6 of each row's and bound's size; the largest violation is {as_float(found.max_violation):.3g}"


def _close(found: ExactCheck, claimed: float) -> bool:
    """Equal within 1e-6 of the objective, or within what doubles lose where large terms cancel."""
    if not math.isfinite(claimed):
        return False
    allowed = max(abs(found.objective) / 10**6, found.objective_size / 10**9)
    return abs(found.objective - Fraction(claimed)) <= allowed


def as_float(value: Fraction) -> float:
    """The nearest double; the largest one for what is beyond."""
    try:
        return float(value)
    except OverflowError:
        return 1.7976931348623157e308 if value > 0 else -1.7976931348623157e308


def _as_text(value: Fraction, *, most: int = 400) -> str | None:
    text = str(value)
    return (
        text if len(text) <= most else None
    )  # thousands of digits help nobody; the float stands beside it
