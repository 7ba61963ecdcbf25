"""The contract over CpSatSolver, and behaviour specific to CP-SAT."""

from __future__ import annotations

import pytest

from solvers.cpsat import CpSatSolver
from solvers.types import Solver
from tests.contracts.solver import SolverContract


class TestCpSatSolver(SolverContract):
    takes_continuous = False
    takes_unbounded = False
    takes_injected = False

    @pytest.fixture
    def solver(self) -> Solver:
        return CpSatSolver()
