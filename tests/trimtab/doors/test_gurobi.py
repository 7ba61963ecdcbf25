"""gurobipy door, on an object with gurobipy's methods and the file that Gurobi 13 writes for it.

gurobipy is not a dependency: its licence is not ours to accept. The file is what
`model.write("model.rew")` of Gurobi 13.0.3 gave for the same model.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trimtab import gurobi
from trimtab.doors.answer import DoorError, SolveOptions

REW = """OBJSENSE MAX
ROWS
 N  OBJ
 L  c0      
 E  c1      
 E  c2      
COLUMNS
    MARKER    'MARKER'                 'INTORG'
    B0(2)     OBJ       2
    B0(2)     c0        1
    B0(2)     c2        -1
    B1(1)     OBJ       3
    B1(1)     c0        1
    B2(1)     OBJ       1
    B2(1)     c0        1
    I3(2)     OBJ       1.5
    I3(2)     c0        1
    I3(2)     c1        1
    MARKER    'MARKER'                 'INTEND'
    C4(2)     OBJ       -0.25
    C4(2)     c1        1
    C4(2)     c2        1
    C5(1)     c1        1
RHS
    RHS1      OBJ       -7
    RHS1      c0        4.5
    RHS1      c1        6
    RHS1      c2        1
BOUNDS
 BV BND1      B0(2)   
 BV BND1      B1(1)   
 BV BND1      B2(1)   
 LO BND1      I3(2)     -2
 UP BND1      I3(2)     3
 FR BND1      C4(2)   
 UP BND1      C5(1)     7
SOS
 S1 s0
    B0(2)        1
    B1(1)        2
ENDATA
"""
NAMES = ("x[a b][0]", "x[a b][1]", "x[a b][2]", "y ü", "z", "Rgr")


class Model:
    """As much of gurobipy's Model as the door uses."""

    def __init__(self, names: tuple[str, ...] = NAMES, **more: Any) -> None:
        self.Params = SimpleNamespace(
            TimeLimit=1e100,
            MIPGap=1e-6,
            MIPGapAbs=1e-10,
            Threads=0,
            Cutoff=-1e100,
            PoolSearchMode=2,
            PoolSolutions=3,
            PoolGap=1e100,
            FeasibilityTol=1e-6,
            OutputFlag=0,
        )
        self.IsMultiObj = self.NumGenConstrs = self.NumPWLObjVars = 0
        self.__dict__.update(more)
        starts = [1e101, 1.0, 1e101, 1e101, 1e101, 1e101]
        self._variables = [
            SimpleNamespace(VarName=name, Start=start, index=place)
            for place, (name, start) in enumerate(zip(names, starts, strict=True))
        ]

    def update(self) -> None:
        """Do nothing: the object is complete."""

    def getVars(self) -> list[Any]:
        return self._variables

    def write(self, path: str) -> None:
        assert path.endswith(".rew")
        Path(path).write_text(REW, encoding="utf-8")


def test_the_pool_is_that_of_gurobi(tmp_path: Path) -> None:
    answer = gurobi.optimize(Model(), parameters={"timelimit": 300})
    assert (answer.Status, answer.ObjVal, answer.ObjBound) == (2, 14.25, 14.25)
    assert answer.PoolObjVal == [14.25, 13.75, 13.0], "as Gurobi 13 with PoolSearchMode 2"
    assert answer.SolCount == 3
    assert answer.X == [0, 1, 0, 3, 1, 2]
    assert answer.value(Model().getVars()[3]) == 3
    text = answer.write(tmp_path / "a.sol").read_text()
    assert "I3(2) 3.0" in text, "names with blanks are generic, as Gurobi writes them"
    again = gurobi.optimize(
        Model(), parameters={"TimeLimit": 300, "Cutoff": 14}, start=tmp_path / "a.sol"
    )
    assert again.ObjVal == 14.25
    with pytest.raises(DoorError, match=r"expected .sol, .mst or .json"):
        answer.write(tmp_path / "a.mps")


@pytest.mark.parametrize(
    ("attribute", "what"),
    [
        ("NumGenConstrs", "general constraints"),
        ("IsMultiObj", "several objectives"),
        ("NumPWLObjVars", "piecewise-linear"),
    ],
)
def test_parts_that_are_not_carried_are_named(attribute: str, what: str) -> None:
    with pytest.raises(DoorError, match=what):
        gurobi.optimize(Model(**{attribute: 1}))


def test_parameters_come_from_the_model_a_file_and_the_call(tmp_path: Path) -> None:
    file = tmp_path / "p.prm"
    file.write_text('# Parameter settings\nTimeLimit  60\nLogFile  "a b.log"\n')
    assert gurobi.read_parameters(file) == {"TimeLimit": "60", "LogFile": "a b.log"}
    found = gurobi._options(gurobi._parameters(Model(), file))
    assert found == SolveOptions(seconds=60.0, gap=1e-6, pool=3)
    with pytest.raises(DoorError, match="got 'Presolv'"):
        gurobi._parameters(Model(), {"Presolv": 1})
    with pytest.raises(DoorError, match="seconds: expected a positive number"):
        gurobi._options({"TimeLimit": -1})
    file.write_text("TimeLimit\n")
    with pytest.raises(DoorError, match="line 1: expected a name and a value"):
        gurobi.read_parameters(file)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nobody 1", "line 3: the model has no variable 'nobody'"),
        ("nobody\t1", "line 3: the model has no variable 'nobody'"),
        ("z one", "line 3: expected a name and a value, got 'z one'"),
        ("z", "line 3: expected a name and a value, got 'z'"),
    ],
)
def test_a_start_that_is_not_one_is_refused(
    tmp_path: Path, line: str, message: str
) -> None:
    start = tmp_path / "s.mst"
    start.write_text(f"# MIP start\nz\t1\n{line}\n")
    with pytest.raises(DoorError, match=message):
        gurobi.optimize(Model(), start=start)
