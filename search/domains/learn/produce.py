"""Files of a result: the model, its card as JSON, and the card as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import orjson

from search.domains.learn.state import LearnState
from search.drawing.svg import BLUE, GREEN, GREY, ORANGE, Anchor, Colour, Drawing
from search.types import Extra, Produced
from trimtab.cards import Card, Compared, Decision
from trimtab.specs.learn import CARD_FILE, MODEL_FILE, PICTURE_FILE

_COLOURS: Mapping[str, Colour] = {
    "shipped": GREY,
    "fitted": BLUE,
    "good": GREEN,
    "bad": ORANGE,
}
_LEFT, _WIDTH, _TOP, _HEIGHT, _MOST_ROWS = 64, 420, 86, 220, 60


def produce(state: LearnState, workdir: Path) -> list[Produced | Extra]:
    """Write model and card; the picture is written afterwards."""
    assert state.card is not None
    assert state.model is not None
    card = Card.model_validate(state.card)
    model, text = workdir / MODEL_FILE, workdir / CARD_FILE
    model.write_bytes(state.model)
    text.write_bytes(
        orjson.dumps(card.model_dump(mode="json"), option=orjson.OPT_INDENT_2) + b"\n"
    )
    return [
        Produced(name=MODEL_FILE, path=model),
        Produced(name=CARD_FILE, path=text, media_type="application/json"),
        Extra(
            name=PICTURE_FILE,
            write=lambda path: path.write_text(draw_card(card)),
            media_type="image/svg+xml",
            alt=" ".join(card.reasons)[:600],
        ),
    ]


def draw_card(card: Card) -> str:
    """Return both values of every held-out instance, and the interval below, as SVG."""
    drawing = Drawing(
        _LEFT + _WIDTH + 40,
        _TOP + _HEIGHT + 134,
        title=f"Card of a model for {card.target}: {card.decision.value}",
        colours=_COLOURS,
    )
    drawing.text(20, 24, f"Model for {card.target}: {card.decision.value}", style="title")
    unit = f" ({card.metric.unit})" if card.metric.unit else ""
    drawing.text(
        20, 44, f"{card.metric.name}{unit}; {card.metric.better.value} is better"
    )
    drawing.text(20, 62, f"{len(card.rows)} held-out instances", style="dim")
    _draw_rows(drawing, card)
    _draw_interval(drawing, card, _TOP + _HEIGHT + 60)
    return drawing.document() + "\n"


def _draw_rows(drawing: Drawing, card: Card) -> None:
    rows = sorted(card.rows, key=lambda row: row.shipped)
    if len(rows) > _MOST_ROWS:  # an even selection, the ends included
        last = len(rows) - 1
        rows = [rows[round(n * last / (_MOST_ROWS - 1))] for n in range(_MOST_ROWS)]
    values = [value for row in rows for value in (row.shipped, row.fitted)]
    low, high = min(0.0, *values), max(values)
    span = high - low or 1.0

    def y(value: float) -> float:
        return _TOP + _HEIGHT * (1 - (value - low) / span)

    drawing.frame(_LEFT, _TOP, _WIDTH, _HEIGHT)
    for value in (low, low + span / 2, high):
        drawing.line(_LEFT, y(value), _LEFT + _WIDTH, y(value), style="grid")
        drawing.text(_LEFT - 6, y(value) + 4, f"{value:.3g}", anchor="end")
    step = _WIDTH / len(rows)
    for n, row in enumerate(rows):
        x = _LEFT + step * (n + 0.5)
        top, bottom = sorted((y(row.shipped), y(row.fitted)))
        better = (row.fitted < row.shipped) == (card.metric.better.value == "lower")
        colour = "good" if better else "bad"
        drawing.bar(colour, x - 0.75, top, 1.5, max(1.0, bottom - top))
        for name, value in (("shipped", row.shipped), ("fitted", row.fitted)):
            words = f"{row.instance}: {name} {value:.4g}"
            drawing.bar(name, x - 2.5, y(value) - 2.5, 5, 5, tooltip=words)
    at = _TOP + _HEIGHT + 20
    drawing.key("shipped", _LEFT, at, "shipped model")
    drawing.key("fitted", _LEFT + 130, at, "fitted model")
    drawing.text(_LEFT + _WIDTH, at, "sorted by shipped", anchor="end")


def _draw_interval(drawing: Drawing, card: Card, top: int) -> None:
    """Draw the interval of the comparison against no difference."""
    interval, ratio = card.difference, card.metric.compared is Compared.RATIO
    low, high = min(0.0, interval.low), max(0.0, interval.high)
    span = (high - low) or 1.0
    low, span = low - 0.08 * span, 1.16 * span

    def x(value: float) -> float:
        return _LEFT + _WIDTH * (value - low) / span

    def said(value: float) -> str:
        return f"{math.exp(value):.4g}" if ratio else f"{value:+.3g}"

    what = "ratio fitted / shipped" if ratio else "difference fitted - shipped"
    share = f"{100 * interval.confidence:g} %"
    drawing.text(20, top, f"Mean {what}, {share} interval", style="strong")
    colour = "good" if card.decision is Decision.ADOPTED else "bad"
    drawing.line(_LEFT, top + 30, _LEFT + _WIDTH, top + 30, style="grid")
    drawing.line(x(0.0), top + 14, x(0.0), top + 46)
    drawing.bar(
        colour, x(interval.low), top + 27, max(2.0, x(interval.high) - x(interval.low)), 6
    )
    drawing.bar("fitted", x(interval.mean) - 3, top + 24, 6, 12)
    anchor: Anchor = "start" if x(0.0) < _LEFT + _WIDTH / 2 else "end"
    drawing.text(x(0.0), top + 62, "no difference", style="dim", anchor=anchor)
    unit = f" {card.metric.unit}" if card.metric.unit and not ratio else ""
    ends = f"{said(interval.mean)} ({said(interval.low)} to {said(interval.high)}){unit}"
    drawing.text(_LEFT + _WIDTH, top, ends, anchor="end")
