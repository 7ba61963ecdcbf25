"""Reasons of an end, reports on a warm start, and pictures that cost no result."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from search import pipeline
from search.domains.ilp import build
from search.domains.ilp import produce as producing
from search.domains.ilp.search.messages import EngineEnded
from search.drawing.curves import step_curves
from search.stop import from_budget
from tests.cases.ilp.solving import INPUTS, solve
from trimtab.results import Reason, VerificationStatus
from trimtab.specs.ilp import Engine, IlpSpec

BOX = (
    "Maximize\n o: 3 x + 2 y + z\nSubject To\n c: x + y + z <= 10\n d: x - y >= 1\n"
    "Bounds\n x <= 6\n y <= 6\n z <= 6\n"
    "General\n x y\nEnd\n"
)


def test_convex_quadratic_programs_are_proved(tmp_path: Path) -> None:
    result = solve(INPUTS / "convex-portfolio.lp", tmp_path)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.objective == pytest.approx(9.66989e-4, rel=2e-6)


def test_a_quadratic_program_that_is_not_convex(tmp_path: Path) -> None:
    model = (
        "Minimize\n o: [ 2 x * y - 2 x^2 ] / 2\nSubject To\n c: x + y <= 3\n"
        "Bounds\n x <= 2\n y <= 2\nEnd\n"
    )
    result = solve(model, tmp_path)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.objective == pytest.approx(-4)


@pytest.mark.parametrize("engine", [Engine.HIGHS, Engine.SCIP])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "Maximize\n o: x + y\nSubject To\n c: x - y = 1\nGeneral\n x y\nEnd\n",
            Reason.UNBOUNDED,
        ),
        (
            "Maximize\n o: x + y\nSubject To\n c: 2 x - 2 y = 1\nGeneral\n x y\nEnd\n",
            Reason.INFEASIBLE,
        ),
        (
            "Maximize\n o: x + y\nSubject To\n c: x - y = 1\n d: x + 2 z = 1\n e: x <= 2\n"
            "Binary\n z\nEnd\n",
            Reason.OPTIMAL,
        ),
        (
            "Maximize\n o: x + z\nSubject To\n c: z + w >= 3\nBinary\n z w\nEnd\n",
            Reason.INFEASIBLE,
        ),
        ("Minimize\n o: x\nBounds\n x free\nEnd\n", Reason.UNBOUNDED),
    ],
)
def test_unbounded_and_infeasible_are_distinguished(
    text: str, reason: Reason, engine: Engine, tmp_path: Path
) -> None:
    result = solve(text, tmp_path, engine=engine)
    assert result.termination.reason is reason


@pytest.mark.parametrize("engine", [Engine.HIGHS, Engine.SCIP])
def test_engines_settle_it_without_an_exact_proof(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.domains.ilp.search import settle

    monkeypatch.setattr(settle, "takes_size", lambda model: False)
    assert (
        solve(INPUTS / "unbounded.lp", tmp_path, engine=engine).termination.reason
        is Reason.UNBOUNDED
    )
    odd = "Maximize\n o: x + y\nSubject To\n c: 2 x - 2 y = 1\n d: x <= 100\nGeneral\n x y\nEnd\n"
    assert solve(odd, tmp_path, engine=engine).termination.reason is Reason.INFEASIBLE


@pytest.mark.parametrize(
    ("start", "outcome", "words"),
    [
        ("x 6\ny 4\nz 0\n", "used as it is", ""),
        ("x 6\n", "completed", "missing"),
        ("x 9\ny 1\n", "repaired", "'x' = 9"),
        ("x 1\ny 6\n", "repaired", "row 'd'"),
        ("x 2.5\ny 1\nz 0\n", "repaired", "fractional value"),
    ],
)
def test_reports_on_a_warm_start(
    start: str, outcome: str, words: str, tmp_path: Path
) -> None:
    result = solve(BOX, tmp_path, start=start)
    report: Any = result.summary["warm_start"]
    assert report["outcome"] == outcome
    assert words in report["detail"]
    assert report["objective"] <= 26
    assert result.objective == 26


def test_a_warm_start_of_an_infeasible_model_is_dropped(tmp_path: Path) -> None:
    model = "Minimize\n o: x\nSubject To\n a: x + y >= 3\nBinary\n x y\nEnd\n"
    report: Any = solve(model, tmp_path, start="x 1\ny 1\n").summary["warm_start"]
    assert report["outcome"] == "dropped"
    assert "row 'a'" in report["detail"]


def test_the_limit_is_the_engines_own_when_time_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.domains.ilp.search import supervisor

    def gives_up(*_: Any, **__: Any) -> Any:
        end = EngineEnded(reason="no_solution_found", limit="other", detail="it gave up")
        return lambda send: send(end)

    monkeypatch.setattr(supervisor, "run_engine", gives_up)
    equality = solve(INPUTS / "whole-numbers-cap.lp", tmp_path, seconds=20)
    assert equality.termination.reason is Reason.OPTIMAL, (
        "the exact branch and bound takes over"
    )
    # No exact proof, no other engine.
    quadratic = solve(INPUTS / "convex-portfolio.lp", tmp_path, seconds=20)
    assert quadratic.termination.limit is not None
    assert quadratic.termination.limit.value == "other"
    assert "before the time limit" in quadratic.termination.detail


def test_a_picture_costs_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(producing, "step_curves", fails)
    done = pipeline.run(
        build(),
        IlpSpec(model_text=BOX, format="lp"),
        inputs={},
        workdir=tmp_path,
        stop=from_budget({"seconds": 20}, threading.Event()),
        seed=0,
    )
    assert done.result.verification.status is VerificationStatus.VALID
    assert {"solution.sol", "solution.json"} <= {each.name for each in done.produced}


@pytest.mark.parametrize(
    "height", [0.0, 1e-300, 5e-324, 1e16, 1.142858e16, 1e300, 1.7e308, -1.7e308]
)
@pytest.mark.parametrize("rise", [0.0, 1e-17, 1.0])
def test_flat_curves_have_a_height(height: float, rise: float) -> None:
    curve = [(0.0, height), (1.0, height * (1 + rise * 1e-16))]
    assert step_curves({"incumbent": curve}, until=1.0, title="flat").endswith("</svg>")
    assert step_curves(
        {"incumbent": curve}, until=1.0, title="flat", limits=(height, height)
    ).endswith("</svg>")
