"""The table of solvers: name, class and package of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import cast

from solvers.types import Solver


@dataclass(frozen=True, kw_only=True)
class Row:
    """A solver as text: a run imports the one that it needs."""

    name: str
    module: str
    class_name: str
    needs: str  # the package on PyPI

    def make(self) -> Solver:
        """Return a new instance."""
        return cast("Solver", getattr(import_module(self.module), self.class_name)())


SOLVERS: Mapping[str, Row] = MappingProxyType(
    {
        row.name: row
        for row in (
            Row(
                name="highs",
                module="solvers.highs",
                class_name="HighsSolver",
                needs="highspy",
            ),
            Row(
                name="scip",
                module="solvers.scip",
                class_name="ScipSolver",
                needs="pyscipopt",
            ),
            Row(
                name="cp-sat",
                module="solvers.cpsat",
                class_name="CpSatSolver",
                needs="ortools",
            ),
        )
    }
)


def make_solver(name: str) -> Solver:
    """Return the solver of that name. Raises ValueError for names that are not in the table."""
    row = SOLVERS.get(name)
    if row is None:
        raise ValueError(f"solver: expected one of {', '.join(SOLVERS)}, got {name!r}")
    return row.make()
