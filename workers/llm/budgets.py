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
LAYERS_FILE = Path(__file__).with_name("layer_budgets.json")
LAYERS_SHARE = "0.2"
"""Share of the text at which slots by layer were measured, whose proposal is used."""
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


@functools.cache
def layer_card(text: str) -> Mapping[str, Any] | None:
    """Return the budget advisor's card for a type of text; None where there is none."""
    if not LAYERS_FILE.is_file():
        return None
    content: Mapping[str, Any] = json.loads(LAYERS_FILE.read_text())
    card: Mapping[str, Any] | None = content["texts"].get(text)
    return card


def layer_weights(text: str, layers: int) -> tuple[float, ...]:
    """Return the share of the slots by layer that the advisor proposes; empty for equal ones.

    Equal ones where the card does not show that the proposal helps, and for other models.
    """
    card = layer_card(text)
    if card is None or not card["helps"][LAYERS_SHARE]:
        return ()
    slots = card["slots"][LAYERS_SHARE]
    if len(slots) != layers:
        return ()
    # What a layer has beyond the least that every layer needs, as `policies` reads it.
    above = [float(count - card["least"]) for count in slots]
    mean = sum(above) / len(above)
    return tuple(round(value / mean, 4) for value in above)


def default(*, slots: int, text: str = ORDINARY, layers: int = 0) -> CacheBudget:
    """Return the measured default rule of a type of text with a number of slots.

    layers: of the model, for slots by layer; 0: equal ones. Raises TextModelError for a type that
    was not measured.
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
        layer_weights=layer_weights(text, layers),
    )
