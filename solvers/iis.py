"""Irreducible infeasible subsets by HiGHS, verified before they are reported."""

from __future__ import annotations

from dataclasses import dataclass, replace

import highspy
import numpy as np

from solvers.highs import HighsSolver, new_engine, pass_model, run
from solvers.types import MilpModel, SolveParams
from trimtab.results import Reason


@dataclass(frozen=True, kw_only=True)
class InfeasibleSubset:
    """Rows, and columns with their bounds, that have no common solution without integrality."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]


def irreducible_subset(model: MilpModel, *, seconds: float) -> InfeasibleSubset | None:
    """Return a subset of the relaxation that is infeasible by itself; None without one in time.

    Models that only integrality (or a part that is not linear) makes infeasible have none.
    """
    relaxed = replace(model, integrality=np.zeros(model.n, dtype=bool), extras=None)
    engine = new_engine(SolveParams(time_limit_s=seconds))
    engine.setOptionValue("time_limit", seconds)
    engine.setOptionValue("iis_time_limit", seconds)
    pass_model(engine, relaxed)
    run(engine)
    if engine.getModelStatus() != highspy.HighsModelStatus.kInfeasible:
        return None
    strategy = highspy.IisStrategy
    engine.setOptionValue(
        "iis_strategy",
        int(strategy.kIisStrategyFromLp) | int(strategy.kIisStrategyIrreducible),
    )
    status, iis = engine.getIis()
    if status == highspy.HighsStatus.kError or not (
        len(iis.row_index_) or len(iis.col_index_)
    ):
        return None
    subset = InfeasibleSubset(
        rows=tuple(sorted(iis.row_index_)), columns=tuple(sorted(iis.col_index_))
    )
    return subset if _infeasible(relaxed, subset, seconds) else None


def _infeasible(model: MilpModel, subset: InfeasibleSubset, seconds: float) -> bool:
    """Solve the subset alone: its rows, with the bounds of its columns only."""
    part = model.matrix[list(subset.rows)]
    bounded = np.zeros(model.n, dtype=bool)
    bounded[list(subset.columns)] = True
    alone = replace(
        model,
        c=np.zeros(model.n),
        col_lower=np.where(bounded, model.col_lower, -np.inf),
        col_upper=np.where(bounded, model.col_upper, np.inf),
        indptr=part.indptr.astype(np.int32),
        indices=part.indices.astype(np.int32),
        data=part.data,
        row_lower=model.row_lower[list(subset.rows)],
        row_upper=model.row_upper[list(subset.rows)],
        row_names=None,
    )
    return (
        HighsSolver().solve(alone, SolveParams(time_limit_s=seconds)).termination.reason
        is Reason.INFEASIBLE
    )
