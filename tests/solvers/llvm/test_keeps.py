"""Symbols that stay external in a linked program."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvers.llvm.keeps import (
    NothingKept,
    Wanted,
    kept,
    read_program,
    share_saves,
    text_of,
)

MODULE = r"""
@llvm.compiler.used = appending global [1 x ptr] [ptr @vectors], section "llvm.metadata"
@vectors = dso_local constant [2 x ptr] [ptr @reset, ptr @tick], section ".isr_vector", align 4
@settings = dso_local global i32 3, section ".settings", align 4
@table = dso_local global i32 3, section "table", align 4
@counter = dso_local global i32 0, align 4
@local = internal global i32 0, align 4
@other = external global i32, align 4
@secret = hidden global i32 1, align 4

define dso_local void @reset() #0 {
  call void asm sideeffect "bl helper\0Ab .", "~{memory}"()
  ret void
}
define dso_local void @tick() #0 {
  ret void
}
define dso_local void @helper() #0 {
  ret void
}
define dso_local ptr @memcpy(ptr %0, ptr %1, i32 %2) #0 {
  ret ptr %0
}
define dso_local i32 @__aeabi_idiv(i32 %0, i32 %1) #0 {
  ret i32 %0
}
define dso_local i32 @unused(i32 %0) #0 {
  ret i32 %0
}
define internal void @private() #0 {
  ret void
}
declare void @elsewhere()
"""
SCRIPT = """
/* unused */
ENTRY(reset)
SECTIONS { .text : { KEEP(*(.isr_vector)) *(.text*) } .s : { KEEP(*(SORT(.settings*))) } }
"""


def test_what_a_program_needs_from_elsewhere() -> None:
    text = (
        'declare extern_weak void @hook()\ndeclare i32 @"a b"(ptr)\n'
        "declare void @llvm.trap()\n@stderr = external local_unnamed_addr global ptr\n"
    )
    needed = read_program(MODULE + text).declared
    assert needed == {"elsewhere", "other", "a b", "stderr"}


def test_every_source_of_references_is_heard() -> None:
    names = kept(
        read_program(MODULE),
        Wanted(
            script=SCRIPT,
            objects=frozenset({"counter", "elsewhere"}),
            patterns=("ti*",),
        ),
    )
    assert names == {
        "tick": "your list",
        "vectors": "used or retain attribute",
        "helper": "inline assembly",
        "counter": "prebuilt object",
        "reset": "linker script",
        "settings": "section that the linker script keeps",
        "table": "section that the linker script keeps",  # by __start_table
        "memcpy": "may be called by the compiler or a library",
        "__aeabi_idiv": "may be called by the compiler or a library",
    }


def test_a_shared_object_keeps_what_it_exports() -> None:
    names = kept(read_program(MODULE), Wanted(shared=True))
    assert "unused" in names
    assert not {"secret", "local", "private", "elsewhere", "other"} & set(names)


def test_a_pattern_that_matches_nothing_is_named() -> None:
    with pytest.raises(
        NothingKept, match=r"got 'isr_\*', which matches none of"
    ) as caught:
        kept(read_program(MODULE), Wanted(patterns=("reset", "isr_*")))
    assert caught.value.index == 1


def test_functions_of_riscv_share_what_saves_registers(tmp_path: Path) -> None:
    module, out = tmp_path / "module.ll", tmp_path / "out.bc"
    features = '"target-features"="+32bit,+c,+i,+m,-e"'
    module.write_text(
        'target triple = "riscv32-unknown-unknown-elf"\n'
        "define i32 @f() #0 {\n  ret i32 7\n}\n"
        f"attributes #0 = {{ {features} }}\n"
    )
    assert share_saves(module, out)
    assert '"+32bit,+c,+i,+save-restore,+m,-e"' in text_of(out, workdir=tmp_path)
    assert not share_saves(out, tmp_path / "again.bc")
