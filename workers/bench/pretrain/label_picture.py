"""Picture of label-efficiency curves: one chart a domain, error over the number of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from workers.bench.dynamics.picture import Curve, Panel, draw

_MOST = 3.0  # errors above it are drawn there: few labels make some arms far worse than a constant


def draw_cards(cards: Sequence[dict[str, Any]]) -> str:
    """Return the SVG of cards as `labels.run` yields them. Raises ValueError without any."""
    if not cards:
        raise ValueError(
            "cards: expected at least one, got none; run the suite with --seeds 1"
        )
    return draw(
        [_panel(card) for card in cards],
        label="Error over the number of labels, by arm: " + "; ".join(map(_words, cards)),
    )


def _panel(card: dict[str, Any]) -> Panel:
    curves = [
        Curve(
            name=arm,
            points=[
                (math.log10(labels), min(_MOST, error[0]))
                for labels, error in zip(card["labels"], errors, strict=True)
            ],
        )
        for arm, errors in card["errors"].items()
    ]
    return Panel(
        title=str(card["task"]), x="log10 of labels", y="error / constant", curves=curves
    )


def _words(card: dict[str, Any]) -> str:
    last = {arm: errors[-1][0] for arm, errors in card["errors"].items()}
    figures = ", ".join(f"{arm} {value:.2f}" for arm, value in last.items())
    return f"{card['task']} with all labels: {figures}"
