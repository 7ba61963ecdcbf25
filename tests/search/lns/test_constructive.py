"""Constructed start solutions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search.lns.constructive import constructive
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from tests.search.models import milp, random_cover


@given(seed=st.integers(0, 5_000))
@settings(max_examples=25, deadline=None)
def test_construction_is_feasible(seed: int) -> None:
    model = random_cover(12, 20, seed)
    slicer = Slicer(model)
    x = constructive(model, slicer.by_row, slicer.by_column)
    assert x is not None
    assert is_feasible(model, x)
    for j in np.flatnonzero(x > 0.5):  # nothing in it is redundant
        without = x.copy()
        without[j] = 0.0
        assert not is_feasible(model, without)


def test_construction_packs_and_returns_none_elsewhere() -> None:
    packing = milp([-3, -2, -2], [(-np.inf, [1, 1, 0], 1), (-np.inf, [0, 1, 1], 1)])
    slicer = Slicer(packing)
    x = constructive(packing, slicer.by_row, slicer.by_column)
    assert x is not None
    assert is_feasible(packing, x)
    assert packing.objective(x) == -5.0
    equality = milp([1, 1], [(1, [1, 1], 1)])
    slicer = Slicer(equality)
    assert constructive(equality, slicer.by_row, slicer.by_column) is None
