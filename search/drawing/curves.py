"""Step curves as SVG: best values over time, for results and for measurements."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise

from search.drawing.svg import Colour, Drawing
from search.drawing.ticks import round_ticks, tick_text

_COLOURS = (
    Colour("#0b6e4f", "#4cc49c"),
    Colour("#c8553d", "#f08a72"),
    Colour("#3066be", "#7aa7f5"),
    Colour("#b08900", "#e0bd45"),
    Colour("#7a4fa3", "#b795dd"),
    Colour("#4d4d4d", "#b5bac0"),
    Colour("#00848c", "#46c3ca"),
    Colour("#a3195b", "#ea76ab"),
)
_LEFT, _TOP, _WIDTH, _HEIGHT = 70, 36, 560, 260
_BOTTOM = _TOP + _HEIGHT
_LEGEND = 48  # from the lower end of the axes to the first entry
_ENTRY = 18
_TICKS = 6  # at most, on the axis of values


def step_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    until: float,
    title: str,
    x_label: str = "seconds",
    y_label: str = "",
    limits: tuple[float, float] | None = None,
    scope: str = "",
) -> str:
    """Return an SVG with one step curve per name.

    Each curve is points (x, y) in the order of x; y holds until the next point, the last one until
    `until`. A curve without points appears in the legend only.

    limits: least and largest y of the picture; the range of the values by default.
    scope: a class of its own, for a drawing inside a page that has others.
    """
    values = [y for points in curves.values() for _, y in points if math.isfinite(y)]
    low, high = _range(values, limits)
    until = until if math.isfinite(until) and until > 0 else 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + _WIDTH * min(1.0, max(0.0, x / until))
        # Halved before they are subtracted: the range may exceed the largest double.
        height = (min(high, max(low, y)) / 2 - low / 2) / (high / 2 - low / 2)
        return across, _TOP + _HEIGHT * (1 - height)

    drawing = Drawing(
        _LEFT + _WIDTH + 20,
        _BOTTOM + _LEGEND + _ENTRY * len(curves),
        title=title,
        colours={f"c{i}": colour for i, colour in enumerate(_COLOURS[: len(curves)])},
        scales=True,
    )
    drawing.text(_LEFT, 20, title, style="title")
    for y in round_ticks(low, high, most=_TICKS):
        left, down = place(0.0, y)
        drawing.line(left, down, _LEFT + _WIDTH, down, style="grid")
        drawing.text(_LEFT - 6, down + 4, tick_text(y, high - low), anchor="end")
    for x in round_ticks(0.0, until, most=_TICKS + 2):
        drawing.text(place(x, low)[0], _BOTTOM + 16, tick_text(x, until), anchor="middle")
    drawing.text(_LEFT + _WIDTH, _BOTTOM + 31, x_label, style="dim", anchor="end")
    drawing.text(_LEFT + _WIDTH, _TOP - 8, y_label, style="dim", anchor="end")
    for index, (name, points) in enumerate(curves.items()):
        colour = f"c{index % len(_COLOURS)}"
        shown = [(x, y) for x, y in points if math.isfinite(y) and x <= until]
        if shown:
            drawing.curve(colour, [place(x, y) for x, y in _steps(shown, until)])
        drawing.key(colour, _LEFT, _BOTTOM + _LEGEND + _ENTRY * index, name, thin=True)
    return drawing.document(scope)


def _steps(
    points: Sequence[tuple[float, float]], until: float
) -> list[tuple[float, float]]:
    """Return the corners of a step function through the points, which are not empty."""
    corners = [points[0]]
    for (_, before), (x, y) in pairwise(points):
        corners += [(x, before), (x, y)]
    return [*corners, (until, points[-1][1])]


def _range(
    values: Sequence[float], limits: tuple[float, float] | None
) -> tuple[float, float]:
    """Return the least and largest y of the picture, which differ at every magnitude.

    A fixed margin of 0.5 would vanish beside 1e16, so the least margin is relative.
    """
    largest = sys.float_info.max
    low, high = limits or (min(values, default=0.0), max(values, default=1.0))
    if limits is None:
        margin = 0.05 * (high / 2 - low / 2) * 2
        low, high = max(-largest, low - margin), min(largest, high + margin)
    least = max(1.0, abs(low), abs(high)) * 1e-9
    if not high / 2 - low / 2 > least / 2:
        pad = max(0.5, least)
        low, high = max(-largest, low - pad), min(largest, high + pad)
    return low, high
