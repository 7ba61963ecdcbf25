"""The contract over ScipSolver, and behaviour specific to SCIP."""

from __future__ import annotations

import pytest

from solvers.scip import ScipSolver
from solvers.types import Solver
from tests.contracts.solver import SolverContract


class TestScipSolver(SolverContract):
    @pytest.fixture
    def solver(self) -> Solver:
        return ScipSolver()
