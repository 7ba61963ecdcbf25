"""Produce stage: solution files and the curve."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from search.domains.ilp.produce import _limits, curve_extras, produce
from search.domains.ilp.solution import IlpSolution
from search.types import Extra, Produced
from tests.search.domains.ilp.search.runs import problem_of
from tests.search.models import milp

CURVE = ((0.5, 9.0, None), (1.25, 4.0, 1.5), (2.0, None, 2.0))


def test_nonzeros_are_written_as_text_and_as_json(tmp_path: Path) -> None:
    model = milp([2, 3, 0.5], [(0, [1, 1, 1], 9)], integer=[True, True, False])
    problem = problem_of(model, tmp_path)
    solution = IlpSolution(x=np.array([1.0, 0.0, 0.25]), objective=2.125)
    files = produce(problem, solution, tmp_path)
    assert [file.name for file in files] == ["solution.sol", "solution.json"]
    assert all(isinstance(file, Produced) for file in files)
    names = [model.column_name(0), model.column_name(2)]
    lines = (tmp_path / "solution.sol").read_text().splitlines()
    assert lines == ["=obj= 2.125", f"{names[0]} 1", f"{names[1]} 0.25"]
    data = json.loads((tmp_path / "solution.json").read_text())
    assert data == {"objective": 2.125, "nonzeros": {names[0]: 1.0, names[1]: 0.25}}


def test_the_curve_leaves_cells_empty(tmp_path: Path) -> None:
    table, picture = curve_extras(CURVE)
    assert isinstance(table, Extra)
    table.write(tmp_path / "curve.csv")
    lines = (tmp_path / "curve.csv").read_text().splitlines()
    assert lines[1:] == ["0.500,9.0,", "1.250,4.0,1.5", "2.000,,2.0"]
    picture.write(tmp_path / "curve.svg")
    assert "<polyline" in (tmp_path / "curve.svg").read_text()
    assert curve_extras(()) == []


@pytest.mark.parametrize(
    ("incumbents", "expected"),
    [
        ([], None),
        ([(0.0, 1e6), (1.0, 10.0)], (8.0, 15.0)),
        ([(0.0, 10.0), (1.0, 10.0)], (8.0, 10.0)),
    ],
)
def test_the_picture_shows_the_end(
    incumbents: list[tuple[float, float]], expected: tuple[float, float] | None
) -> None:
    assert _limits(incumbents, [(0.0, 8.0)]) == expected
