"""Recorder of one search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from search.domains.ilp.encode import encode
from search.domains.ilp.search.recorder import Recorder
from search.domains.ilp.solution import IlpSolution
from tests.search.domains.ilp.search.runs import problem_of
from tests.search.models import random_cover
from trimtab.results import Incumbent


def point(objective: float | None, bound: float | None = None) -> Incumbent:
    return Incumbent(elapsed_s=0.0, objective=objective, bound=bound)


def test_points_of_a_second_engine_start_where_the_first_ended(tmp_path: Path) -> None:
    model = random_cover(5, 8, 1)
    reports: list[tuple[float | None, Any]] = []

    def on_incumbent(incumbent: Incumbent, solution: Any = None, /) -> None:
        reports.append((incumbent.objective, solution and solution()))

    recorder = Recorder(problem_of(model, tmp_path), encode(model), on_incumbent)
    x, other = np.ones(8), np.ones(8)
    recorder(point(None, 1.0))
    recorder(point(9.0, 1.0), x)
    recorder(point(9.0, 2.0), x)  # only the bound has changed
    recorder(point(None, 1.0))  # another engine, which begins from nothing
    recorder(point(12.0, 1.0), other)
    recorder(point(7.0, 1.0), other)
    assert [objective for objective, _ in reports] == [None, 9.0, 9.0, 7.0]
    assert [isinstance(solution, IlpSolution) for _, solution in reports] == [
        False,
        True,
        False,
        True,
    ]
    assert [(objective, bound) for _, objective, bound in recorder.curve] == [
        (None, 1.0),
        (9.0, 1.0),
        (9.0, 2.0),
        (7.0, 1.0),
    ]
