"""Lines that the stages write."""

from __future__ import annotations

from typing import Any

Line = dict[str, Any]


def rounded(values: Any, digits: int = 2) -> list[float]:
    """Return values as they are stored."""
    return [round(float(value), digits) for value in values]
