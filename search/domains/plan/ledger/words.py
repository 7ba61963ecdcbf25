"""Text of users and runs as it may stand in a report: one line, printable, not too long."""

from __future__ import annotations

import unicodedata

MOST_SHOWN = 240
"""Characters of a text in a report."""
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def one_line(text: str, most: int = MOST_SHOWN) -> str:
    """Return a text without control and invisible characters, cut after `most` of them."""
    beginning = text[: 8 * most]
    printable = "".join(
        " " if unicodedata.category(c) in _HIDDEN else c for c in beginning
    )
    line = " ".join(printable.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
