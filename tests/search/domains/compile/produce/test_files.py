"""Files of a job: tables of sizes, and which files are written at once."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from search.domains.compile.produce.files import (
    CHECKED,
    pipeline_text,
    produce,
    size_of,
    to_csv,
)
from search.types import Extra, Produced
from solvers.llvm.types import Metric, Recipe, Sizes, Target
from tests.search.domains.compile.test_answer import solution

SIZES = {
    "Oz": Sizes(ir_instructions=9, loadable_bytes=120, sections={".text": 100}),
    "trimtab": Sizes(
        ir_instructions=8, loadable_bytes=90, sections={".text": 70}, functions={"f": 70}
    ),
}


def test_the_table_has_a_column_for_each_level_and_empty_cells() -> None:
    lines = to_csv(SIZES).splitlines()
    assert lines[0] == "what,name,Oz,trimtab"
    assert "module,loadable_bytes,120,90" in lines
    assert "section,.text,100,70" in lines
    assert lines[-1] == "function,f,,70", "-Oz has no such function"


def test_sizes_in_json_are_sorted() -> None:
    sizes = Sizes(ir_instructions=1, sections={"b": 1, "a": 2})
    assert list(size_of(sizes)["sections"]) == ["a", "b"]


def test_the_program_is_written_at_once_and_decorations_on_demand(tmp_path: Path) -> None:
    made, out = tmp_path / "made", tmp_path / "out"
    made.mkdir()
    out.mkdir()
    answer = solution(made)
    for path in (answer.recipe_file, answer.bitcode, answer.text, answer.object):
        path.write_bytes(path.name.encode())
    (made / "original.bc").write_bytes(b"original")
    (made / CHECKED).write_text(json.dumps({"status": "valid"}))
    problem: Any = SimpleNamespace(
        workdir=made,
        module=made / "original.bc",
        sources=("a.c",),
        machine=Target(),
        timed=False,
        metric=Metric.LOADABLE_BYTES,
        notes=(),
    )
    programs: Any = SimpleNamespace(commands=lambda recipe: [f"opt {recipe.pipeline}"])
    items = produce(problem, answer, programs, out)
    written = {item.name for item in items if isinstance(item, Produced)}
    assert written == {path.name for path in out.iterdir()}
    assert "validation.json" in written
    extras = {item.name: item for item in items if isinstance(item, Extra)}
    for name, extra in extras.items():
        extra.write(out / name)
    assert set(extras) == {
        "pipeline.txt",
        "sizes.json",
        "sizes.csv",
        "sizes.svg",
        "report.md",
    }
    assert "opt globaldce" in (out / "pipeline.txt").read_text()
    assert "valid: " in (out / "report.md").read_text()


def test_a_recipe_that_opt_cannot_take_names_the_replay_command(tmp_path: Path) -> None:
    recipe = Recipe(pipeline="p", function_tails=(("f", "gvn"),))
    programs: Any = SimpleNamespace(commands=lambda recipe: ["opt"])
    answer: Any = SimpleNamespace(recipe=recipe, build_id="llvm-22")
    lines = pipeline_text(answer, programs).splitlines()
    assert "python -m solvers.llvm.replay recipe.json original.bc optimised.bc" in lines
