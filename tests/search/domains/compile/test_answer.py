"""Answer of a compile job: rows, shares and lines for people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from search.domains.compile.answer import CompileSolution, target_text
from solvers.llvm.execute import RunCase
from solvers.llvm.pairs import Timing
from solvers.llvm.types import Metric, Recipe, Sizes, Target


def sizes(loadable: int) -> Sizes:
    return Sizes(ir_instructions=9, code_bytes=loadable // 2, loadable_bytes=loadable)


def solution(folder: Path = Path()) -> CompileSolution:
    """Return an answer of 90 bytes against 120 of -Oz; its files do not exist."""
    return CompileSolution(
        name="coreset:x",
        recipe=Recipe(pipeline="globaldce"),
        recipe_file=folder / "recipe.json",
        bitcode=folder / "optimised.bc",
        text=folder / "optimised.ll",
        object=folder / "optimised.o",
        sizes=sizes(90),
        objective=90.0,
        levels={"O0": sizes(400), "Oz": sizes(120)},
        build_id="llvm-22",
        cases=((RunCase(), 1.0),),
    )


def test_rows_are_levels_and_then_ours() -> None:
    answer = solution()
    assert list(answer.rows) == ["O0", "Oz", "trimtab"]
    assert [row["loadable_bytes"] for row in answer.size_table] == [400, 120, 90]


def test_saved_is_the_share_of_oz() -> None:
    answer = solution()
    assert answer.saved(Metric.LOADABLE_BYTES) == pytest.approx(0.25)
    assert answer.saved(Metric.IR_INSTRUCTIONS) == 0.0
    empty = replace(answer, levels={"Oz": Sizes(ir_instructions=0)})
    assert empty.saved(Metric.IR_INSTRUCTIONS) == 0.0, "an empty module saves nothing"


def test_behaviour_names_runs_or_the_reason() -> None:
    assert solution().behaviour == "compared on 1 runs"
    unvalidated = replace(solution(), cases=(), why_unvalidated="it has no `main`")
    assert unvalidated.behaviour == "unvalidated: it has no `main`"


def test_time_is_the_baselines_own_without_a_timing() -> None:
    assert solution().time == "90 s, -O2's own"
    timing = Timing(ratio=0.9, low=0.8, high=0.95, pairs=15, ours_s=0.9, baseline_s=1.0)
    assert "0.900 [0.800, 0.950]" in replace(solution(), timing=timing).time


def test_a_target_is_one_line() -> None:
    assert target_text(Target(triple="t", cpu="c", pic=False)) == "t, c, static"
