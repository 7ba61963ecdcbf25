"""Solve a `Draft`: columns x0, x1, … and rows r0, r1, … in the file, whatever the user's names.

Names are not keys: packages rename them on writing, and two may become one. Doors map by order.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.adapters import mps
from trimtab.adapters.draft import Draft
from trimtab.adapters.start import write_start
from trimtab.doors.answer import (
    Answer,
    Improvement,
    OnSolution,
    SolveOptions,
    in_order,
)
from trimtab.doors.log import SolveLog
from trimtab.doors.solve import solve
from trimtab.results import Reason

if TYPE_CHECKING:
    from trimtab.client import Client


@dataclass(frozen=True, kw_only=True)
class DraftAnswer:
    """Answer to a draft, by column and row."""

    answer: Answer
    values: list[float] | None
    """Value of every column. None: no solution."""
    duals: list[float] | None
    """Dual of every row. None: there are none."""
    reduced_costs: list[float] | None
    """Reduced cost of every column. None: there are none."""
    pool: tuple[tuple[float, list[float]], ...] = ()
    """(objective, value of every column) of the pool's solutions, the best first."""


def solve_draft(
    draft: Draft,
    options: SolveOptions,
    *,
    where: Client | str | None = None,
    log: SolveLog | None = None,
    on_solution: OnSolution | None = None,
) -> DraftAnswer:
    """Solve a draft, from its own start if it has one. Raises as `solve` does.

    `on_solution` receives values by the columns' own names, those of all columns.

    A second solve, without the objective, decides between infeasible and unbounded where the first
    leaves that open; if it cannot, the answer stays open.
    """
    first = _once(draft, options, where, log, on_solution)
    if first.answer.reason is not Reason.INFEASIBLE_OR_UNBOUNDED:
        return first
    plain = replace(draft, objective={}, products={}, offset=0, start={})
    second = _once(plain, options.without_targets(), where, log)
    if second.answer.reason is Reason.INFEASIBLE:
        return second
    if second.answer.has_solution:
        decided = replace(first.answer, reason=Reason.UNBOUNDED, detail="")
        return replace(first, answer=decided)
    return first


def _once(
    draft: Draft,
    options: SolveOptions,
    where: Client | str | None,
    log: SolveLog | None,
    on_solution: OnSolution | None = None,
) -> DraftAnswer:
    columns = [f"x{place}" for place in range(len(draft.columns))]
    rows = [f"r{place}" for place in range(len(draft.rows))]
    answer = without_search(draft)
    if answer is None:
        with tempfile.TemporaryDirectory(prefix="trimtab-draft-") as folder:
            model = Path(folder) / "model.mps"
            mps.write(draft, model, columns=columns, rows=rows)
            if draft.start:
                pairs = ((columns[place], x) for place, x in sorted(draft.start.items()))
                start = write_start(Path(folder) / "start.sol", pairs)
                options = replace(options, start=start)
            answer = solve(
                model,
                options,
                where=where,
                log=log,
                on_solution=_by_own_names(draft, columns, on_solution),
            )
    return DraftAnswer(
        answer=answer,
        values=answer.values(columns) if answer.has_solution else None,
        duals=in_order(answer.duals, rows),
        reduced_costs=in_order(answer.reduced_costs, columns),
        pool=tuple((one.objective, one.values(columns)) for one in answer.pool),
    )


def _by_own_names(
    draft: Draft, columns: list[str], on_solution: OnSolution | None
) -> OnSolution | None:
    """Return the callback for values by the file's names, which are x0, x1, …"""
    if on_solution is None:
        return None

    def translated(found: Improvement) -> Any:
        values = {
            column.name: float(found.values.get(name, 0.0))
            for column, name in zip(draft.columns, columns, strict=True)
        }
        return on_solution(replace(found, values=values))

    return translated


def without_search(draft: Draft) -> Answer | None:
    """Return the answer to a model that needs no search: crossed bounds, or no column."""
    for column in draft.columns:
        lower, upper = column.lower, column.upper
        if lower is not None and upper is not None and lower > upper:
            detail = f"variable {column.name}: bounds [{lower}, {upper}] leave no value"
            return Answer(reason=Reason.INFEASIBLE, detail=detail)
    if draft.columns:
        return None
    for row in draft.rows:
        if (row.lower is not None and row.lower > 0) or (
            row.upper is not None and row.upper < 0
        ):
            detail = f"constraint {row.name}: 0 is outside its sides"
            return Answer(reason=Reason.INFEASIBLE, detail=detail)
    offset = float(draft.offset)
    return Answer(
        reason=Reason.OPTIMAL,
        detail="the model has no variables",
        sense="maximize" if draft.maximize else "minimize",
        objective=offset,
        bound=offset,
        gap=0.0,
        nonzeros={},
        duals={},
        reduced_costs={},
    )
