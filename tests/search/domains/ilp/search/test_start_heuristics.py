"""Start heuristics: the first that is feasible, by row class."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from search.domains.ilp.search.slots import IncumbentSlot, IncumbentSlots
from search.domains.ilp.search.start_heuristics import StartHeuristics
from search.lns.deadline import Deadline
from search.lns.guide import Guide
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from solvers.types import Floats, MilpModel
from tests.search.models import milp, odd_cycle, partitioning, random_cover
from workers.corpus.mixed_programs import generate


def heuristics_of(
    model: MilpModel,
    *,
    seconds: float = 20.0,
    others: IncumbentSlot | None = None,
    constructed: Floats | None = None,
) -> StartHeuristics:
    guide = Guide(model, deadline=Deadline(time.monotonic() + seconds))
    slot = IncumbentSlot(model.n) if others is None else others
    return StartHeuristics(
        guide,
        Slicer(model),
        others=IncumbentSlots(slot),
        rng=np.random.default_rng(0),
        constructed=constructed,
    )


KNAPSACKS = milp([-3, -2, -4], [(2, [3, 2, 4], 6), (-np.inf, [1, 2, 1], 3)])
MIXED = milp([1, 1, 2], [(1.5, [1, 1, 1], np.inf)], integer=[True, False, True])


@pytest.mark.parametrize(
    ("model", "heuristic"),
    [
        (random_cover(9, 13, 1), "construction"),
        (KNAPSACKS, "fix-and-propagate"),
        (partitioning(12, 40, 1), "lp-"),
        (MIXED, ""),
    ],
)
def test_the_row_class_decides(model: MilpModel, heuristic: str) -> None:
    heuristics = heuristics_of(model)
    x = heuristics.find()
    assert x is not None
    assert is_feasible(model, x)
    assert heuristics.source.startswith(heuristic)
    assert heuristics.source


def test_a_construction_at_hand_comes_first() -> None:
    model = random_cover(9, 13, 1)
    heuristics = heuristics_of(model, constructed=np.ones(model.n))
    assert heuristics.find() is not None
    assert heuristics.source == "construction"


@pytest.mark.parametrize(
    ("values", "heuristic"),
    [([1.0] * 13, "warm-start"), ([np.nan] * 13, "warm-start-repaired")],
)
def test_a_warm_start_comes_before_it(values: list[float], heuristic: str) -> None:
    model = random_cover(9, 13, 1)
    heuristics = heuristics_of(model, constructed=np.ones(model.n))
    x = heuristics.find(np.array(values))
    assert x is not None
    assert is_feasible(model, x)
    assert heuristics.source == heuristic


def test_a_solution_of_another_process_ends_the_search_for_one() -> None:
    slot = IncumbentSlot(3)
    slot.put(-6.0, np.array([1.0, 0.0, 0.0]))
    heuristics = heuristics_of(KNAPSACKS, others=slot)
    x: Any = heuristics.find()
    assert x.tolist() == [1.0, 0.0, 0.0]
    assert heuristics.source == "engine"


def test_time_ends_it_where_there_is_no_solution() -> None:
    assert heuristics_of(odd_cycle(), seconds=0.3).find() is None


def test_the_late_dive_is_for_partitioning_rows_and_comes_once() -> None:
    model = partitioning(12, 40, 1)
    slot = IncumbentSlot(model.n)
    slot.put(1e9, np.ones(model.n))
    heuristics = heuristics_of(model, others=slot)
    heuristics.find()
    late = heuristics.late_solution()
    assert late is not None
    assert is_feasible(model, late)
    assert heuristics.late_solution() is None
    assert heuristics_of(random_cover(9, 13, 1)).late_solution() is None


def test_a_capacitated_assignment_begins_near_its_lp_late_as_well() -> None:
    model = generate("generalised-assignment", 2, size="S", regime="recurring")
    slot = IncumbentSlot(model.n)
    slot.put(1e9, np.ones(model.n))  # of the engine, far from good
    heuristics = heuristics_of(model, others=slot)
    heuristics.find()
    late = heuristics.late_solution()
    assert late is not None
    assert is_feasible(model, late)
    assert heuristics.late_solution() is None, "once"
    alone = heuristics_of(model)
    assert alone.find() is not None
    assert alone.source == "lp-sub-mip"


def test_set_ups_that_the_lp_opens_a_little_are_opened() -> None:
    """Fix-and-propagate towards cheap values leaves all set-ups off, which no stock allows."""
    model = generate("lot-sizing", 1, size="tiny", regime="recurring")
    heuristics = heuristics_of(model)
    x = heuristics.find()
    assert x is not None
    assert is_feasible(model, x)
    assert heuristics.source == "lp-round-up"
    assert heuristics.late_solution() is None, "once"


def test_a_start_that_pays_penalties_is_followed_by_the_rounded_lp() -> None:
    model = generate("network-design", 1, size="tiny", regime="recurring")
    heuristics = heuristics_of(model)
    x = heuristics.find()
    assert x is not None
    late = heuristics.late_solution()
    assert late is not None
    assert is_feasible(model, late)
    assert model.objective(late) < model.objective(x)
