"""gurobipy door: `trimtab.gurobi.optimize(model)` solves a model object through its own file.

gurobipy is never imported: the functions call methods of the object that they are given. Its
bundled licence limits the size of what it optimises, not of what it writes.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trimtab.adapters.start import write_start
from trimtab.doors.answer import (
    Answer,
    DoorError,
    Improvement,
    SolveOptions,
    in_order,
)
from trimtab.doors.log import SolveLog
from trimtab.doors.solve import solve
from trimtab.results import Limit, Reason

# Gurobi's parameters, our options, and the values that mean "not set".
_NUMBERS: Mapping[str, tuple[str, Callable[[float], bool]]] = {
    "TimeLimit": ("seconds", lambda value: value < 1e20),
    "MIPGap": ("gap", lambda value: True),
    "MIPGapAbs": ("absolute_gap", lambda value: value > 1e-10),
    "Cutoff": ("cutoff", lambda value: abs(value) < 1e20),
    "FeasibilityTol": ("feasibility_tolerance", lambda value: value != 1e-6),
    "BestObjStop": ("objective_stop", lambda value: abs(value) < 1e20),
    "BestBdStop": ("bound_stop", lambda value: abs(value) < 1e20),
}
_COUNTS: Mapping[str, tuple[str, Callable[[float], bool]]] = {
    "Threads": ("threads", lambda value: value > 0),
    "Seed": ("seed", lambda value: True),
    "NodeLimit": ("node_limit", lambda value: value < 1e9),
    "SolutionLimit": ("solution_limit", lambda value: value < 1e9),
}
_POOL = {"PoolGap": "pool_gap", "PoolGapAbs": "pool_absolute_gap"}
_OTHERS = ("PoolSolutions", "PoolSearchMode", "OutputFlag", "LogToConsole", "LogFile")
PARAMETERS = (*_NUMBERS, *_COUNTS, *_POOL, *_OTHERS)
"""Parameters that have an effect, by Gurobi's names."""

# Counts of parts that the door refuses, and what they are.
_REFUSED = {
    "NumGenConstrs": "general constraints",
    "NumPWLObjVars": "a piecewise-linear objective",
    "IsMultiObj": "several objectives",
}
_UNDEFINED = 1e100  # Gurobi's GRB.UNDEFINED is 1e101
_STATUS = {
    Reason.OPTIMAL: 2,
    Reason.INFEASIBLE: 3,
    Reason.INFEASIBLE_OR_UNBOUNDED: 4,
    Reason.UNBOUNDED: 5,
    Reason.NUMERICAL_ERROR: 12,
    Reason.VERIFICATION_FAILED: 12,
}
_LIMITS = {
    Limit.CUTOFF: 6,
    Limit.NODES: 8,
    Limit.TIME: 9,
    Limit.SOLUTIONS: 10,
    Limit.STOPPED: 11,
    Limit.OBJECTIVE: 15,
    Limit.BOUND: 15,
    Limit.MEMORY: 17,
}
_SUBOPTIMAL = 13


@dataclass(frozen=True, kw_only=True)
class GurobiAnswer:
    """The answer, under the names of Gurobi's attributes; the model object is not changed."""

    Status: int
    """Code as in `GRB.Status`: 2 optimal, 3 infeasible, 6 cutoff, 9 time limit, …"""
    ObjVal: float | None
    """Objective of the best solution. None: no solution."""
    ObjBound: float | None
    """Proved bound. None: nothing is proved."""
    MIPGap: float | None
    """Relative gap between the two."""
    Runtime: float
    """Seconds."""
    X: list[float] | None
    """Values in the order of `model.getVars()`. None: no solution."""
    Pi: list[float] | None
    """Duals of an LP in the order of `model.getConstrs()`. None: there are none."""
    RC: list[float] | None
    """Reduced costs of an LP in the order of `model.getVars()`. None: there are none."""
    PoolObjVal: list[float] = field(default_factory=list)
    """Objectives of the solution pool, the best first."""
    PoolX: list[list[float]] = field(default_factory=list, repr=False)
    """Values of each solution of the pool, as `X`."""
    answer: Answer
    """The answer as all doors have it: verdict of the check, job, log."""
    _names: tuple[str, ...] = field(repr=False)

    @property
    def SolCount(self) -> int:
        """Number of solutions."""
        return max(len(self.PoolX), int(self.X is not None))

    def value(self, variable: Any) -> float:
        """Return the value of a variable, of which only `index` is read. Raises DoorError."""
        if self.X is None:
            raise DoorError(f"value: expected a solution, got status {self.Status}")
        return self.X[int(variable.index)]

    def write(self, path: str | Path) -> Path:
        """Write the solution as .sol, .mst or .json, as Gurobi names it. Raises DoorError."""
        target = Path(path)
        if self.X is None:
            raise DoorError(f"write: expected a solution, got status {self.Status}")
        if target.suffix not in (".sol", ".mst", ".json"):
            raise DoorError(f"write: expected .sol, .mst or .json, got {target.name!r}")
        pairs = list(zip(self._names, self.X, strict=True))
        with target.open("w", encoding="utf-8", newline="\n") as file:
            if target.suffix == ".json":
                rows = [{"VarName": name, "X": x} for name, x in pairs if x]
                solution_info = {"Status": self.Status, "ObjVal": self.ObjVal}
                json.dump({"SolutionInfo": solution_info, "Vars": rows}, file, indent=1)
            else:
                file.write(f"# Objective value = {self.ObjVal!r}\n")
                file.writelines(f"{name} {x!r}\n" for name, x in pairs)
        return target


