"""report.md: sizes, checks and quarantine in Markdown that hostile names cannot break."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from search.domains.compile.produce.report import write_report
from solvers.llvm.types import Metric, Sizes, Target
from tests.search.domains.compile.test_answer import solution

PROBLEM: Any = SimpleNamespace(
    sources=("a.c",),
    machine=Target(cpu="x86-64"),
    timed=False,
    metric=Metric.LOADABLE_BYTES,
    notes=("a note",),
)
PROGRAMS: Any = SimpleNamespace(commands=lambda recipe: [f"opt {recipe.pipeline}"])
VALIDATION = {
    "status": "valid",
    "detail": "fine",
    "checks": {"runs_equal": "1 of 1", "runs_not_counted": ["run 1", "run 2"]},
    "quarantined": [
        {"name": "bad", "why": "stdout", "reproducer": {"last_pass": "gvn"}},
        {"name": "late", "why": "exit code", "reproducer": None},
    ],
}


def test_the_report_has_sizes_checks_quarantine_and_commands() -> None:
    report = write_report(PROBLEM, solution(), VALIDATION, PROGRAMS)
    assert "90 loadable bytes, -25.00 % against the 120 of -Oz" in report
    assert "| trimtab | 90 (-25.00 %) | 45 (-25.00 %) | 9 (+0.00 %) |" in report
    assert "| -Oz | 120 | 60 | 9 |" in report
    assert "- runs equal: 1 of 1\n- runs not counted: run 1; run 2" in report
    assert (
        "- `bad`: stdout; first bad prefix ends with `gvn`\n- `late`: exit code" in report
    )
    assert "## Notes\n\n- a note" in report
    assert report.endswith("```\nopt globaldce\n```\n")


def test_names_cannot_break_the_tables() -> None:
    functions = {"a|b`c": 10}
    answer = replace(
        solution(),
        sizes=Sizes(ir_instructions=1, functions={"a|b`c": 4}),
        levels={"Oz": Sizes(ir_instructions=1, functions=functions)},
    )
    report = write_report(PROBLEM, answer, {}, PROGRAMS)
    assert "| `a\\|b'c` | 10 | 4 |" in report
    assert "not checked" in report
