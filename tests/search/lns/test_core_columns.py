"""Core of columns that good solutions are made of."""

from __future__ import annotations

import numpy as np

from search.lns.core_columns import CoreColumns
from search.lns.sub_mip import Slicer
from solvers.relaxation import Relaxation
from tests.search.models import random_cover


def test_core_holds_the_incumbent_and_the_best_columns() -> None:
    model = random_cover(10, 30, 2)
    slicer = Slicer(model)
    core = CoreColumns(model, slicer.by_row, slicer.by_column)
    x = np.zeros(model.n)
    x[29] = 1.0
    mask = core.best(8, x)
    assert mask is not None
    assert mask[29]
    assert 8 <= mask.sum() <= 9
    root = Relaxation(model).root()
    core.learn(root)
    assert root.reduced_costs is not None
    mask = core.best(8, np.zeros(model.n))
    assert mask is not None
    assert (
        np.abs(root.reduced_costs)[mask].max()
        <= np.abs(root.reduced_costs)[~mask].min() + 1e-9
    )
