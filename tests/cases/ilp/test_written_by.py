"""Files as modelling packages write them, each with the optimum that Gurobi 13 reports.

Written by PuLP 3.3.2, Pyomo 6.10.1, linopy 0.10.1 and gurobipy 13.0.3 from models with awkward
names, a free and a fixed variable, rows between two numbers, binaries, a SOS set and an indicator;
JuMP's two by hand in MathOptInterface's style.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.ilp.test_reading_constructs import optimum

WRITTEN = Path(__file__).parent / "written_by"
RIGHT = {
    "gurobipy.lp": 36,
    "gurobipy.mps": 36,
    "gurobipy_quadratic.lp": -4,
    "gurobipy_quadratic.mps": -4,
    "jump.lp": 33,
    "jump.mps": 33,
    "linopy.lp": 29,
    "linopy_names.lp": 29,
    "pulp.lp": 29,  # PuLP leaves the objective's constant of 10 out of its files
    "pulp.mps": 29,
    "pulp_fixed_names.mps": 29,
    "pyomo.lp": 43,
    "pyomo.mps": 43,
}


@pytest.mark.parametrize("name", RIGHT)
def test_optimum(name: str) -> None:
    assert optimum(WRITTEN / name) == pytest.approx(RIGHT[name], abs=1e-4)


def test_every_sample_has_its_value() -> None:
    assert sorted(RIGHT) == sorted(path.name for path in WRITTEN.iterdir())
