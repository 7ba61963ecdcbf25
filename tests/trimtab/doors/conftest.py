"""Models in the languages of the doors, and this machine's runner."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from trimtab.doors import local

NL = """g3 1 1 0	# problem small
 4 3 1 1 1	# vars, constraints, objectives, ranges, eqns
 0 0 0 0	# nonlinear constrs, objs; ccons: lin, nonlin
 0 0	# network constraints
 0 0 0	# nonlinear vars
 0 0 0 1	# linear network variables; functions; arith, flags
 1 1 0 0 0	# discrete variables: binary, integer
 6 3	# nonzeros
 0 0	# max name lengths
 0 0 0 0 0	# common exprs
C0
n0
C1
n2.5
C2
n0
O0 1
n7.0
x1
0 1.5
r
1 4.0
0 -1 6
4 2
b
0 0 3
2 0
3
0 -2 5
k3
2
3
4
J0 2
0 1
1 1
J1 2
1 1
2 3
J2 2
0 1
3 1
G0 3
0 3
1 2
3 0.5
"""
"""max 3 v0 + 2 v1 + 0.5 v3 + 7; v0 + v1 <= 4; -3.5 <= v1 + 3 v2 <= 3.5; v0 + v3 = 2; v2 is binary
and v3 integer in [-2, 5]. Optimum 18.5 - 1: v = (3, 1, 0, -1)."""


@pytest.fixture(autouse=True)
def _this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIMTAB_URL", raising=False)


@pytest.fixture(scope="session", autouse=True)
def _no_child_stays() -> Iterator[None]:
    yield
    local.close_all()
