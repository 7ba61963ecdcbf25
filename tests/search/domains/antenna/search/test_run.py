"""The funnel: limits, incumbents, and the choice among finalists."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.domains.antenna.encode import encode
from search.domains.antenna.parse import parse
from search.domains.antenna.search import run as funnel
from search.domains.antenna.search.layouts import Vectors, layouts_of
from search.domains.antenna.search.legalise import Rules
from search.domains.antenna.search.methods import Annealing, Setting
from search.domains.antenna.verify.second_solver import SecondOpinion
from search.stop import from_budget
from search.types import SearchOutcome
from tests.search.domains.antenna.jobs import job
from trimtab.results import Incumbent, Limit
from trimtab.specs.antenna import AntennaSpec


def search(folder: Path, **fields: Any) -> tuple[SearchOutcome, list[Incumbent]]:
    problem = parse(job(**fields), {}, folder)
    points: list[Incumbent] = []
    outcome = funnel.run_search(
        problem,
        encode(problem),
        stop=from_budget({"seconds": 60.0}, threading.Event()),
        rng=np.random.default_rng(0),
        on_incumbent=lambda point, solution=None: points.append(point),
    )
    return outcome, points


def test_solves_stay_within_their_limits(tmp_path: Path) -> None:
    outcome, points = search(tmp_path, coarse_solves=30, fine_solves=4, margin_db=10.0)
    solves = outcome.summary["solves"]
    assert solves["coarse"] == 30
    assert 1 <= solves["fine"] <= 4
    objectives = [point.objective for point in points]
    assert objectives == sorted(objectives)
    assert outcome.objective == objectives[-1]


def test_the_search_ends_once_the_margin_is_reached(tmp_path: Path) -> None:
    easy = [{"f_lo_hz": 6.0e9, "f_hi_hz": 6.2e9, "s11_max_db": -1.0}]
    outcome, _ = search(tmp_path, bands=easy, margin_db=0.0, coarse_solves=500)
    assert outcome.objective == 0.0
    assert outcome.summary["margin_db"] >= 0.0
    assert outcome.summary["solves"]["coarse"] < 500


def test_a_design_that_the_second_solver_confirms_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = iter(["fail", "pass"])
    asked: list[bytes] = []

    def opinion(problem: Any, design: Any, **limits: Any) -> SecondOpinion:
        asked.append(design.key)
        return SecondOpinion(verdict=next(verdicts), detail="")

    monkeypatch.setattr(funnel, "second_opinion", opinion)
    easy = [{"f_lo_hz": 6.0e9, "f_hi_hz": 6.2e9, "s11_max_db": -1.0}]
    outcome, _ = search(
        tmp_path,
        bands=easy,
        margin_db=0.0,
        fine_solves=12,
        verify_runs=3,
        coarse_solves=200,
    )
    assert len(asked) == 2
    assert outcome.solution.design.key == asked[1]
    assert outcome.summary["solves"]["second_solver_in_search"] == 2


def test_a_stop_before_the_first_fine_solve_still_gives_an_answer(tmp_path: Path) -> None:
    problem = parse(job(coarse_solves=1_000_000, margin_db=10.0), {}, tmp_path)
    event, asked = threading.Event(), 0
    stop = from_budget({"seconds": 60.0}, event)

    class Stopping(Annealing):
        def tell(self, designs: Any, scores: Any) -> None:
            nonlocal asked
            asked += 1
            super().tell(designs, scores)
            event.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            funnel, "make_searcher", lambda spec, rng: Stopping(_setting(spec, rng))
        )
        outcome = funnel.run_search(
            problem,
            encode(problem),
            stop=stop,
            rng=np.random.default_rng(0),
            on_incumbent=lambda point, solution=None: None,
        )
    assert asked == 1
    assert outcome.termination.limit is Limit.STOPPED
    assert outcome.solution is not None
    assert outcome.summary["solves"]["fine"] == 1


def _setting(spec: AntennaSpec, rng: np.random.Generator) -> Setting:
    rules = Rules(spec)
    return Setting(
        spec=spec,
        rules=rules,
        layouts=layouts_of(spec, rules),
        vectors=Vectors(spec, rules),
        rng=rng,
        evaluations=100,
    )
