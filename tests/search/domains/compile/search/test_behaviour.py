"""Behaviour oracle: equal programs pass, others differ, unusable references are explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.domains.compile.parse.problem import CompileProblem, parse_problem
from search.domains.compile.search.behaviour import NOT_RUN, BehaviourOracle
from search.types import InvalidInput
from solvers.llvm.engine import Engine
from solvers.llvm.types import Recipe
from trimtab.specs.compile import CompileSpec, Language, Run

ECHO = '#include <stdio.h>\nint main(int n, char **v) { puts(n > 1 ? v[1] : "-"); return n; }'


def problem_of(folder: Path, source: str = ECHO, **spec: Any) -> CompileProblem:
    folder.mkdir()
    return parse_problem(
        CompileSpec(source_text=source, language=Language.C, **spec), {}, folder
    )


def oracle_of(problem: CompileProblem) -> BehaviourOracle:
    return BehaviourOracle(
        problem, folder=problem.workdir / "runs", stopped=lambda: False
    )


def built(problem: CompileProblem, pipeline: str = "no-op-module") -> bytes:
    with Engine(problem.module.read_bytes(), target=problem.machine) as engine:
        return engine.build(Recipe(pipeline=pipeline)).object


def test_other_output_differs_and_equal_output_does_not(tmp_path: Path) -> None:
    runs = (Run(arguments=("hello",)), Run())
    problem = problem_of(tmp_path / "a", runs=runs)
    oracle = oracle_of(problem)
    oracle.record_reference(built(problem), has_main=True)
    assert len(oracle.cases) == 2
    assert oracle.run_s > 0
    assert oracle.compare(built(problem, "function(mem2reg)")).equal
    other = problem_of(tmp_path / "b", ECHO.replace('"-"', '"+"'))
    verdict = oracle.compare(built(other))
    assert not verdict.equal
    assert verdict.detail.startswith("run 1: ")


def test_a_program_that_does_not_link_differs(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "a")
    oracle = oracle_of(problem)
    oracle.record_reference(built(problem), has_main=True)
    library = problem_of(tmp_path / "b", "int twice(int x) { return 2 * x; }")
    verdict = oracle.compare(built(library))
    assert not verdict.equal
    assert verdict.detail.startswith("does not link")


def test_without_a_reference_everything_is_accepted_for_a_reason(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "a", run_by_itself=False)
    oracle = oracle_of(problem)
    oracle.record_reference(b"", has_main=True)
    assert oracle.why_unvalidated == NOT_RUN
    assert oracle.compare(b"not an object").equal
    library = oracle_of(problem_of(tmp_path / "b", "int x;"))
    library.record_reference(b"", has_main=False)
    assert library.why_unvalidated == "it has no `main`"


def test_a_disabled_oracle_compares_nothing(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "a")
    oracle = oracle_of(problem)
    oracle.record_reference(built(problem), has_main=True)
    oracle.disable("-Oz differs")
    assert oracle.cases == ()
    assert oracle.compare(b"").equal
    assert oracle.why_unvalidated == "-Oz differs"


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (Run(expected_exit=7), "ended with 1; 7 was expected"),
        (Run(expected_stdout="x"), r"printed '-\\n' \(2 bytes\)"),
    ],
)
def test_a_reference_that_misses_its_expectation_is_refused(
    tmp_path: Path, run: Run, message: str
) -> None:
    problem = problem_of(tmp_path / "a", runs=(run,))
    with pytest.raises(InvalidInput, match=message):
        oracle_of(problem).record_reference(built(problem), has_main=True)
