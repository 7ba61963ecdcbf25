"""Values that a slot may have, and whether those of two slots go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Option:
    """One of the values that a slot may have."""

    value: Any
    tokens: tuple[int, ...]
    note: str = ""
    strong: bool = False


def alternate(left: Sequence[Option], right: Sequence[Option]) -> bool:
    """Return whether two slots' values alternate in the text: "HiGHS 30 s, CP-SAT 60 s"."""
    if len(left) != len(right):
        return False
    order = sorted([(o.tokens[0], 0) for o in left] + [(o.tokens[0], 1) for o in right])
    sides = [side for _, side in order]
    return all(sides[i] != sides[i + 1] for i in range(0, len(sides), 2))


def drop_repeats(options: dict[str, list[Option]]) -> None:
    """Drop what is said twice, unless it goes with another slot: "10 min HiGHS, 10 min SCIP"."""
    rows = {path: list(row) for path, row in options.items()}
    for path, row in rows.items():
        unique = [
            o for i, o in enumerate(row) if all(o.value != p.value for p in row[:i])
        ]
        paired = len(unique) > 1 and any(
            len(other) == len(row) and alternate(row, other)
            for p, other in rows.items()
            if p != path
        )
        options[path] = row if paired else unique
