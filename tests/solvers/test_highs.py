"""The contract over HighsSolver, and behaviour specific to HiGHS."""

from __future__ import annotations

import pytest

from solvers.highs import HighsSolver
from solvers.types import Solver
from tests.contracts.solver import SolverContract


class TestHighsSolver(SolverContract):
    @pytest.fixture
    def solver(self) -> Solver:
        return HighsSolver()
