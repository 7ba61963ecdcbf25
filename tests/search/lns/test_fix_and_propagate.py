"""Fix-and-propagate and feasibility jump on models of every shape."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.lns.fix_and_propagate import Propagator, feasibility_jump
from search.lns.structure import structure
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from solvers.types import MilpModel
from tests.search.models import brute_force, milp, random_cover


def soon() -> float:
    return time.process_time() + 5.0


def mixed_rows(seed: int, *, equalities: bool = True) -> MilpModel:
    """Knapsacks, equalities and covers over general integers."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, 8).astype(float)
    rows = []
    for kind in range(6):
        a = rng.integers(-3, 6, 8).astype(float)
        value = float(a @ x)
        rows.append(
            [
                (-np.inf, value + 1),
                (value, value) if equalities else (value - 3, value),
                (value - 2, np.inf),
            ][kind % 3]
        )
        rows[-1] = (rows[-1][0], a.tolist(), rows[-1][1])
    return milp(rng.integers(-4, 5, 8).astype(float).tolist(), rows, upper=[3.0] * 8)


@given(seed=st.integers(0, 2_000))
@settings(max_examples=30, deadline=None)
def test_a_dive_never_ends_outside_a_row(seed: int) -> None:
    model = mixed_rows(seed)
    slicer = Slicer(model)
    rng = np.random.default_rng(seed)
    found = Propagator(model, slicer.by_row, slicer.by_column).dive(
        rng.integers(0, 4, model.n).astype(float), rng.permutation(model.n), soon()
    )
    assert found is None or is_feasible(model, found)


def test_a_dive_keeps_what_is_preferred_where_it_can() -> None:
    model = milp([1, 1, 1], [(1, [1, 1, 1], 1)])  # exactly one
    slicer = Slicer(model)
    found = Propagator(model, slicer.by_row, slicer.by_column).dive(
        np.array([0.0, 1, 1]), np.array([1, 2, 0]), soon()
    )
    assert found is not None
    assert found.tolist() == [0, 1, 0], "propagation takes the others out"


def test_a_dive_says_no_to_an_infeasible_model() -> None:
    model = milp([1, 1], [(3, [1, 1], np.inf)])
    slicer = Slicer(model)
    assert (
        Propagator(model, slicer.by_row, slicer.by_column).dive(
            np.ones(2), np.arange(2), soon()
        )
        is None
    )


@pytest.mark.parametrize("seed", range(12))
def test_jump_finds_a_point_where_there_is_one(seed: int) -> None:
    model = random_cover(8, 12, seed) if seed % 2 else mixed_rows(seed, equalities=False)
    slicer = Slicer(model)
    found = feasibility_jump(
        model,
        slicer.by_row,
        slicer.by_column,
        np.zeros(model.n),
        np.random.default_rng(seed),
        soon(),
    )
    assert found is not None
    assert is_feasible(model, found)


def test_jump_gives_up_in_time() -> None:
    model = milp([1, 1], [(3, [1, 1], np.inf)])
    slicer = Slicer(model)
    began = time.process_time()
    assert (
        feasibility_jump(
            model,
            slicer.by_row,
            slicer.by_column,
            np.zeros(2),
            np.random.default_rng(0),
            began + 0.2,
        )
        is None
    )
    assert time.process_time() - began < 1.0


def test_structure_counts_every_row_once() -> None:
    model = milp(
        [1] * 4,
        [
            (1, [1, 1, 0, 0], np.inf),
            (-np.inf, [1, 1, 1, 0], 1),
            (1, [1, 1, 1, 0], 1),
            (2, [1, 1, 1, 0], np.inf),
            (-np.inf, [3, 2, 0, 0], 4),
            (0, [1, -1, 0, 0], 0),
            (0, [1, 0, 0, 2], np.inf),
            (-np.inf, [1, 1, 1, 1], np.inf),
        ],
        integer=[True, True, True, False],
        upper=[1, 1, 1, 9],
    )
    found = structure(model)
    assert (found.covering, found.packing, found.partitioning, found.cardinality) == (
        1,
        1,
        1,
        1,
    )
    assert (found.knapsack, found.equality, found.mixed, found.free) == (1, 1, 1, 1)
    assert (found.binaries, found.general_integers, found.continuous) == (3, 0, 1)
    assert brute_force(random_cover(5, 6, 0))[1] is not None
