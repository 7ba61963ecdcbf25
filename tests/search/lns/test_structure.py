"""Row classes of a model."""

from __future__ import annotations

import numpy as np

from search.lns.structure import structure
from tests.search.models import brute_force, milp, random_cover


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
    counts = structure(model)
    assert (counts.covering, counts.packing, counts.partitioning, counts.cardinality) == (
        1,
        1,
        1,
        1,
    )
    assert (counts.knapsack, counts.equality, counts.mixed, counts.free) == (1, 1, 1, 1)
    assert (counts.binaries, counts.general_integers, counts.continuous) == (3, 0, 1)
    assert brute_force(random_cover(5, 6, 0))[1] is not None
