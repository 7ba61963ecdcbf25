"""Measured budget table: which eviction rule loses least on a type of text, and how much it loses.

The table is written by `python -m workers.bench tables` from stored results. It was measured on
the embedded model; for another model it is a starting point.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.text_model import CacheBudget, CachePolicy, ScoreRule, TextModelError

FILE = Path(__file__).with_name("budgets.json")
ORDINARY = "prose"
"""Type of text that a call is taken for when it names none."""


@functools.cache
def table() -> Mapping[str, Any]:
    """Return the table: `texts` by type, each with `default` and `rules`."""
    content: Mapping[str, Any] = json.loads(FILE.read_text())
    return content


def text_types() -> tuple[str, ...]:
    """Return the types of text that were measured."""
    return tuple(table()["texts"])


def default(*, slots: int, text: str = ORDINARY) -> CacheBudget:
    """Return the measured default rule of a type of text with a number of slots.

    Raises TextModelError for a type that was not measured.
    """
    texts = table()["texts"]
    if text not in texts:
        raise TextModelError(f"text: expected one of {', '.join(texts)}, got {text!r}")
    fields = texts[text]["default"]
    return CacheBudget(
        policy=CachePolicy(fields["policy"]),
        slots=slots,
        score=ScoreRule(fields["score"]),
        decay=fields["decay"],
        recent_share=fields["recent_share"],
        sinks=fields["sinks"],
    )
