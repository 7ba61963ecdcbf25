"""Forms of LLVM's textual IR, as `opt -S` prints it."""

from __future__ import annotations

import re

NAME = r'(?:"[^"\n]+"|[\w$.\-]+)'  # of a symbol, with its quotation marks
SYMBOL = rf"@({NAME})"
_USED = re.compile(
    r"^@llvm\.(?:compiler\.)?used = [^\n]*?\[(?P<items>ptr [^\n]*)\]", re.MULTILINE
)


def used_symbols(text: str) -> set[str]:
    """Return the names in `llvm.used` and `llvm.compiler.used`, with quotation marks."""
    return {
        name
        for items in _USED.finditer(text)
        for name in re.findall(SYMBOL, items["items"])
    }
