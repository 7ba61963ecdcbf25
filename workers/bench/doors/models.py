"""Pyomo's library of small models, solved through .nl and .sol, and compared with SCIP."""

from __future__ import annotations

import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PREFIXES = ("LP_", "MILP_")
_SAME = 1e-6  # relative
_UNSOLVABLE = "infeasible or unbounded"
_OBJECTIVE = re.compile(r"objective (-?[0-9.e+-]+)")  # in the message of a .sol


def cases() -> list[str]:
    """Return the names of the LP and MILP models."""
    import pyomo.solvers.tests.models  # noqa: F401 - registers the models
    from pyomo.solvers.tests.models.base import all_models

    return sorted(name for name in all_models() if name.startswith(_PREFIXES))


def executable(folder: Path) -> Path:
    """Write a `trimtab-ampl` that runs this interpreter's, and return its path."""
    path = folder / "trimtab-ampl"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m trimtab.doors.ampl "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def outcomes(names: list[str], solver: str) -> Iterator[tuple[str, str, str]]:
    """Yield (name, passed or failed, what differs) for each model and one solver.

    The reference is SCIP, which reads the .nl file by itself.
    """
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as folder:
        own_path = f"{executable(Path(folder)).parent}{os.pathsep}{os.environ['PATH']}"
        os.environ["PATH"] = own_path
        for name in names:
            expected = _by_scip(name, Path(folder) / "model.nl")
            got = _solved(name, "trimtab-ampl" if solver == "trimtab" else solver)
            same = got[0] == expected[0] and _equal(got[1], expected[1])
            detail = f"expected {expected}, got {got}"
            yield name, "passed" if same else "failed", "" if same else detail


def _generated(name: str) -> Any:
    from pyomo.solvers.tests.models.base import all_models

    case = all_models(name)()
    case.generate_model()
    case.warmstart_model()
    return case.model


def _by_scip(name: str, file: Path) -> tuple[str, float | None]:
    from pyscipopt import Model

    _generated(name).write(str(file), format="nl")
    model = Model()
    model.hideOutput()
    model.readProblem(str(file))
    model.optimize()
    status = model.getStatus()
    if status != "optimal":
        return _UNSOLVABLE if status in (
            "infeasible",
            "unbounded",
            "inforunbd",
        ) else status, None
    return status, float(model.getObjVal())


def _solved(name: str, solver: str) -> tuple[str, float | None]:
    """Return the termination and the objective of one model; which of two ends is left open."""
    from pyomo.opt import SolverFactory

    try:
        found = SolverFactory(solver).solve(_generated(name), load_solutions=False)
    except Exception as error:  # the reference decides whether that is a fault
        return type(error).__name__, None
    condition = str(found.solver.termination_condition)
    if condition in ("infeasibleOrUnbounded", "infeasible", "unbounded"):
        return _UNSOLVABLE, None
    told = _OBJECTIVE.search(str(found.solver.message or ""))
    if told is not None:
        return condition, float(told[1])
    return condition, float(found.problem.upper_bound)


def _equal(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return abs(first - second) <= _SAME * max(1.0, abs(first), abs(second))
