"""Check the text of a pipeline before LLVM parses it.

The engine's server imports this module: nothing but `re`.
"""

from __future__ import annotations

import re

# A path in a pass's parameters, or a pass that writes and shows pictures of the program.
_ODD_TEXT = re.compile(r"[^\w<>()=,;.:@+\-*\s]|(?<![\w<-])(?:view|dot)-[\w-]+")
_LONGEST_PIPELINE = 1 << 20


def unfit(pipeline: str) -> str | None:
    """Return why LLVM must not parse a text as a pipeline, or None."""
    if len(pipeline) > _LONGEST_PIPELINE:
        return f"pipeline: expected at most {_LONGEST_PIPELINE:,} characters, got {len(pipeline):,}"
    odd = _ODD_TEXT.search(pipeline)
    if odd is None:
        return None
    return f"{odd.group()!r} at character {odd.start()} does not belong in a pipeline"
