"""What a text is held to, without the arithmetic: servers read it and have no numpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What a text has to fulfil, and how much that counts; strength 0 does nothing."""

    text: str
    strength: float
