"""Warm starts as files, in the names of a model's file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def write_start(path: Path, pairs: Iterable[tuple[str, float]]) -> Path | None:
    """Write (name, value) pairs as a .sol; return its path, or None without any pair."""
    lines = [f"{name} {value!r}\n" for name, value in pairs]
    if not lines:
        return None
    path.write_text("".join(lines), encoding="utf-8")
    return path
