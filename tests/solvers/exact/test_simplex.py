"""The exact simplex tableau."""

from __future__ import annotations

from fractions import Fraction

import pytest

from solvers.exact.simplex import Least, OutOfTime, Tableau


def test_the_tableau_minimises_and_restores() -> None:
    tableau = Tableau(
        2,
        [{0: Fraction(1), 1: Fraction(2)}, {0: Fraction(-1), 1: Fraction(-1)}],
        deadline=float("inf"),
    )
    for variable, bounds in enumerate([(0, 5), (0, 5), (None, 6), (None, None)]):
        tableau.set_bounds(
            variable, *(None if side is None else Fraction(side) for side in bounds)
        )
    assert tableau.restore()
    assert tableau.minimise(3) is Least.REACHED
    assert tableau.value[3] == Fraction(-11, 2)  # x = 5, y = 1/2
    tableau.set_bounds(2, Fraction(16), None)
    assert not tableau.restore()
    tableau.set_bounds(2, None, None)
    tableau.set_bounds(0, Fraction(0), None)
    assert tableau.restore()
    assert tableau.minimise(3) is Least.UNBOUNDED
    late = Tableau(1, [{0: Fraction(1)}], deadline=0.0)
    with pytest.raises(OutOfTime):
        late.restore()
