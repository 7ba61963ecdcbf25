"""Warm start files: every plain form that solvers write, and clear words for the rest."""

from __future__ import annotations

from pathlib import Path

import highspy
import numpy as np
import pytest

from solvers.errors import ModelError
from solvers.solution_file import read_solution
from tests.search.models import milp

MODEL = milp([1, 2, 3], [(1, [1, 1, 1], np.inf)])  # columns C1, C2, C3


def read(text: str, tmp_path: Path) -> list[float | None]:
    file = tmp_path / "start.sol"
    file.write_text(text)
    return [None if np.isnan(v) else float(v) for v in read_solution(file, MODEL)]


@pytest.mark.parametrize(
    "text",
    [
        "=obj= 4\nC1 1\nC3 1\n",
        (
            "solution status: optimal solution found\nobjective value:   4\n"
            "C1   1 \t(obj:1)\nC3   1 \t(obj:3)\n"
        ),
        "# Solution for model m\n# Objective value = 4\nC1 1\nC3 1\n",
        (
            "Model status\nOptimal\n\n# Primal solution values\nFeasible\n"
            "Objective 4\n# Columns 3\nC1 1\nC3 1\n# Rows 1\nR1 2\n"
        ),
        (
            "Stopped on time - objective value 4.00000000\n"
            "      0 C1                    1                       1\n"
            "**    2 C3                    1                       3\n"
        ),
        "\ufeffC1 1\nC3 1\n",
    ],
)
def test_forms(text: str, tmp_path: Path) -> None:
    assert read(text, tmp_path) == [1.0, None, 1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("C1\n", "line 1"),
        ("Optimal - objective value 4\n 0 C1\n", "line 2"),
        ("C1 one\n", "'one'"),
        ("C1 nan\n", "finite"),
        ("C1 1\nx9 1\n", "'x9'"),
        ("# nothing\n", "no column of the model"),
        ("<?xml version='1.0'?><CPLEXSolution/>", "XML"),
    ],
)
def test_faults(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        read(text, tmp_path)


def test_binary(tmp_path: Path) -> None:
    file = tmp_path / "start.sol"
    file.write_bytes(b"\xff\xfe\x00C1 1")
    with pytest.raises(ModelError, match="no text"):
        read_solution(file, MODEL)


def test_solutions_written_by_highs_are_read(tmp_path: Path) -> None:
    engine = highspy.Highs()
    engine.setOptionValue("output_flag", False)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = 3, 1
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = [1.0, 2.0, 3.0], [0.0] * 3, [1.0] * 3
    lp.row_lower_, lp.row_upper_ = [2.0], [highspy.kHighsInf]
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = (
        [0, 1, 2, 3],
        [0, 0, 0],
        [1.0, 1.0, 1.0],
    )
    lp.col_names_ = ["C1", "C2", "C3"]
    engine.passModel(lp)
    engine.run()
    file = tmp_path / "highs.sol"
    engine.writeSolution(str(file), 0)
    np.testing.assert_allclose(read_solution(file, MODEL), [1, 1, 0], atol=1e-9)
