"""Reduced-cost fixing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search.lns.reduced_cost_fixing import ReducedCostFixing
from solvers.relaxation import Relaxation
from tests.search.models import brute_force, random_cover


@given(seed=st.integers(0, 5_000))
@settings(max_examples=25, deadline=None)
def test_fixing_never_cuts_off_a_better_solution(seed: int) -> None:
    model = random_cover(7, 10, seed)
    root = Relaxation(model).root()
    best, best_x = brute_force(model)
    assert best_x is not None
    x = np.ones(model.n)
    movable, must = ReducedCostFixing(model, root).movable(x, best + 0.5)
    # Every variable that a better solution changes may move, and what must move does.
    assert movable[np.abs(best_x - x) > 0.5].all()
    assert (np.abs(best_x - x) > 0.5)[must].all()
