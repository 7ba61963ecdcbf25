"""Polishing: make the integers of a solution whole and solve for its continuous part again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from search import isolation
from solvers.feasibility import violation
from solvers.scaling import ScaledModel
from solvers.types import Floats

_POLISH_LIMIT_S = 5.0
_POLISH_ABOVE = 1e-9  # relative violation of a row or bound


def candidates(scaled: ScaledModel, x: Floats, workdir: Path) -> list[Floats]:
    """Return versions of x (n,) with whole integers, the one that violates rows least first."""
    model = scaled.original
    inside = np.clip(x, model.col_lower, model.col_upper)
    rounded = np.where(model.integrality, np.round(x), inside) + 0.0
    worst = _worst_violation(scaled, rounded)
    if model.extras is not None:
        # The continuous part is no linear program: only round-off is swept away.
        tidy = model.extras.tidied(rounded)
        if _worst_violation(scaled, tidy) <= max(worst, _POLISH_ABOVE):
            return [tidy, rounded]
        return [rounded, tidy]
    if bool(model.integrality.all()) or worst <= _POLISH_ABOVE:
        return [rounded]
    solved = _solve_continuous(scaled, rounded, workdir)
    if solved is None:
        return [rounded]
    if _worst_violation(scaled, solved) <= worst:
        return [solved, rounded]
    return [rounded, solved]


def _solve_continuous(
    scaled: ScaledModel, rounded: Floats, workdir: Path
) -> Floats | None:
    """Solve for the continuous part with tight tolerances, in a forked process."""
    path, model = workdir / "polished.npy", scaled.model
    start = scaled.enter(rounded)

    def polish() -> isolation.Message:
        from solvers.relaxation import Relaxation

        solution = Relaxation(model, tight=True).complete(
            start, time_limit_s=_POLISH_LIMIT_S
        )
        if solution.x is None:
            return {"polished": False}
        np.save(path, np.where(model.integrality, start, solution.x))
        return {"polished": True}

    try:
        message = isolation.call(
            "polishing the continuous part", polish, timeout_s=_POLISH_LIMIT_S + 1
        )
    except (isolation.NativeCrash, isolation.NativeError, isolation.NativeTimeout):
        return None
    if not message["polished"]:
        return None
    return scaled.restore(np.load(path, allow_pickle=False))


def _worst_violation(scaled: ScaledModel, x: Floats) -> float:
    """Return the largest relative violation of x (n,), in scaled units."""
    worst = violation(scaled.model, scaled.enter(x))
    return max(worst.rows, worst.bounds, worst.extras)