def optimize(
    model: Any,
    *,
    parameters: Mapping[str, Any] | str | Path | None = None,
    start: str | Path | None = None,
    engine: str | None = None,
    where: Any = None,
    callback: Callable[[Improvement], Any] | None = None,
) -> GurobiAnswer:
    """Solve a gurobipy model on a server (TRIMTAB_URL) or on this machine.

    Args:
        model: The object; its parameters are used, and its starts.
        parameters: Values under Gurobi's names, which override the model's; or a .prm file.
        start: A .mst or .sol file; None: the starts of the variables.
        engine: Complete solver: highs, scip or cp-sat.
        where: A trimtab Client, or "local".
        callback: Receives an `Improvement` for each better solution, with values by name; True ends
            the solve.

    Raises DoorError for a part or a parameter that the door does not carry.
    """
    model.update()
    for attribute, what in _REFUSED.items():
        if int(_attribute(model, attribute, 0)):
            raise DoorError(
                f"gurobipy: expected linear, quadratic and SOS parts, got {what}; reformulate that "
                "part"
            )
    chosen = _parameters(model, parameters)
    options = replace(_options(chosen), engine=engine)
    variables = list(model.getVars())
    names = tuple(str(one.VarName) for one in variables)
    with tempfile.TemporaryDirectory(prefix="trimtab-gurobi-") as folder:
        # .rew is MPS with generic names, in the order of the model: names are not keys.
        written, file = Path(folder) / "model.rew", Path(folder) / "model.mps"
        model.write(str(written))
        written.rename(file)
        columns, rows = generic_names(file)
        if len(columns) != len(names):
            raise DoorError(
                f"gurobipy: expected {len(names)} columns in the file, got {len(columns)}"
            )
        pairs = _starts(variables, names, columns, start)
        options = replace(options, start=write_start(Path(folder) / "start.sol", pairs))
        tee = bool(chosen.get("OutputFlag", 1)) and bool(chosen.get("LogToConsole", 1))
        with closing(SolveLog.to(tee, chosen.get("LogFile") or None)) as log:
            answer = solve(
                file,
                options,
                where=where,
                log=log,
                on_solution=_by_own_names(callback, columns, names),
            )
    # Gurobi writes and reads generic names, too, where a name has a blank or is repeated.
    plain = len({*names}) == len(names) and all(len(name.split()) == 1 for name in names)
    shown = names if plain else tuple(columns)
    return _gurobi_answer(answer, shown, columns, rows)


def read_parameters(path: str | Path) -> dict[str, str]:
    """Return the parameters of a .prm file: a name and a value on each line."""
    parameters: dict[str, str] = {}
    for number, line in _written_lines(path):
        words = line.split(maxsplit=1)
        if len(words) != 2:
            raise DoorError(
                f"{path}, line {number}: expected a name and a value, got {line[:80]!r}"
            )
        parameters[words[0]] = words[1].strip().strip('"')
    return parameters


def generic_names(file: Path) -> tuple[list[str], list[str]]:
    """Return the names of columns and constraints in an MPS file, in their order."""
    columns: list[str] = []
    rows: list[str] = []
    section = ""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if line[:1] not in (" ", "\t", "*", "\n", ""):
                section = line.split()[0]
                continue
            words = line.split()
            if section == "ROWS" and len(words) == 2 and words[0] != "N":
                rows.append(words[1])
            elif section == "COLUMNS" and len(words) >= 3 and words[1] != "'MARKER'":
                if not columns or columns[-1] != words[0]:
                    columns.append(words[0])
            elif section in ("RHS", "BOUNDS", "ENDATA"):
                break
    return columns, rows


