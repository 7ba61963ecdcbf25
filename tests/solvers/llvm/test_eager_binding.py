"""Library calls bound at start, where that is smaller."""

from __future__ import annotations

from solvers.llvm.eager_binding import has_smaller_calls, with_eager_calls

HEAD = """define i32 @main() #0 {
%s  ret i32 0
}

declare i32 @puts(ptr) local_unnamed_addr #1
declare i32 @printf(ptr, ...) #1
declare void @once()
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1) #2

attributes #0 = { nounwind }

!llvm.module.flags = !{!0, !1}

!0 = !{i32 1, !"wchar_size", i32 4}
!1 = !{i32 8, !"PIC Level", i32 2}
"""
PUTS, PRINTF = (
    "  call i32 @puts(ptr null)\n",
    "  %1 = call i32 (ptr, ...) @printf(ptr null)\n",
)
MEMSET = "  call void @llvm.memset.p0.i64(ptr null, i8 0, i64 %0, i1 false)\n"


def declared(text: str) -> set[str]:
    """Names of the functions that are bound at start."""
    lines = [line for line in text.splitlines() if "nonlazybind" in line]
    assert all(line.startswith("declare ") for line in lines)
    return {line.partition("@")[2].partition("(")[0] for line in lines}


def test_functions_with_few_calls_lose_their_entry() -> None:
    text = with_eager_calls(HEAD % (15 * PUTS + 16 * PRINTF))
    assert declared(text) == {"puts", "once"}
    assert "declare i32 @puts(ptr) local_unnamed_addr nonlazybind #1" in text
    assert "declare void @once() nonlazybind\n" in text


def test_calls_that_the_code_generator_makes_are_decided_together() -> None:
    flag = '!2 = !{i32 7, !"RtLibUseGOT", i32 1}'
    text = with_eager_calls(HEAD % MEMSET)
    assert flag in text
    assert "!llvm.module.flags = !{!0, !1, !2}" in text
    assert flag not in with_eager_calls(HEAD % (60 * MEMSET))
    assert with_eager_calls(text) == text


def test_all_functions_as_by_clang() -> None:
    text = with_eager_calls(HEAD % (99 * PRINTF + 99 * MEMSET), all_functions=True)
    assert declared(text) == {"puts", "printf", "once"}
    assert "RtLibUseGOT" in text


def test_a_module_without_flags_gets_them() -> None:
    text = with_eager_calls("declare void @f()\n")
    assert "!llvm.module.flags = !{!0}" in text


def test_targets() -> None:
    assert has_smaller_calls("x86_64-unknown-linux-gnu")
    assert not has_smaller_calls("aarch64-unknown-linux-gnu")
    assert not has_smaller_calls("x86_64-unknown-none-elf")
