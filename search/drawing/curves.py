"""Step curves as SVG: what is known at each moment, for results and for measurements."""

from __future__ import annotations

import html
import math
import sys
from collections.abc import Mapping, Sequence

_COLOURS = (
    "#0b6e4f",
    "#c8553d",
    "#3066be",
    "#b08900",
    "#7a4fa3",
    "#4d4d4d",
    "#00848c",
    "#a3195b",
)
_LEFT, _TOP, _WIDTH, _HEIGHT = 70, 30, 560, 260


def step_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    until: float,
    title: str,
    x_label: str = "seconds",
    y_label: str = "",
    limits: tuple[float, float] | None = None,
) -> str:
    """An SVG. Each curve is points (x, y) by x; y holds until the next point. One without points is in the legend only."""
    values = [y for points in curves.values() for _, y in points if math.isfinite(y)]
    low, high = _range(values, limits)
    until = until if math.isfinite(until) and until > 0 else 1.0

    def at(x: float, y: float) -> str:
        across = _LEFT + _WIDTH * min(1.0, max(0.0, x / until))
        # Halved before they are subtracted: the range of doubles is wider than any of them.
        height = (min(high, max(low, y)) / 2 - low / 2) / (high / 2 - low / 2)
        return f"{across:.1f},{_TOP + _HEIGHT * (1 - height):.1f}"

    height = _TOP + _HEIGHT + 45 + 16 * len(curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}" font-family="sans-serif" '
        f'font-size="11" role="img" aria-label="{html.escape(title)}">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="18" font-size="13">{html.escape(title)}</text>',
    ]
    for i in range(5):
        y = low * (1 - i / 4) + high * (i / 4)
        x0, y0 = at(0.0, y).split(",")
        parts.append(
            f'<line x1="{x0}" y1="{y0}" x2="{_LEFT + _WIDTH}" y2="{y0}" stroke="#dddddd"/>'
        )
        parts.append(
            f'<text x="{_LEFT - 6}" y="{float(y0) + 4:.1f}" text-anchor="end">{y:.6g}</text>'
        )
        x = until * i / 4
        across = at(x, low).split(",")[0]
        parts.append(
            f'<text x="{across}" y="{_TOP + _HEIGHT + 16}" text-anchor="middle">{x:.4g}</text>'
        )
    parts.append(
        f'<text x="{_LEFT + _WIDTH}" y="{_TOP + _HEIGHT + 30}" text-anchor="end">{html.escape(x_label)}</text>'
        f'<text x="{_LEFT}" y="{_TOP + _HEIGHT + 30}">{html.escape(y_label)}</text>'
    )
    for index, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        steps: list[str] = []
        shown = [(x, y) for x, y in points if math.isfinite(y) and x <= until]
        for i, (x, y) in enumerate(shown):
            if i:
                steps.append(at(x, shown[i - 1][1]))
            steps.append(at(x, y))
        if shown:
            steps.append(at(until, shown[-1][1]))
            parts.append(
                f'<polyline points="{" ".join(steps)}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
            )
        down = _TOP + _HEIGHT + 45 + 16 * index
        parts.append(
            f'<rect x="{_LEFT}" y="{down - 8}" width="14" height="3" fill="{colour}"/>'
            f'<text x="{_LEFT + 20}" y="{down - 3}">{html.escape(name)}</text>'
        )
    parts.append("</svg>")
    return "\n".join(parts)


def _range(
    values: Sequence[float], limits: tuple[float, float] | None
) -> tuple[float, float]:
    """Least and largest y of the picture. They differ, whatever the values' size: 0.5 is nothing beside 1e16."""
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
