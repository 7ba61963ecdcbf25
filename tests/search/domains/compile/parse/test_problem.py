"""Problem of a job: runs, notes and objective as the spec has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.domains.compile.parse.problem import (
    WHOLE_PROGRAM,
    CompileProblem,
    parse_problem,
)
from search.types import InvalidInput
from solvers.llvm.types import Metric
from tests.search.domains.compile.test_domain import REFERENCE, archive
from trimtab.specs.compile import CompileSpec, CompileTarget, Language, Objective, Run

# No emulator runs code of this kind here.
ELSEWHERE = CompileTarget(triple="aarch64-none-elf")


def parsed(folder: Path, **spec: Any) -> CompileProblem:
    source = "int main(void) { int unused; return 0; }"
    return parse_problem(
        CompileSpec(source_text=source, language=Language.C, **spec), {}, folder
    )


@pytest.fixture(autouse=True)
def _on_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


def test_runs_become_cases_with_timeouts(tmp_path: Path) -> None:
    run = Run(arguments=("a",), stdin="in", expected_stdout="out", timeout_seconds=3.0)
    problem = parsed(tmp_path, runs=(run, Run()))
    first, second = problem.cases
    assert (first.arguments, first.stdin, first.expected_stdout) == (
        ("a",),
        b"in",
        b"out",
    )
    assert second.expected_stdout is None
    assert problem.case_timeouts_s[0] == 3.0
    assert problem.may_run
    assert problem.module.read_bytes().startswith(b"BC")


def test_run_time_reports_loadable_bytes_and_has_the_flavour_of_o2(
    tmp_path: Path,
) -> None:
    problem = parsed(tmp_path, objective=Objective.RUN_TIME, runs=(Run(),))
    assert problem.timed
    assert (problem.metric, problem.flavour) == (Metric.LOADABLE_BYTES, "O2")


def test_another_machines_code_is_not_run(tmp_path: Path) -> None:
    problem = parsed(tmp_path, target=ELSEWHERE)
    assert not problem.may_run
    assert any("cannot be run on this machine" in note for note in problem.notes)
    with pytest.raises(InvalidInput, match="drop `runs`"):
        parsed(tmp_path, target=ELSEWHERE, runs=(Run(),))


def test_an_owner_can_forbid_running(tmp_path: Path) -> None:
    assert not parsed(tmp_path, run_by_itself=False).may_run


MAIN = '#include <stdio.h>\nint half(int);\nint main(void) { return printf("%d", half(9)); }\n'
HALF = "int half(int x) { return x / 2; }\nint spare(int x) { return x * 7; }\n"


def of_archive(folder: Path, files: dict[str, str], **spec: Any) -> CompileProblem:
    source = archive(folder, files)
    reference = REFERENCE.model_copy(update={"name": "program.tar.gz"})
    return parse_problem(
        CompileSpec(source=reference, **spec), {"source": source}, folder
    )


def test_an_archive_of_a_whole_program_is_linked(tmp_path: Path) -> None:
    problem = of_archive(tmp_path, {"main.c": MAIN, "half.c": HALF})
    assert problem.image is not None
    assert problem.spec.image is not None
    assert set(problem.image.kept) == {"main"}
    assert WHOLE_PROGRAM in problem.notes


@pytest.mark.parametrize(
    ("files", "spec"),
    [
        pytest.param({"main.c": MAIN}, {}, id="a function is missing"),
        pytest.param({"half.c": HALF, "more.c": "int f;"}, {}, id="a library"),
        pytest.param(
            {"main.c": MAIN, "half.c": HALF}, {"whole_program": False}, id="not wanted"
        ),
        pytest.param(
            {"main.c": MAIN, "half.c": HALF},
            {"objective": Objective.IR_INSTRUCTIONS},
            id="an objective of objects",
        ),
    ],
)
def test_other_archives_are_objects(
    tmp_path: Path, files: dict[str, str], spec: dict[str, Any]
) -> None:
    problem = of_archive(tmp_path, files, **spec)
    assert problem.image is None
    assert problem.spec.image is None
    assert WHOLE_PROGRAM not in problem.notes
