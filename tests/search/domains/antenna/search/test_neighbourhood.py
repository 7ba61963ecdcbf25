"""Scores of neighbours are those of the evaluator; a walk climbs by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.domains.antenna.search.layouts import layouts_of
from search.domains.antenna.search.legalise import Rules
from search.domains.antenna.search.neighbourhood import Neighbourhood
from search.domains.antenna.search.solve import Evaluator
from search.domains.antenna.search.tabu import Tabu
from tests.search.domains.antenna.jobs import PATCH, problem


@pytest.mark.parametrize("topology", ["pixels", "rectangles"])
@pytest.mark.parametrize("posts", [{"feed": [2, 2]}, {"feed": None, "max_vias": 2}])
def test_neighbours_score_as_if_they_were_solved(
    tmp_path: Path, topology: str, posts: dict[str, Any]
) -> None:
    evaluator = Evaluator(problem(tmp_path, topology=topology, **posts))
    spec, rng = evaluator.problem.spec, np.random.default_rng(0)
    layouts, near = layouts_of(spec, Rules(spec)), Neighbourhood(evaluator)
    near.move(PATCH)
    designs = layouts.neighbours(PATCH, rng)
    assert len({design.key for design in designs}) == len(designs) > 10
    margins, guides = near.guides(designs)
    for number in range(0, len(designs), 7):
        score = evaluator.score(designs[number], "coarse")
        assert margins[number] == pytest.approx(score.margin_db, abs=1e-6)
        assert guides[number] == pytest.approx(score.guide_db, abs=1e-6)


def test_a_walk_finds_better_designs_and_no_design_twice(tmp_path: Path) -> None:
    evaluator = Evaluator(problem(tmp_path, feed=[2, 2]))
    spec, rng = evaluator.problem.spec, np.random.default_rng(0)
    walk = Tabu(Neighbourhood(evaluator), layouts_of(spec, Rules(spec)), rng)
    start = evaluator.score(PATCH, "coarse").guide_db
    walk.begin(PATCH, start)
    seen = {PATCH.key}
    for _ in range(15):
        design, _, guide = walk.step()[0]
        walk.take(design, guide)
        assert design.key not in seen
        seen.add(design.key)
    assert walk.best_db > start


def test_a_grid_whose_matrices_do_not_fit_is_refused(tmp_path: Path) -> None:
    small = Evaluator(problem(tmp_path, feed=[2, 2]))
    assert Neighbourhood.fits(small, "fine")
    wide = problem(
        tmp_path,
        grid={"cells": 19, "cell_mm": 2.0},
        board={"size_mm": 50.0},
        feed=None,
        max_vias=1,
    )
    assert not Neighbourhood.fits(Evaluator(wide), "fine")
