"""Conditions on a text, without the arithmetic: servers read them and have no numpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Condition that a text has to fulfil, and its weight; strength 0 does nothing."""

    text: str
    strength: float
