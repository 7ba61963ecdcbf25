"""The table of solvers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from solvers.table import SOLVERS, make_solver
from tests.solvers.models import milp


def test_table() -> None:
    assert list(SOLVERS) == ["highs", "scip", "cp-sat"]
    for name in SOLVERS:
        assert make_solver(name).name == name
    model = milp([1], integer=False)
    reasons = {name: make_solver(name).why_not(model) for name in SOLVERS}
    assert reasons["highs"] is reasons["scip"] is None
    assert "continuous" in (reasons["cp-sat"] or "")
    with pytest.raises(
        ValueError, match="expected one of highs, scip, cp-sat, got 'gurobi'"
    ):
        make_solver("gurobi")


def test_the_table_imports_no_solver() -> None:
    program = (
        "import sys, solvers.table; sys.exit(any(m in sys.modules for m in "
        "('highspy', 'pyscipopt', 'ortools')))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
