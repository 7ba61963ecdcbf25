"""LLVM's own programs on a small module, and the shell lines that repeat a recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from solvers.llvm.install import find_llvm
from solvers.llvm.programs import LlvmProgramFailed, LlvmPrograms, discardable
from solvers.llvm.types import Recipe, Target

MODULE = """target triple = "x86_64-unknown-linux-gnu"
@table = constant [4 x i32] zeroinitializer
define linkonce_odr i32 @twice(i32 %a) {
  %b = add i32 %a, %a
  ret i32 %b
}
define i32 @f(i32 %a) {
  %b = call i32 @twice(i32 %a)
  ret i32 %b
}
declare void @elsewhere()
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "a.ll").write_text(MODULE)
    return tmp_path / "a.ll"


@pytest.fixture
def programs(module: Path) -> LlvmPrograms:
    return LlvmPrograms(installed=find_llvm(), target=Target(), module=module)


def test_counts_and_symbols_of_a_module(
    programs: LlvmPrograms, module: Path, tmp_path: Path
) -> None:
    programs.assemble(module, tmp_path / "a.bc")
    assert programs.count_instructions(module) == 4
    assert programs.external_symbols(tmp_path / "a.bc") == {"table", "twice", "f"}
    assert discardable(programs.disassemble(module)) == {"twice"}


def test_an_object_has_the_symbols_and_sizes_of_its_module(
    programs: LlvmPrograms, module: Path, tmp_path: Path
) -> None:
    programs.emit_object(module, tmp_path / "a.o")
    sizes = programs.object_sizes(tmp_path / "a.o")
    assert programs.external_symbols(tmp_path / "a.o") == {"table", "twice", "f"}
    assert sizes.sections[".rodata"] == 16
    assert 0 < sizes.code_bytes < sizes.loadable_bytes


def test_a_replay_applies_pipeline_and_late_attributes(
    programs: LlvmPrograms, module: Path, tmp_path: Path
) -> None:
    recipe = Recipe(pipeline="cgscc(inline)", late_attributes=(("f", "minsize", True),))
    programs.assemble(module, tmp_path / "a.bc")
    programs.replay(recipe, tmp_path / "a.bc", tmp_path / "out.bc")
    text = programs.disassemble(tmp_path / "out.bc")
    assert "call" not in text
    assert "minsize" in text


def test_a_refused_input_fails_with_llvms_message(
    programs: LlvmPrograms, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.ll"
    bad.write_text("define i32 @f() { ret i64 0 }")
    with pytest.raises(LlvmProgramFailed, match="i32") as failed:
        programs.verify(bad)
    assert str(tmp_path) not in str(failed.value)


def test_text_without_a_triple_gets_the_targets(
    programs: LlvmPrograms, tmp_path: Path
) -> None:
    (tmp_path / "b.ll").write_text("define void @g() {\n  ret void\n}\n")
    target = replace(programs.target, triple="aarch64-unknown-linux-gnu")
    replace(programs, target=target).assemble(tmp_path / "b.ll", tmp_path / "b.bc")
    assert "aarch64" in programs.disassemble(tmp_path / "b.bc")


def test_commands_have_a_line_for_late_attributes_and_options_once(
    programs: LlvmPrograms,
) -> None:
    recipe = Recipe(pipeline="globaldce", options=("-relocation-model=static",))
    opt, llc = programs.commands(recipe)
    assert opt.startswith("opt -passes='globaldce' -relocation-model=static")
    assert llc.count("-relocation-model") == 1, (
        "the recipe's option overrides the target's"
    )
    late = replace(recipe, late_attributes=(("f", "minsize", False),))
    assert "-force-remove-attribute=f:minsize" in programs.commands(late)[1]
