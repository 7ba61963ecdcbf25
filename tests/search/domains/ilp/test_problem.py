"""Values of a problem by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from search.domains.ilp.problem import IlpProblem
from tests.search.domains.ilp.search.runs import problem_of
from tests.search.models import milp


def mixed(folder: Path) -> IlpProblem:
    model = milp([1, 1, 1], [(0, [1, 1, 1], 9)], integer=[True, False, True])
    return problem_of(model, folder)


def test_integers_are_whole_and_others_as_they_are(tmp_path: Path) -> None:
    values = mixed(tmp_path).values_by_name(np.array([0.9999999, 0.25, 0.0]))
    assert list(values.values()) == [1.0, 0.25, 0.0]


def test_zeros_are_left_out(tmp_path: Path) -> None:
    values = mixed(tmp_path).nonzeros_by_name(np.array([1e-9, 0.25, 1.0]))
    assert list(values.values()) == [0.25, 1.0]
