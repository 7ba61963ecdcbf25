"""The owner's warm start: used as it is, completed, repaired, or dropped with the reason."""

from __future__ import annotations

import time
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
from solvers.types import Floats, MilpModel, SolveParams

_SHARE, _MOST_S = 0.2, 10.0  # of the seconds that are left
_FEW = 200  # variables
_WHOLE = 1e-6
_SLACK_S = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class WarmStart:
    """A feasible point, or None, and what became of the owner's values, for the summary."""

    x: Floats | None  # (n,) feasible
    summary: dict[str, Any]


def prepare(model: MilpModel, values: Floats, workdir: Path, *, left_s: float) -> WarmStart:
    """Make a feasible point of `values` (n,) with NaN where the owner says nothing. Repair runs in a forked process."""
    missing = int(np.isnan(values).sum())
    filled = np.where(np.isnan(values), 0.0, values)
    whole = np.where(model.integrality, np.rint(filled), filled)
    outside = np.flatnonzero(
        (whole < model.col_lower - 1e-9) | (whole > model.col_upper + 1e-9)
    )
    given = ~np.isnan(values)
    fractional = bool(
        (np.abs(filled - np.rint(filled))[model.integrality & given] > _WHOLE).any()
    )
    x = np.clip(whole, model.col_lower, model.col_upper)
    fault = _fault(model, x, whole, outside[given[outside]], fractional=fractional)
    if fault is None:
        return _used(
            model,
            x,
            "used as it is"
            if not missing
            else f"completed: {missing} missing values are 0 or a bound",
        )
    kept = workdir / "warm-start.npy"
    seconds = min(_MOST_S, max(0.05, _SHARE * left_s))
    try:
        told = isolation.call(
            "repairing the warm start",
            lambda: _repair(model, values, x, kept, seconds),
            timeout_s=seconds + _SLACK_S,
        )
    except (isolation.NativeCrash, isolation.NativeError, isolation.NativeTimeout):
        told = {"how": None}
    if told["how"] is None:
        return WarmStart(
            x=None,
            summary={
                "outcome": "dropped",
                "detail": f"{fault}, and no repair was found in time",
            },
        )
    return _used(model, np.load(kept, allow_pickle=False), str(told["how"]), fault)


def _used(model: MilpModel, x: Floats, how: str, fault: str = "") -> WarmStart:
    outcome, _, more = how.partition(": ")
    detail = "; ".join(filter(None, [more, fault]))
    objective = model.in_user_sense(model.objective(x)) + 0.0
    return WarmStart(
        x=x, summary={"outcome": outcome, "objective": objective, "detail": detail}
    )


def _fault(
    model: MilpModel, x: Floats, whole: Floats, outside: np.ndarray, *, fractional: bool
) -> str | None:
    """Why the values are no solution; None when they are one."""
    if len(outside):
        j = int(outside[0])
        sides = f"[{model.col_lower[j]:g}, {model.col_upper[j]:g}]"
        return f"{len(outside)} values are out of bounds, e.g. {model.column_name(j)!r} = {whole[j]:g} not in {sides}"
    if fractional:
        return "an integer variable is given a value that is not whole"
    if is_feasible(model, x):
        return None
    worst = violation(model, x).worst_row
    if worst is None:
        return "a set, an indicator row or a row with products is violated"
    activity = float(model.activity(x)[worst])
    sides = f"[{model.row_lower[worst]:.12g}, {model.row_upper[worst]:.12g}]"
    return f"row {model.row_name(worst)!r} has the activity {activity:.12g}, not in {sides}"


def _repair(
    model: MilpModel, values: Floats, x: Floats, kept: Path, seconds: float
) -> isolation.Message:
    """Complete by a solver with the given integers fixed; else dive towards the values, then solve the continuous part."""
    until = time.monotonic() + seconds
    if model.extras is not None:
        return {"how": None}
    given = model.integrality & np.isfinite(values)
    whole = np.rint(np.where(given, values, 0.0))
    inside = given & (whole >= model.col_lower) & (whole <= model.col_upper)
    slicer = Slicer(model)

    def complete() -> Floats | None:
        return _solved(model, slicer, x, ~inside, 0.5 * seconds)

    def dive() -> Floats | None:
        integers = np.flatnonzero(model.integrality)
        order = integers[np.lexsort((-np.abs(x[integers]), ~inside[integers]))]
        limit = time.process_time() + max(0.0, until - time.monotonic())
        y = (
            Propagator(model, slicer.by_row, slicer.by_column).dive(x, order, limit)
            if len(integers)
            else None
        )
        if y is None or is_feasible(model, y):
            return y
        return _solved(
            model, slicer, y, ~model.integrality, max(0.05, until - time.monotonic())
        )

    # A solver completes better; a dive takes milliseconds where a solver takes seconds.
    for way in (complete, dive) if np.count_nonzero(~inside) <= _FEW else (dive, complete):
        y = way()
        if y is not None:
            np.save(kept, y)
            changed = bool((np.abs(y - values)[given] > _WHOLE).any()) or bool(
                (given != inside).any()
            )
            return {
                "how": "repaired"
                if changed
                else "completed: the other variables were solved for"
            }
    return {"how": None}


def _solved(
    model: MilpModel, slicer: Slicer, x: Floats, free: np.ndarray, seconds: float
) -> Floats | None:
    """x with the free variables solved for; None when that is not possible."""
    sub = slicer.cut(x, free) if bool(free.any()) else None
    if sub is None:
        return None
    try:
        result = HighsSolver().solve(
            sub.model, SolveParams(time_limit_s=max(0.05, seconds), relative_gap=0.01)
        )
    except SolversError:
        return None
    if result.x is None:
        return None
    y = sub.lift(np.where(model.integrality, np.rint(x), x), result.x)
    return y if is_feasible(model, y) else None
