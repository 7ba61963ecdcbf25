"""Result of a compile job on its page: sizes first, then the difference by section and symbol."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from trimtab.specs.compile import CompileSpec

# Tables of the summary in the order shown, with their headings.
_TITLES = {
    "sizes": "Sizes",
    "sections": "Difference by section",
    "symbols": "Largest differences by symbol",
}


def split_sizes(
    kind: str, tables: Sequence[SimpleNamespace]
) -> tuple[list[SimpleNamespace], list[SimpleNamespace]]:
    """Return (tables of sizes of a compile job, the other tables)."""
    if kind != CompileSpec.KIND:
        return [], list(tables)
    by_name = {table.name: table for table in tables}
    sizes: list[Any] = []
    for name, title in _TITLES.items():
        if (table := by_name.get(name)) is not None:
            table.title = title
            sizes.append(table)
    return sizes, [table for table in tables if table.name not in _TITLES]
