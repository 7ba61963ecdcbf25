"""LNS process: messages, slots, and the models it does not run on."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from search.domains.ilp.search import lns_process
from search.domains.ilp.search.lns_process import (
    StartPoints,
    construct_at_once,
    lns_refusal,
    run_lns,
)
from search.domains.ilp.search.messages import (
    Iterated,
    NewIncumbent,
    Note,
    RunMessage,
    SearchStarted,
    Statistics,
)
from search.domains.ilp.search.slots import RunSlots
from search.lns.root_lp import solve_root
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from solvers.types import MilpModel
from tests.search.models import milp, random_cover
from trimtab.specs.ilp import LnsOptions, Neighbourhood
from workers.corpus import mixed_programs


def run(
    model: MilpModel, slots: RunSlots, seconds: float, **start: Any
) -> list[RunMessage]:
    sent: list[RunMessage] = []
    work = run_lns(
        model,
        options=LnsOptions(neighbourhoods=(Neighbourhood.RANDOM,)),
        slots=slots,
        deadline=time.monotonic() + seconds,
        seed=1,
        slicer=Slicer(model),
        start=StartPoints(**start),
    )
    work(sent.append)
    return sent


def test_it_reports_its_start_its_incumbents_and_its_figures() -> None:
    model = random_cover(12, 30, 3)
    slots = RunSlots(model)
    sent = run(model, slots, 0.5, constructed=np.ones(30))
    assert sent[0] == NewIncumbent(source="start:construction")
    total = float(model.c.sum())
    assert sent[1] == SearchStarted(objective=total, heuristic="construction")
    assert Iterated() in sent
    assert isinstance(sent[-1], Statistics)
    assert set(sent[-1].arms) == {"random"}
    assert NewIncumbent(source="lns:random") in sent
    best = slots.lns.better_than(total)
    assert best is not None
    assert is_feasible(model, best[1])


def test_a_start_that_the_engine_beats_is_not_shared() -> None:
    model = random_cover(12, 30, 3)
    slots = RunSlots(model)
    slots.engine.put(0.0, np.ones(30))
    sent = run(model, slots, 0.05, constructed=np.ones(30))
    assert isinstance(sent[0], SearchStarted)
    assert slots.lns.objective == np.inf


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        (LnsOptions(), 0),
        (LnsOptions(neighbourhoods=(Neighbourhood.RANDOM, Neighbourhood.CL_LNS)), 1),
    ],
)
def test_an_arm_that_does_not_fit_is_noted_where_arms_were_chosen(
    options: LnsOptions, notes: int
) -> None:
    model = mixed_programs.generate("facility-location", 1, size="tiny")
    slots, sent = RunSlots(model), list[RunMessage]()
    solve_root(model, slots.root_lp, seconds=10.0)(lambda message: None)
    work = run_lns(
        model,
        options=options,
        slots=slots,
        deadline=time.monotonic() + 3.0,
        seed=1,
        slicer=Slicer(model),
        start=StartPoints(),
    )
    work(sent.append)
    assert isinstance(sent[-1], Statistics)
    assert "cl-lns" not in sent[-1].arms
    disabled = [m for m in sent if isinstance(m, Note) and "disabled" in m.text]
    assert len(disabled) == notes


def test_random_neighbourhoods_stand_in_for_an_only_arm_that_does_not_fit() -> None:
    model = mixed_programs.generate("facility-location", 1, size="tiny")
    slots, sent = RunSlots(model), list[RunMessage]()
    solve_root(model, slots.root_lp, seconds=10.0)(lambda message: None)
    run_lns(
        model,
        options=LnsOptions(neighbourhoods=(Neighbourhood.CL_LNS,)),
        slots=slots,
        deadline=time.monotonic() + 3.0,
        seed=1,
        slicer=Slicer(model),
        start=StartPoints(),
    )(sent.append)
    assert isinstance(sent[-1], Statistics)
    assert set(sent[-1].arms) == {"random"}
    assert NewIncumbent(source="lns:random") in sent


@pytest.mark.parametrize(
    ("columns", "options", "refusal"),
    [
        (30, LnsOptions(), None),
        (30, LnsOptions(enabled=False), "switched off by the spec"),
        (12, LnsOptions(), "only 12 integer variables"),
        (1, LnsOptions(), "only 1 integer variable"),
    ],
)
def test_where_it_does_not_run(
    columns: int, options: LnsOptions, refusal: str | None
) -> None:
    assert lns_refusal(random_cover(8, columns, 1), options) == refusal


def test_constructions_at_once_are_for_small_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = random_cover(12, 30, 3)
    x = construct_at_once(model, Slicer(model))
    assert x is not None
    assert is_feasible(model, x)
    equality = milp([1, 1], [(1, [1, 1], 1)])
    assert construct_at_once(equality, Slicer(equality)) is None
    monkeypatch.setattr(lns_process, "_AT_ONCE_NONZEROS", 10)
    assert construct_at_once(model, Slicer(model)) is None
