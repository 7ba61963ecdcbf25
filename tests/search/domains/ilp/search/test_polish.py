"""Polishing of solutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from search.domains.ilp.encode import encode
from search.domains.ilp.search.polish import candidates
from solvers.feasibility import is_feasible
from tests.search.models import milp, random_cover


def test_integers_are_rounded(tmp_path: Path) -> None:
    model = random_cover(5, 8, 1)
    (x,) = candidates(encode(model), np.full(8, 1 - 1e-7), tmp_path)
    assert x.tolist() == [1.0] * 8


def test_continuous_values_stay_within_their_bounds(tmp_path: Path) -> None:
    model = milp([1, 1], [(0, [1, 1], 9)], integer=[True, False])
    (x,) = candidates(encode(model), np.array([1.0, 1.0000001]), tmp_path)
    assert x.tolist() == [1.0, 1.0]


def test_the_continuous_part_is_solved_again_where_rounding_breaks_a_row(
    tmp_path: Path,
) -> None:
    model = milp([1, 1], [(1.5, [1, 1], 1.5)], integer=[True, False])
    best = candidates(encode(model), np.array([0.9999, 0.5001]), tmp_path)[0]
    assert is_feasible(model, best)
    assert best.tolist() == [1.0, 0.5]
