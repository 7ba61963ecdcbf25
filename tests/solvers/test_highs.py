"""The contract over HighsSolver, and what is its own."""

from __future__ import annotations

import pytest

from solvers.highs import HighsSolver
from solvers.types import Solver
from tests.contracts.solver import SolverContract


class TestHighsSolver(SolverContract):
    @pytest.fixture
    def solver(self) -> Solver:
        return HighsSolver()