def _parameters(
    model: Any, parameters: Mapping[str, Any] | str | Path | None
) -> dict[str, Any]:
    """Return the parameters by Gurobi's names; those of the model first. Raises DoorError."""
    own = getattr(model, "Params", None)
    chosen = {
        name: getattr(own, name)
        for name in PARAMETERS
        if getattr(own, name, None) is not None
    }
    overriding: Mapping[str, Any] = (
        read_parameters(parameters)
        if isinstance(parameters, str | Path)
        else parameters or {}
    )
    by_lower = {name.lower(): name for name in PARAMETERS}
    for name, value in overriding.items():
        canonical = by_lower.get(name.lower())
        if canonical is None:
            raise DoorError(
                f"parameters: expected names of {', '.join(PARAMETERS)}, got {name!r}"
            )
        chosen[canonical] = value
    return chosen


def _options(chosen: Mapping[str, Any]) -> SolveOptions:
    fields: dict[str, Any] = {}
    try:
        for kind, table in ((float, _NUMBERS), (int, _COUNTS)):
            for name, (own, is_set) in table.items():
                value = chosen.get(name)
                if value is not None and is_set(float(value)):
                    fields[own] = kind(float(value))
        if int(chosen.get("PoolSearchMode") or 0) > 0:
            fields["pool"] = int(chosen.get("PoolSolutions") or 10)
            for name, own in _POOL.items():
                value = chosen.get(name)
                if value is not None and float(value) < 1e20:
                    fields[own] = float(value)
        if "feasibility_tolerance" in fields:
            fields["feasibility_tolerance"] = min(1e-3, fields["feasibility_tolerance"])
        return SolveOptions(**fields)
    except (TypeError, ValueError) as error:
        raise DoorError(f"parameters: {error}") from error


def _starts(
    variables: Sequence[Any],
    names: Sequence[str],
    columns: Sequence[str],
    start: str | Path | None,
) -> Iterable[tuple[str, float]]:
    """Return (name in the file, value) of the start."""
    if start is None:
        values = [float(_attribute(one, "Start", math.inf)) for one in variables]
        return [
            (column, value)
            for column, value in zip(columns, values, strict=True)
            if abs(value) < _UNDEFINED
        ]
    places = dict(zip(columns, columns, strict=True))
    places.update(zip(names, columns, strict=True))
    pairs = []
    for number, line in _written_lines(start):
        words = line.rsplit(maxsplit=1)
        try:
            name, value = words[0], float(words[1])
        except (IndexError, ValueError):
            raise DoorError(
                f"{start}, line {number}: expected a name and a value, got {line[:80]!r}"
            ) from None
        if name not in places:
            raise DoorError(
                f"{start}, line {number}: the model has no variable {name[:80]!r}"
            )
        pairs.append((places[name], value))
    return pairs


def _written_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines of a file of Gurobi's, without comments and blanks."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text:
            yield number, text


def _attribute(part: Any, name: str, default: Any) -> Any:
    """Return an attribute; the default where gurobipy has none, which is an error of its own."""
    try:
        return getattr(part, name)
    except Exception:
        return default


def _by_own_names(
    callback: Callable[[Improvement], Any] | None,
    columns: Sequence[str],
    names: Sequence[str],
) -> Callable[[Improvement], Any] | None:
    if callback is None:
        return None

    def translated(found: Improvement) -> Any:
        values = {
            name: float(found.values.get(column, 0.0))
            for name, column in zip(names, columns, strict=True)
        }
        return callback(replace(found, values=values))

    return translated


def _gurobi_answer(
    answer: Answer, names: tuple[str, ...], columns: list[str], rows: list[str]
) -> GurobiAnswer:
    limit = _LIMITS.get(answer.limit or Limit.OTHER, _SUBOPTIMAL)
    status = 2 if answer.is_optimal() else _STATUS.get(answer.reason, limit)
    return GurobiAnswer(
        Status=status,
        ObjVal=answer.objective,
        ObjBound=answer.bound,
        MIPGap=answer.gap,
        Runtime=answer.seconds,
        X=in_order(answer.nonzeros, columns),
        Pi=in_order(answer.duals, rows),
        RC=in_order(answer.reduced_costs, columns),
        PoolObjVal=[one.objective for one in answer.pool],
        PoolX=[one.values(columns) for one in answer.pool],
        answer=answer,
        _names=names,
    )
