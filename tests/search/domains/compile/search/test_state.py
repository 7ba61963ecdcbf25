"""Clock and budget that the modes share."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from search.domains.compile.search.state import SearchState
from search.stop import from_budget
from trimtab.specs.compile import Tier


def state(budget: dict[str, Any], tier: Tier = Tier.DEFAULT) -> SearchState:
    problem = SimpleNamespace(spec=SimpleNamespace(tier=tier))
    return SearchState(
        problem=cast("Any", problem),
        prepared=cast("Any", None),
        oracle=cast("Any", None),
        incumbents=cast("Any", None),
        stop=from_budget(budget, threading.Event()),
        rng=np.random.default_rng(0),
    )


def test_the_reserve_ends_the_search_before_the_budget() -> None:
    search = state({"seconds": 100.0})
    assert not search.over()
    assert search.left_s == pytest.approx(100.0, abs=1.0)
    search.reserve_s = 101.0
    assert search.over()
    assert search.stop.limit is None, "the criterion itself has not stopped"


def test_evaluations_are_counted_when_they_are_limited() -> None:
    search = state({"seconds": 100.0, "evaluations": 3})
    assert search.evaluations_left == 3
    search.spend(2)
    assert search.evaluations_left == 1
    search.spend(1)
    assert search.over()
    assert state({"seconds": 100.0}).evaluations_left is None


def test_the_tier_is_that_of_the_spec() -> None:
    assert state({"seconds": 1.0}, Tier.EXPERIMENTAL).experimental
    assert not state({"seconds": 1.0}).experimental
