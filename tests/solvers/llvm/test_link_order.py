"""Words that client and server of links share."""

from __future__ import annotations

from solvers.llvm.link_order import overflow


def test_each_region_counts_once_with_its_largest_overflow() -> None:
    words = (
        "ld.lld: error: section '{}' will not fit in region '{}': overflowed by {} bytes"
    )
    rows = ((".text", "FLASH", 18), (".ARM.exidx", "FLASH", 36), (".bss", "RAM", 5))
    message = "\n".join(words.format(*row) for row in rows)
    assert overflow(message) == 41
    assert overflow("ld.lld: error: undefined symbol: main") == 0
