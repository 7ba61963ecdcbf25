"""Verification of a solution against the original file, in rational arithmetic."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from solvers.exact import ExactCheck, ExactModel, SolutionError, check
from solvers.exact.check import TOLERANCE
from trimtab.results import Verification, VerificationStatus

METHOD = "rational arithmetic on the original file"


def verify(
    model: ExactModel,
    values: Mapping[str, float],
    *,
    claimed: float | None,
    tolerance: Fraction = TOLERANCE,
) -> Verification:
    """Check `values` (column name → value, absent ones 0) against the exactly read model."""
    try:
        result = check(model, values, tolerance=tolerance)
    except SolutionError as error:
        return Verification(
            status=VerificationStatus.INVALID,
            method=METHOD,
            claimed_objective=claimed,
            detail=str(error),
        )
    agrees = claimed is None or _close(result, claimed)
    return Verification(
        status=VerificationStatus.VALID
        if result.feasible and agrees
        else VerificationStatus.INVALID,
        method=METHOD,
        claimed_objective=claimed,
        objective=as_float(result.objective),
        objective_exact=_as_text(result.objective),
        max_violation=as_float(
            max(
                result.max_row_violation,
                result.max_bound_violation,
                result.max_set_violation,
            )
        ),
        checks={
            "exactly_feasible": result.exactly_feasible,
            "rows": model.m,
            "columns": model.n,
            "violated_rows": result.violated_rows,
            "max_row_violation": as_float(result.max_row_violation),
            "max_bound_violation": as_float(result.max_bound_violation),
            "max_rounding_distance": as_float(result.max_integrality),
            "worst_row": result.worst_row,
            "worst_column": result.worst_column,
            **({} if model.linear else _special(model, result)),
        },
        detail=_sentence(result, agrees, claimed),
    )


def _special(model: ExactModel, result: ExactCheck) -> dict[str, Any]:
    """Return the counts of checked parts beyond linear rows, bounds and integrality."""
    return {
        "quadratic_objective": bool(model.objective_products),
        "quadratic_rows": len(model.row_products),
        "indicator_rows": len(model.indicators),
        "sos_sets": len(model.sets),
        "semicontinuous_columns": len(model.semicontinuous),
        "max_set_violation": as_float(result.max_set_violation),
        "worst_set": result.worst_set,
    }


def _sentence(result: ExactCheck, agrees: bool, claimed: float | None) -> str:
    violation = f"{as_float(result.max_violation):.3g}"
    if not result.feasible:
        place = (
            result.worst_row or result.worst_column or result.worst_set or "integrality"
        )
        return f"infeasible: {place} is violated by {violation}"
    if not agrees:
        objective = f"{as_float(result.objective):.12g}"
        return f"the objective is {objective}, but {claimed:.12g} was claimed"
    if result.exactly_feasible:
        return "every row, bound and integrality holds exactly"
    return (
        f"holds within {_short(as_float(result.tolerance))} of each row's and bound's size; "
        f"the largest violation is {violation}"
    )


def _close(result: ExactCheck, claimed: float) -> bool:
    """Return True within 1e-6 of the objective, or within what doubles lose by cancellation."""
    if not math.isfinite(claimed):
        return False
    allowed = max(abs(result.objective) / 10**6, result.objective_size / 10**9)
    return abs(result.objective - Fraction(claimed)) <= allowed


def as_float(value: Fraction) -> float:
    """Return the nearest double; the largest one beyond the range of doubles."""
    try:
        return float(value)
    except OverflowError:
        return sys.float_info.max if value > 0 else -sys.float_info.max


def _as_text(value: Fraction, *, most: int = 400) -> str | None:
    """Return the fraction as text; None if it is too long to be of use beside the float."""
    text = str(value)
    return text if len(text) <= most else None


def _short(number: float) -> str:
    """Write a tolerance as people do: 1e-6."""
    return f"{number:.3g}".replace("e-0", "e-")
