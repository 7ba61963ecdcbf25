"""The contract over HighsSolver, and behaviour specific to HiGHS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from solvers.highs import HighsSolver
from solvers.types import Solver
from tests.contracts.solver import EASY_OPTIMUM, SolverContract

ROOT = Path(__file__).parents[2]


class TestHighsSolver(SolverContract):
    @pytest.fixture
    def solver(self) -> Solver:
        return HighsSolver()


IN_FORKS = """
from search.isolation import call
from solvers.highs import HighsSolver
from solvers.types import SolveParams
from tests.contracts.solver import EASY

params = SolveParams(time_limit_s=20.0, threads=2)
solve = lambda: {"objective": HighsSolver().solve(EASY, params).primal}
answers = [solve(), *(call("HiGHS", solve, timeout_s=60.0) for _ in range(3))]
print(*(answer["objective"] for answer in answers))
"""


def test_a_fork_after_a_run_has_threads_of_its_own() -> None:
    """It waited for ever for those of its parent, which a fork does not copy."""
    command = [sys.executable, "-c", IN_FORKS]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert list(map(float, done.stdout.split())) == pytest.approx([EASY_OPTIMUM] * 4)
