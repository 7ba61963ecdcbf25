"""Static variables in sections of their own: kept in IR that has lost the attribute `used`."""

from __future__ import annotations

from solvers.llvm.placed_statics import with_placed_statics

_TABLE = '@entry = internal constant i32 1, section "devices", align 4\n'
_USED = (
    '@llvm.compiler.used = appending global [1 x ptr] [ptr @f], section "llvm.metadata"\n'
)


def test_a_placed_static_is_listed() -> None:
    assert with_placed_statics(_TABLE).endswith(
        '@llvm.compiler.used = appending global [1 x ptr] [ptr @entry], section "llvm.metadata"\n'
    )


def test_a_list_grows_and_repeats_nothing() -> None:
    both = with_placed_statics(_TABLE + _USED)
    assert "[2 x ptr] [ptr @f, ptr @entry]" in both
    assert with_placed_statics(both) == both


def test_what_the_compiler_already_keeps_or_may_drop_is_left() -> None:
    for text in (
        '@"a b" = internal constant i32 1, align 4\n',  # in no section
        '@shared = global i32 1, section "devices", align 4\n',  # `internalize` decides
        '@far = internal addrspace(1) constant i32 1, section "devices"\n',
        '@x = external global i32, section "devices"\n',
        _TABLE
        + '@llvm.used = appending global [1 x ptr] [ptr @entry], section "llvm.metadata"\n',
    ):
        assert with_placed_statics(text) == text
