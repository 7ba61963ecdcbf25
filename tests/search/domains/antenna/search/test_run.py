"""The funnel: limits, incumbents, and the choice among finalists."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.domains.antenna.encode import encode
from search.domains.antenna.parse import AntennaProblem, parse
from search.domains.antenna.search import run as funnel
from search.domains.antenna.search.layouts import Vectors, layouts_of
from search.domains.antenna.search.legalise import Rules
from search.domains.antenna.search.methods import RandomSearch, Setting
from search.domains.antenna.search.solve import Evaluator
from search.domains.antenna.verify import second_solver
from search.domains.antenna.verify.legality import broken_rules
from search.domains.antenna.verify.second_solver import SecondOpinion
from search.domains.antenna.verify.verdicts import BandVerdict, Verdict
from search.stop import from_budget
from search.types import SearchOutcome
from tests.search.domains.antenna.jobs import job
from trimtab.results import Incumbent, Limit
from trimtab.specs.antenna import SearchMethod


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
    verdicts = iter([Verdict.FAIL, Verdict.PASS])
    asked: list[bytes] = []

    def opinion(problem: Any, design: Any, **limits: Any) -> SecondOpinion:
        asked.append(design.key)
        return judged(problem, next(verdicts))

    monkeypatch.setattr(second_solver, "second_opinion", opinion)
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
    assert len(outcome.summary["corrections"]) == 1


def test_openems_is_not_asked_more_often_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    def opinion(problem: Any, design: Any, **limits: Any) -> SecondOpinion:
        asked.append(design.key)
        return judged(problem, Verdict.FAIL)

    monkeypatch.setattr(second_solver, "second_opinion", opinion)
    easy = [{"f_lo_hz": 6.0e9, "f_hi_hz": 6.2e9, "s11_max_db": -1.0}]
    fields = {"bands": easy, "margin_db": 0.0, "coarse_solves": 200}
    outcome, _ = search(tmp_path, verify_runs=2, fine_solves=30, **fields)
    assert outcome.summary["solves"]["fine"] <= 30
    assert len(asked) == 2
    assert len(set(asked)) == 2
    assert outcome.solution.design.key in asked


TWO_BANDS = [
    {"f_lo_hz": 6.0e9, "f_hi_hz": 6.1e9},
    {"f_lo_hz": 7.0e9, "f_hi_hz": 7.1e9},
]
AVOID = [{"f_lo_hz": 5.4e9, "f_hi_hz": 5.5e9}]
CONDITIONS: dict[str, dict[str, Any]] = {
    "posts": {"max_vias": 2, "avoid": AVOID},
    "shape": {"symmetric": True, "connected": True, "feed": [2, 2]},
    "limits": {"min_feature_mm": 6.0, "min_efficiency": 0.5, "feed": [1, 3]},
    "rectangles": {"topology": "rectangles", "bands": TWO_BANDS, "connected": True},
}


@pytest.mark.parametrize("method", SearchMethod)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_method_obeys_every_condition(
    tmp_path: Path, method: SearchMethod, condition: str
) -> None:
    fields = {"margin_db": 10.0, "coarse_solves": 16, **CONDITIONS[condition]}
    spec = job(search=method.value, **fields)
    outcome, points = search(tmp_path, search=method.value, **fields)
    assert broken_rules(spec, outcome.solution.design) == []
    assert outcome.summary["solves"]["coarse"] <= 16 + 4
    assert outcome.objective == points[-1].objective
    again, _ = search(tmp_path, search=method.value, **fields)
    assert again.solution.design.key == outcome.solution.design.key


def judged(problem: AntennaProblem, verdict: Verdict) -> SecondOpinion:
    """An opinion whose response is flat."""
    frequencies = np.linspace(*problem.range_hz, 201)
    worst = -5.0 if verdict is Verdict.PASS else -0.5
    band = BandVerdict(
        name="bands[0]", verdict=verdict, worst_db=worst, limit_db=-1.0, shift=None
    )
    return SecondOpinion(
        verdict=verdict.value,
        detail="",
        bands=(band,),
        frequencies_hz=frequencies,
        s11=np.full(201, 0.94 + 0j),
    )


def test_a_stop_before_the_first_fine_solve_still_gives_an_answer(tmp_path: Path) -> None:
    problem = parse(job(coarse_solves=1_000_000, margin_db=10.0), {}, tmp_path)
    event, asked = threading.Event(), 0
    stop = from_budget({"seconds": 60.0}, event)

    class Stopping(RandomSearch):
        def tell(self, designs: Any, scores: Any) -> None:
            nonlocal asked
            asked += 1
            super().tell(designs, scores)
            event.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            funnel,
            "make_searcher",
            lambda evaluator, rng, learned: Stopping(_setting(evaluator, rng)),
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
    # The textbook patch, then the best coarse design though time is over.
    assert outcome.summary["solves"]["fine"] == 2


def test_the_textbook_patch_is_reported_before_any_table_of_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process killed as early as this leaves a checkpoint."""
    problem, points = parse(job(), {}, tmp_path), []
    encoding = encode(problem)

    def killed(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("search.domains.antenna.search.solve.coarse_tables", killed)
    with pytest.raises(KeyboardInterrupt):
        funnel.run_search(
            problem,
            encoding,
            stop=from_budget({"seconds": 60.0}, threading.Event()),
            rng=np.random.default_rng(0),
            on_incumbent=lambda point, solution=None: points.append(point.source),
        )
    assert points == ["textbook patch"]


def test_a_single_fine_solve_is_for_a_design_that_was_searched_for(
    tmp_path: Path,
) -> None:
    outcome, points = search(tmp_path, fine_solves=1, coarse_solves=10, margin_db=10.0)
    assert outcome.summary["solves"]["fine"] == 1
    assert [point.source for point in points] == ["tabu"]


def test_a_textbook_patch_that_suffices_ends_the_search(tmp_path: Path) -> None:
    easy = [{"f_lo_hz": 6.0e9, "f_hi_hz": 6.01e9, "s11_max_db": -1.0}]
    outcome, _ = search(tmp_path, bands=easy, margin_db=0.0)
    assert outcome.summary["solves"] == {
        "coarse": 0,
        "fine": 1,
        "second_solver_in_search": 0,
    }
    assert outcome.termination.detail.startswith("the margin of 0 dB is reached")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_run_without_time_for_a_single_solve_still_gives_a_legal_answer(
    tmp_path: Path, condition: str
) -> None:
    spec = job(**CONDITIONS[condition])
    problem, event = parse(spec, {}, tmp_path), threading.Event()
    event.set()
    points: list[Incumbent] = []
    outcome = funnel.run_search(
        problem,
        encode(problem),
        stop=from_budget({"seconds": 60.0}, event),
        rng=np.random.default_rng(0),
        on_incumbent=lambda point, solution=None: points.append(point),
    )
    assert outcome.summary["solves"] == {
        "coarse": 0,
        "fine": 1,
        "second_solver_in_search": 0,
    }
    assert broken_rules(spec, outcome.solution.design) == []
    assert [point.source for point in points] == ["textbook patch"]
    assert outcome.objective == points[0].objective
    assert outcome.termination.limit is Limit.STOPPED
    assert outcome.termination.detail.startswith("the time ended before")


def _setting(evaluator: Evaluator, rng: np.random.Generator) -> Setting:
    spec = evaluator.problem.spec
    rules = Rules(spec)
    return Setting(
        spec=spec,
        rules=rules,
        layouts=layouts_of(spec, rules),
        vectors=Vectors(spec, rules),
        rng=rng,
        evaluations=100,
        evaluator=evaluator,
    )
