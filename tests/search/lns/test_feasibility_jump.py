"""Feasibility jump on models of every shape."""

from __future__ import annotations

import time

import numpy as np
import pytest

from search.lns.feasibility_jump import feasibility_jump
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from tests.search.models import milp, mixed_rows, random_cover


def soon() -> float:
    return time.process_time() + 5.0


@pytest.mark.parametrize("seed", range(12))
def test_jump_finds_a_feasible_point(seed: int) -> None:
    model = random_cover(8, 12, seed) if seed % 2 else mixed_rows(seed, equalities=False)
    slicer = Slicer(model)
    x = feasibility_jump(
        model,
        slicer.by_row,
        slicer.by_column,
        np.zeros(model.n),
        np.random.default_rng(seed),
        soon(),
    )
    assert x is not None
    assert is_feasible(model, x)


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
    assert time.process_time() - began < 5.0
