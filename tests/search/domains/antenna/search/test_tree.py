"""Tree search: widening, and the first level's post."""

from __future__ import annotations

import numpy as np

from search.domains.antenna.search.layouts import Vectors
from search.domains.antenna.search.legalise import Rules
from search.domains.antenna.search.tree import TreeSearch
from tests.search.domains.antenna.jobs import job


def test_children_grow_with_the_root_of_the_visits() -> None:
    spec = job(max_rectangles=3)
    tree = TreeSearch(Vectors(spec, Rules(spec)), np.random.default_rng(0))
    for number in range(100):
        designs = tree.ask(8)
        assert len(designs) == 1
        tree.tell(designs, [float(number % 7)])
    root = tree._root
    assert root.visits == 100
    assert len(root.children) <= 1.5 * 10 + 1
    assert sum(child.visits for child in root.children) == 100
    assert root.best == 6.0
