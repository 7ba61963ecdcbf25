"""Observer whose methods do nothing."""

from __future__ import annotations

import numpy as np

from search.lns.observer import LnsObserver, Repair
from tests.search.lns.test_loop import make_loop
from tests.search.models import random_cover


def test_a_run_needs_no_observer_of_its_own() -> None:
    """The base class ties the loop to nothing: no solutions from outside, no late start."""
    model = random_cover(8, 12, 6)
    x = np.ones(model.n)
    observer = LnsObserver()
    assert observer.better_elsewhere(np.inf) is None
    assert observer.late_start() is None
    observer.on_repair(
        Repair(arm="random", before=x, free=x > 0, proved=False, after=None)
    )
    calls = iter(range(200))
    loop = make_loop(model, observer, lambda: next(calls, None) is None)
    loop.run(x)
    assert loop.objective < model.objective(x)
