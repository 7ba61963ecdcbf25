"""State of a run: incumbents from slots, and when they close the gap."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from search.domains.ilp.search.slots import IncumbentSlot
from search.domains.ilp.search.state import RunState, bound_of_columns, in_user_sense
from solvers.types import Extras
from tests.search.models import milp


def test_only_better_solutions_are_read() -> None:
    slot, state = IncumbentSlot(2), RunState()
    assert not state.read(slot, "lns:rins")
    slot.put(3.0, np.ones(2))
    assert state.read(slot, "lns:rins")
    assert (state.objective, state.source) == (3.0, "lns:rins")
    assert not state.read(slot, "highs"), "the same solution again"
    assert state.source == "lns:rins"


@pytest.mark.parametrize(
    ("objective", "bound", "closed", "contradicts"),
    [
        (100.0, 100.0, True, False),
        (100.0, 99.99995, True, False),
        (100.0, 99.9, False, False),
        (0.0, -1e-10, True, False),
        (100.0, 101.0, False, True),
        (100.0, -math.inf, False, False),
    ],
)
def test_a_gap_is_closed_within_a_millionth(
    objective: float, bound: float, closed: bool, contradicts: bool
) -> None:
    state = RunState(objective=objective, x=np.ones(1), bound=bound)
    assert state.closed() is closed
    assert state.contradicts() is contradicts
    state.x = None
    assert not state.closed()
    assert not state.contradicts()


def test_points_are_in_the_users_sense() -> None:
    model = milp([-1.0, -2.0], [(-np.inf, [1, 1], 1)])
    model = type(model)(**{**vars(model), "maximize": True})
    point = RunState(objective=-2.0, bound=-4.0, x=np.ones(2), source="highs").point(
        model
    )
    assert (point.objective, point.bound, point.source) == (2.0, 4.0, "highs")
    assert point.gap == 0.5
    assert in_user_sense(model, math.inf) is None


def test_columns_alone_give_a_bound_before_there_is_another() -> None:
    model = milp(
        [2.0, -1.0, 0.0],
        [(-np.inf, [1, 1, 1], 9)],
        lower=[1.0, 0.0, -np.inf],
        upper=[np.inf, 3.0, np.inf],
    )
    model = replace(model, offset=5.0)
    assert bound_of_columns(model) == 2.0 - 3.0 + 5.0
    state = RunState(objective=6.0, x=np.ones(3), floor=4.0)
    assert state.point(model).bound == 4.0
    state.bound = 5.0
    assert state.point(model).bound == 5.0
    state.bound, state.objective = -np.inf, 4.0 - 1e-7
    assert state.point(model).bound is None, "within the tolerance of a column's bound"
    assert bound_of_columns(replace(model, c=np.array([-1.0, 0, 0]))) == -np.inf
    quadratic = replace(model, extras=Extras())
    assert bound_of_columns(quadratic) == -np.inf
