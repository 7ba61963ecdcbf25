"""Order of a search: -Oz is reported first, levels are offered, and -Oz is the fallback."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.domains.compile.encode import prepare
from search.domains.compile.parse.problem import CompileProblem, parse_problem
from search.domains.compile.search import behaviour, run
from search.stop import from_budget
from search.types import SearchOutcome
from trimtab.results import Incumbent, Limit, Reason
from trimtab.specs.compile import CompileSpec, Language, Run

SOURCE = "int main(int n, char **v) { return n * 3 / 2; }"


@pytest.fixture
def problem(tmp_path: Path) -> CompileProblem:
    spec = CompileSpec(source_text=SOURCE, language=Language.C, runs=(Run(),))
    return parse_problem(spec, {}, tmp_path)


def searched(
    problem: CompileProblem, **budget: Any
) -> tuple[SearchOutcome, list[tuple[Incumbent, Any]]]:
    incumbents: list[tuple[Incumbent, Any]] = []

    def report(incumbent: Incumbent, solution: Any = None) -> None:
        incumbents.append((incumbent, solution()))

    prepared = prepare(problem)
    with prepared.engine:
        outcome = run.search_program(
            problem,
            prepared,
            from_budget({"seconds": 60.0, "evaluations": 1} | budget, threading.Event()),
            np.random.default_rng(0),
            report,
        )
    return outcome, incumbents


def test_oz_is_reported_before_its_behaviour_is_compared(problem: CompileProblem) -> None:
    outcome, incumbents = searched(problem)
    first, solution = incumbents[0]
    assert first.source == "Oz"
    assert solution.why_unvalidated == "the run ended before it was compared"
    assert outcome.summary["behaviour"] == "compared on 1 runs"
    values = [incumbent.objective for incumbent, _ in incumbents]
    assert values == sorted(values, reverse=True)
    assert {"O0", "O2", "Os", "Oz"} <= set(outcome.solution.levels)
    assert outcome.objective <= min(
        sizes.loadable_bytes for sizes in outcome.solution.levels.values()
    )


def test_a_differing_oz_stays_the_answer_without_comparisons(
    problem: CompileProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*_: object) -> behaviour.Verdict:
        return behaviour.Verdict(equal=False, compared=1, detail="run 0: exit code")

    compare = behaviour.BehaviourOracle.compare
    monkeypatch.setattr(
        behaviour.BehaviourOracle,
        "compare",
        lambda oracle, code: differ() if oracle.cases else compare(oracle, code),
    )
    outcome, _ = searched(problem)
    assert outcome.solution.name == "Oz"
    assert "behaves differently" in outcome.solution.why_unvalidated
    assert outcome.summary["pipelines_tried"] == 0
    assert "the answer is -Oz: nothing else was compared" in outcome.summary["notes"]


def test_a_used_up_budget_is_named_as_the_limit(problem: CompileProblem) -> None:
    outcome, _ = searched(problem)
    assert outcome.termination.reason is Reason.FEASIBLE
    assert outcome.termination.limit is Limit.EVALUATIONS
    assert "against -Oz" in outcome.termination.detail
