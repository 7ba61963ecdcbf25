"""A throw-away solver, added by deploy/docs/changing.md: a class, a row, the word, its contract."""

from __future__ import annotations

import importlib
import itertools
import math
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from solvers import table
from solvers.table import SOLVERS, Row, make_solver
from solvers.types import MilpModel, SolveParams, SolveResult
from tests.contracts.solver import SolverContract
from tests.solvers.models import milp
from trimtab.results import Reason, Termination
from trimtab.specs.ilp import Engine


class Enumeration:
    """Tries every 0-1 point of a model with few binary columns."""

    name = "enumeration"

    def why_not(self, model: MilpModel) -> str | None:
        binary = model.integrality.all() and (model.col_upper <= 1).all()
        return (
            None
            if binary and len(model.c) <= 10
            else "it takes at most 10 binary columns"
        )

    def solve(self, model: MilpModel, params: SolveParams, **others: Any) -> SolveResult:
        best = None
        for point in itertools.product((0.0, 1.0), repeat=len(model.c)):
            x = np.array(point)
            activity = [
                sum(model.data[a:b] * x[model.indices[a:b]])
                for a, b in itertools.pairwise(model.indptr)
            ]
            feasible = (activity >= model.row_lower).all() and (
                activity <= model.row_upper
            ).all()
            if feasible and (best is None or model.objective(x) < model.objective(best)):
                best = x
        assert best is not None
        primal = model.objective(best)
        return SolveResult(
            solver=self.name,
            termination=Termination(reason=Reason.OPTIMAL, detail="all points tried"),
            x=best,
            primal=primal,
            dual_bound=primal,
            elapsed_s=0.0,
        )


def test_a_row_is_all_that_callers_need(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row(
        name="enumeration", module=__name__, class_name="Enumeration", needs="no package"
    )
    rows = MappingProxyType({**SOLVERS, row.name: row})
    monkeypatch.setattr(table, "SOLVERS", rows)
    model = milp([3, 2, 4], [([1, 1, 1], 2, math.inf)], upper=[1, 1, 1])
    solver = make_solver("enumeration")
    assert solver.why_not(model) is None
    assert "binary" in (solver.why_not(milp([1], [], upper=[7])) or "")
    solved = solver.solve(model, SolveParams())
    assert solved.primal == make_solver("highs").solve(model, SolveParams()).primal == 5


def test_table_and_spec_name_the_same_solvers() -> None:
    assert sorted(SOLVERS) == sorted(Engine)


@pytest.mark.parametrize("name", list(SOLVERS))
def test_each_row_has_a_module_and_a_contract_test_of_its_own(name: str) -> None:
    row = SOLVERS[name]
    assert row.make().name == name
    tests = importlib.import_module(
        f"tests.{row.module.replace('solvers.', 'solvers.test_')}"
    )
    contracts = [
        member
        for member in vars(tests).values()
        if isinstance(member, type) and issubclass(member, SolverContract)
    ]
    assert len(contracts) >= 2, "SolverContract itself and a subclass"
