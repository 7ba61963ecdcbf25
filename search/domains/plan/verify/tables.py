"""The shared tables as plain data: measures of a kind, and sentence templates."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PLAN = Path(__file__).resolve().parents[1]
Row = Mapping[str, Any]


@functools.cache
def _measures() -> dict[str, Any]:
    return tomllib.loads((_PLAN / "measures.toml").read_text(encoding="utf-8"))


def measures(kind: str) -> dict[str, Row]:
    """Return the rows of measured facts for a kind, by name."""
    return {**_measures()["common"], **_measures().get(kind, {})}


def predicates() -> Mapping[str, Row]:
    """Return the rows of statements about words, by name."""
    rows: Mapping[str, Row] = _measures()["predicate"]
    return rows


def derivations(kind: str) -> Mapping[str, Row]:
    """Return the rows of derived facts for a kind, by name."""
    rows: Mapping[str, Row] = _measures()["derived"].get(kind, {})
    return rows


@functools.cache
def templates() -> dict[str, Row]:
    """Return every sentence template by its id, with its file's name under `file`."""
    rows: dict[str, Row] = {}
    for path in (_PLAN / "report" / "templates").glob("*.toml"):
        for name, row in tomllib.loads(path.read_text(encoding="utf-8")).items():
            rows[name] = {"passage": path.stem, "file": path.stem, "group": name, **row}
    return rows


@functools.cache
def prose() -> Row:
    """Return the words that a sentence of a language model may have."""
    path = _PLAN / "report" / "prose.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))
