"""Check of an answer: tampered claims and files are faults, canonical text is compared."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.domains.compile.answer import CompileSolution
from search.domains.compile.domain import CompileDomain, programs_for
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.verify import (
    METHOD,
    METHOD_WITH_ENGINE,
    canonical,
    verify_answer,
)
from search.stop import from_budget
from tests.search.domains.compile.test_domain import PROGRAM
from trimtab.results import Verification, VerificationStatus
from trimtab.specs.compile import CompileSpec, Language, Run

Answer = tuple[CompileProblem, CompileSolution]


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    domain, folder = CompileDomain(), tmp_path_factory.mktemp("job")
    runs = (Run(arguments=("a b",)),)
    spec = CompileSpec(source_text=PROGRAM, language=Language.C, runs=runs)
    problem = domain.parse(spec, {}, folder)
    stop = from_budget({"seconds": 60.0, "evaluations": 2}, threading.Event())
    outcome = domain.search(
        problem, domain.encode(problem), stop, np.random.default_rng(0), lambda *_: None
    )
    return problem, outcome.solution


def verified(answer: Answer, **changes: Any) -> Verification:
    problem, solution = answer
    return verify_answer(problem, replace(solution, **changes), programs_for(problem))


def test_an_answer_of_the_search_is_valid(answer: Answer) -> None:
    verification = verified(answer)
    assert verification.status is VerificationStatus.VALID
    assert verification.checks["runs_equal"] == "1 of 1"
    assert "makes the same" in verification.checks["replay"]
    assert verification.objective == verification.claimed_objective


def test_a_claimed_size_is_measured_again(answer: Answer) -> None:
    sizes = answer[1].sizes
    claimed = replace(sizes, loadable_bytes=sizes.loadable_bytes - 1)
    verification = verified(answer, sizes=claimed)
    assert verification.status is VerificationStatus.INVALID
    assert f"the search claimed {claimed.loadable_bytes:,}" in verification.detail


def test_another_recipe_does_not_replay(answer: Answer) -> None:
    recipe = replace(answer[1].recipe, pipeline="no-op-module")
    verification = verified(answer, recipe=recipe)
    assert verification.status is VerificationStatus.INVALID
    assert "expected the answer from the unoptimised module" in verification.detail


def test_the_method_names_the_engine_where_it_repeats_the_answer(answer: Answer) -> None:
    recipe = answer[1].recipe
    by_opt = verified(answer, recipe=replace(recipe, function_tails=()))
    by_engine = verified(
        answer, recipe=replace(recipe, function_tails=(("main", "dce"),))
    )
    assert (by_opt.method, by_engine.method) == (METHOD, METHOD_WITH_ENGINE)
    assert by_opt.checks["replay"].startswith("opt -passes")
    assert by_engine.checks["replay"].startswith("the replay command")


def test_broken_bitcode_is_refused_by_llvm(answer: Answer, tmp_path: Path) -> None:
    broken = tmp_path / "optimised.bc"
    broken.write_bytes(b"BC\xc0\xde")
    verification = verified(answer, bitcode=broken)
    assert verification.status is VerificationStatus.INVALID
    assert verification.checks["verifier"] == "failed"


def test_without_cases_the_answer_is_unvalidated(answer: Answer) -> None:
    verification = verified(answer, cases=(), why_unvalidated="it has no `main`")
    assert verification.status is VerificationStatus.VALID
    assert verification.checks["runs_equal"] == "unvalidated: it has no `main`"


def test_canonical_text_ignores_numbers_of_attribute_groups() -> None:
    one = "define void @f() #1 {\n  call void @g() #2\n}\n"
    one += 'attributes #1 = { nounwind "target-cpu"="x" }\nattributes #2 = { cold }'
    other = "define void @f() #7 {\n  call void @g() #0\n}\n"
    other += "attributes #7 = { nounwind }\nattributes #0 = { cold }"
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "define void @f() #1 {\n}\nattributes #1 = { cold }",
            "define void @f() #1 {\n}\nattributes #1 = { hot }",
        ),
        (
            '@s = constant [2 x i8] c"#1"\nattributes #1 = { cold }',
            '@s = constant [2 x i8] c"#2"\nattributes #2 = { cold }',
        ),
        ("define void @f() {\n  ret void\n}", "define void @f() {\n  unreachable\n}"),
    ],
)
def test_canonical_text_keeps_other_programs_different(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)
