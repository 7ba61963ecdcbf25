"""Engine process: the complete solver on the whole model, which proves the bound."""

from __future__ import annotations

import math
import time
from typing import Any

from search.domains.ilp.search.messages import EngineEnded, NewIncumbent, Send, Work
from search.domains.ilp.search.slots import IncumbentSlot
from search.trace import primal_gap
from solvers.feasibility import is_feasible
from solvers.iis import irreducible_subset
from solvers.table import make_solver
from solvers.types import Floats, MilpModel, SolveParams, SolveResult
from trimtab.results import Reason

_IIS_S = 5.0
_MOST_NAMES = 100  # of an infeasible subset
_INJECTED_GAP = 0.5  # of a solution to the engine's bound; wider ones are not injected


def run_engine(
    model: MilpModel,
    *,
    engine: str,
    params: SolveParams,
    slot: IncumbentSlot,
    others: IncumbentSlot | None,
    warm_start: Floats | None = None,
) -> Work:
    """Return the work of the engine process: solve, and inject better solutions of `others`."""

    def work(send: Send) -> None:
        offered = math.inf

        def on_incumbent(objective: float, x: Floats) -> None:
            # The engine's tolerance may be relative, and whole rows have none.
            if objective < slot.objective and is_feasible(model, x):
                slot.put(objective, x)
                send(NewIncumbent())

        def injected() -> Floats | None:
            nonlocal offered
            if others is None:
                return None
            better = others.better_than(min(slot.objective, offered))
            if better is None or not worth_injecting(better[0], slot.bound):
                return None
            offered = better[0]
            return better[1]

        began = time.monotonic()
        result = make_solver(engine).solve(
            model,
            params,
            hint=warm_start,
            on_incumbent=on_incumbent,
            on_bound=slot.put_bound,
            injected=injected,
        )
        if result.x is not None and result.primal is not None:
            on_incumbent(result.primal, result.x)
        if result.dual_bound is not None and result.dual_bound > slot.bound:
            slot.put_bound(result.dual_bound)
        left_s = params.time_limit_s - (time.monotonic() - began)
        termination = result.termination
        send(
            EngineEnded(
                reason=termination.reason.value,
                limit=termination.limit.value if termination.limit else None,
                detail=termination.detail,
                nodes=result.nodes,
                **_infeasible_subset(model, result, left_s),
            )
        )

    return work


def worth_injecting(objective: float, bound: float) -> bool:
    """Return True if a solution from outside is near enough to the engine's bound to prune.

    A worse one only turns the engine's heuristics away from what they would find by themselves:
    pmp-iss-157 is solved in 6 s of processor time, and was not in 12 s with injected solutions that
    were 600 to 6,000 times the bound.
    """
    return math.isfinite(bound) and primal_gap(objective, bound) <= _INJECTED_GAP


def _infeasible_subset(
    model: MilpModel, result: SolveResult, left_s: float
) -> dict[str, Any]:
    """Return the names of an irreducible infeasible subset, if the relaxation has one."""
    if result.termination.reason is not Reason.INFEASIBLE or left_s <= 0:
        return {}
    subset = irreducible_subset(model, seconds=min(_IIS_S, left_s))
    if subset is None:
        return {}
    return {
        "infeasible_rows": [model.row_name(i) for i in subset.rows[:_MOST_NAMES]],
        "infeasible_columns": [
            model.column_name(j) for j in subset.columns[:_MOST_NAMES]
        ],
    }
