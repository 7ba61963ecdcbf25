from __future__ import annotations

import numpy as np
import pytest

from solvers.field.moments import MomentMethod, antenna, reflection
from solvers.field.sweep import sweep
from tests.solvers.field.boards import FEED, random_mask, tables


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_solving_every_frequency(seed: int) -> None:
    method = MomentMethod(tables(count=121), antenna(random_mask(seed), [FEED]))
    swept = sweep(method)
    direct = np.array([reflection(method.input_impedance(k)) for k in range(121)])
    assert np.abs(swept.s11 - direct).max() < 4e-3
    assert len(swept.solved) <= 40


def test_model_holds_between_the_frequencies() -> None:
    """The rational model from every second frequency gives the ones left out."""
    mask = random_mask(2)
    fine = MomentMethod(tables(count=121), antenna(mask, [FEED]))
    coarse = sweep(MomentMethod(tables(count=61), antenna(mask, [FEED])))
    x = fine.tables.frequencies_hz / fine.tables.frequencies_hz.max()
    direct = np.array([reflection(fine.input_impedance(k)) for k in range(1, 121, 2)])
    assert np.abs(coarse.model(x[1::2]) - direct).max() < 5e-3


def test_few_frequencies_are_all_solved() -> None:
    method = MomentMethod(tables(count=3), antenna(random_mask(1), [FEED]))
    swept = sweep(method)
    assert swept.solved == (0, 1, 2)
    assert np.isfinite(swept.s11).all()


def test_same_answer_twice() -> None:
    method = MomentMethod(tables(), antenna(random_mask(6), [FEED]))
    assert np.array_equal(sweep(method).s11, sweep(method).s11)
