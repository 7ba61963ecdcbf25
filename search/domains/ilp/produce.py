"""The files an owner gets: the solution in the usual text form and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from search.domains.ilp.parse import IlpProblem
from search.drawing.curves import step_curves
from search.types import Extra, Produced
from solvers.types import Floats

Curve = Sequence[tuple[float, float | None, float | None]]  # (seconds, incumbent, bound)


def values_by_name(problem: IlpProblem, x: Floats) -> dict[str, float]:
    """Column name → value, integers whole. Every column, zeros too."""
    model = problem.model
    whole = model.integrality
    return {
        model.column_name(j): float(round(value)) if whole[j] else float(value)
        for j, value in enumerate(x.tolist())
    }


def produce(problem: IlpProblem, x: Floats, workdir: Path) -> list[Produced]:
    """`solution.sol` (name and value of each column that is not 0, as MIPLIB's and SCIP's) and `solution.json`."""
    values = {
        name: value for name, value in values_by_name(problem, x).items() if value != 0
    }
    objective = problem.model.in_user_sense(problem.model.objective(x))
    sol = workdir / "solution.sol"
    with sol.open("w", encoding="utf-8") as file:
        file.write(f"=obj= {_number(objective)}\n")
        file.writelines(f"{name} {_number(value)}\n" for name, value in values.items())
    as_json = workdir / "solution.json"
    as_json.write_text(
        json.dumps({"objective": objective, "nonzeros": values}, indent=0), encoding="utf-8"
    )
    return [
        Produced(name="solution.sol", path=sol, media_type="text/plain"),
        Produced(name="solution.json", path=as_json, media_type="application/json"),
    ]


def curve_extras(curve: Curve) -> list[Extra]:
    """`curve.csv` (seconds, incumbent, bound; empty while there is none) and the same as a picture."""
    if not curve:  # a run that was finished from a checkpoint
        return []
    return [
        Extra(name="curve.csv", write=partial(_write_table, curve), media_type="text/csv"),
        Extra(
            name="curve.svg",
            write=partial(_write_picture, curve),
            media_type="image/svg+xml",
        ),
    ]


def _write_table(curve: Curve, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("seconds,incumbent,bound\n")
        for seconds, *values in curve:
            file.write(
                ",".join(
                    [f"{seconds:.3f}", *("" if v is None else repr(v) for v in values)]
                )
                + "\n"
            )


def _write_picture(curve: Curve, path: Path) -> None:
    incumbents = [(seconds, value) for seconds, value, _ in curve if value is not None]
    bounds = [(seconds, value) for seconds, _, value in curve if value is not None]
    until = max((seconds for seconds, _, _ in curve), default=1.0)
    shown = {"incumbent": incumbents, "bound": bounds}
    limits = _limits(incumbents, bounds)
    path.write_text(
        step_curves(
            shown, until=until, title="Incumbent and bound over time", limits=limits
        )
    )


def _limits(
    incumbents: Sequence[tuple[float, float]], bounds: Sequence[tuple[float, float]]
) -> tuple[float, float] | None:
    """A first solution may be a thousand times worse than the last: show what lies near the end."""
    if not incumbents:
        return None
    values = [value for _, value in [*incumbents, *bounds]]
    last = incumbents[-1][1]
    reach = 0.5 * max(abs(last), 1e-9)
    low, high = max(min(values), last - reach), min(max(values), last + reach)
    return (low, high) if high > low else None


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
