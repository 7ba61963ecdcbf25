"""Grammars without rules as Python expressions, to compare them with exhaustive lists."""

from __future__ import annotations

import re


def expression(grammar: str) -> re.Pattern[str]:
    """Return the expression of literals, classes, groups and repeats in a grammar."""
    parts = re.findall(
        r'"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|\{[0-9,]*\}|[()|*+?]', grammar
    )
    texts = []
    for part in parts:
        if part.startswith('"'):
            inside = re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), part[1:-1])
            texts.append(f"(?:{re.escape(inside)})")
        elif part.startswith("["):
            texts.append(part)
        else:
            texts.append("(?:" if part == "(" else part)
    return re.compile("".join(texts))
