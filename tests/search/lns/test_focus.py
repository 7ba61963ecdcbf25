"""Focus of the arms before and after the root LP."""

from __future__ import annotations

import numpy as np

from search.lns.core_columns import CoreColumns
from search.lns.focus import Focus, RootFocus
from search.lns.sub_mip import Slicer
from solvers.relaxation import Relaxation
from tests.search.models import brute_force, random_cover


def test_without_knowledge_everything_may_move() -> None:
    model = random_cover(8, 12, 1)
    focus = Focus(model)
    focus.learn(Relaxation(model).root())
    movable, must = focus.movable(np.ones(model.n), -1e9)
    assert movable.all()
    assert not must.any()
    assert focus.core(3, np.ones(model.n)) is None


def test_the_root_lp_fixes_variables_but_none_of_a_better_solution() -> None:
    model = random_cover(8, 12, 1)
    slicer = Slicer(model)
    focus = RootFocus(model, CoreColumns(model, slicer.by_row, slicer.by_column))
    x = np.ones(model.n)
    best, best_x = brute_force(model)
    assert best_x is not None
    assert focus.movable(x, best + 0.5)[0].all(), "nothing is known before the root LP"
    focus.learn(Relaxation(model).root())
    movable, must = focus.movable(x, best + 0.5)
    changed = np.abs(best_x - x) > 0.5
    assert movable[changed].all()
    assert changed[must].all()
    core = focus.core(3, np.zeros(model.n))
    assert core is not None
    assert core.sum() == 3
