"""Warm start of the user: used as it is, completed, repaired, or dropped with the reason."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search import isolation
from search.lns.fix_and_propagate import Propagator
from search.lns.sub_mip import Slicer
from solvers.errors import SolversError
from solvers.feasibility import is_feasible, violation
from solvers.highs import HighsSolver
from solvers.types import Bools, Floats, MilpModel, SolveParams

_SHARE, _MOST_S = 0.2, 10.0  # of a repair, of the seconds that are left
# Missing or wrong variables up to which a solver is tried before a dive: a solver completes
# better, a dive takes milliseconds where a solver takes seconds.
_FEW = 200
_WHOLE = 1e-6
_OUTSIDE = 1e-9
_SLACK_S = 1.0  # of the repair process beyond its limit
_REPAIR_GAP = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class WarmStart:
    """Feasible point, or None, with a report for the summary."""

    x: Floats | None  # (n,) feasible
    summary: dict[str, Any]


def prepare(
    model: MilpModel, values: Floats, workdir: Path, *, left_s: float
) -> WarmStart:
    """Make a feasible point of `values` (n,), NaN where missing; repair in a forked process."""
    present = ~np.isnan(values)
    missing = len(values) - int(present.sum())
    filled = np.where(present, values, 0.0)
    whole = np.where(model.integrality, np.rint(filled), filled)
    x = np.clip(whole, model.col_lower, model.col_upper)
    fault = _out_of_bounds(model, whole, present) or _fault(model, x, filled, present)
    if fault is None:
        if not missing:
            return _used(model, x, "used as it is")
        return _used(model, x, "completed", f"{missing} missing values are 0 or a bound")
    path = workdir / "warm-start.npy"
    seconds = min(_MOST_S, max(0.05, _SHARE * left_s))
    try:
        outcome = isolation.call(
            "repairing the warm start",
            lambda: _repair(model, values, x, path, seconds),
            timeout_s=seconds + _SLACK_S,
        )["outcome"]
    except (isolation.NativeCrash, isolation.NativeError, isolation.NativeTimeout):
        outcome = None
    if outcome is None:
        detail = f"{fault}, and no repair was found in time"
        return WarmStart(x=None, summary={"outcome": "dropped", "detail": detail})
    how = "the other variables were solved for; " if outcome == "completed" else ""
    return _used(model, np.load(path, allow_pickle=False), outcome, f"{how}{fault}")


def summary_after(start: WarmStart, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the warm start's summary after a search, which may have repaired a dropped one."""
    repaired = summary.get("lns_started_by") in ("warm-start", "warm-start-repaired")
    if start.x is not None or not repaired:
        return start.summary
    objective = summary.get("lns_started_from")
    return {**start.summary, "outcome": "repaired", "objective": objective}


def _used(model: MilpModel, x: Floats, outcome: str, detail: str = "") -> WarmStart:
    objective = model.in_user_sense(model.objective(x)) + 0.0
    return WarmStart(
        x=x, summary={"outcome": outcome, "objective": objective, "detail": detail}
    )


def _out_of_bounds(model: MilpModel, whole: Floats, present: Bools) -> str | None:
    """Return a sentence about values outside their bounds; None if there are none."""
    low, high = model.col_lower - _OUTSIDE, model.col_upper + _OUTSIDE
    outside = np.flatnonzero(present & ((whole < low) | (whole > high)))
    if not len(outside):
        return None
    j = int(outside[0])
    sides = f"[{model.col_lower[j]:g}, {model.col_upper[j]:g}]"
    example = f"{model.column_name(j)!r} = {whole[j]:g} not in {sides}"
    if len(outside) == 1:
        return f"a value is out of bounds: {example}"
    return f"{len(outside)} values are out of bounds, e.g. {example}"


def _fault(model: MilpModel, x: Floats, filled: Floats, present: Bools) -> str | None:
    """Return why the values are no solution; None if they are one."""
    integers = model.integrality & present
    if bool((np.abs(filled - np.rint(filled))[integers] > _WHOLE).any()):
        return "an integer variable has a fractional value"
    if is_feasible(model, x):
        return None
    worst = violation(model, x).worst_row
    if worst is None:
        return "a set, an indicator row or a row with products is violated"
    activity = float(model.activity(x)[worst])
    sides = f"[{model.row_lower[worst]:.12g}, {model.row_upper[worst]:.12g}]"
    return (
        f"row {model.row_name(worst)!r} has the activity {activity:.12g}, not in {sides}"
    )


def _repair(
    model: MilpModel, values: Floats, x: Floats, path: Path, seconds: float
) -> isolation.Message:
    """Solve with the valid integers fixed, or dive towards the values; save the point."""
    if model.extras is not None:
        return {"outcome": None}
    until = time.monotonic() + seconds
    present = model.integrality & np.isfinite(values)
    whole = np.rint(np.where(present, values, 0.0))
    valid = present & (whole >= model.col_lower) & (whole <= model.col_upper)
    slicer = Slicer(model)

    def complete() -> Floats | None:
        return _solved(model, slicer, x, ~valid, 0.5 * seconds)

    def dive() -> Floats | None:
        integers = np.flatnonzero(model.integrality)
        if not len(integers):
            return None
        order = integers[np.lexsort((-np.abs(x[integers]), ~valid[integers]))]
        limit = time.process_time() + max(0.0, until - time.monotonic())
        propagator = Propagator(model, slicer.by_row, slicer.by_column)
        y = propagator.dive(x, order, limit)
        if y is None or is_feasible(model, y):
            return y
        left_s = max(0.05, until - time.monotonic())
        return _solved(model, slicer, y, ~model.integrality, left_s)

    few = np.count_nonzero(~valid) <= _FEW
    for repair in (complete, dive) if few else (dive, complete):
        y = repair()
        if y is not None:
            np.save(path, y)
            moved = bool((np.abs(y - values)[present] > _WHOLE).any())
            changed = moved or bool((present != valid).any())
            return {"outcome": "repaired" if changed else "completed"}
    return {"outcome": None}


def _solved(
    model: MilpModel, slicer: Slicer, x: Floats, free: np.ndarray, seconds: float
) -> Floats | None:
    """Return x with the free variables solved for; None if that is not possible."""
    sub = slicer.cut(x, free) if bool(free.any()) else None
    if sub is None:
        return None
    try:
        result = HighsSolver().solve(
            sub.model,
            SolveParams(time_limit_s=max(0.05, seconds), relative_gap=_REPAIR_GAP),
        )
    except SolversError:
        return None
    if result.x is None:
        return None
    y = sub.lift(np.where(model.integrality, np.rint(x), x), result.x)
    return y if is_feasible(model, y) else None
