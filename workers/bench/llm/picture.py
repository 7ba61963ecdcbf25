"""Loss against budget as an SVG: one panel for each type of text, one line for each rule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 300, 230
LEFT, TOP, BOTTOM = 46, 34, 36
COLOURS = ("#888888", "#0072b2", "#d55e00", "#e69f00", "#009e73", "#cc79a7")

Curve = Sequence[tuple[float, float, float, float]]
"""Points (share, mean, low, high)."""


def draw(panels: Mapping[str, Mapping[str, Curve]], *, highest: float) -> str:
    """Return the picture.

    Args:
        panels: title -> rule -> points; the rules of all panels are the same.
        highest: greatest loss on the axis, in nats; curves leave the panel above it.
    """
    rules = list(next(iter(panels.values())))
    total = WIDTH * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {HEIGHT + 24}" '
        f'font-family="sans-serif" font-size="11" role="img" '
        f'aria-label="Loss above the full cache against the share of tokens kept">',
        f'<rect width="{total}" height="{HEIGHT + 24}" fill="white"/>',
    ]
    for i, (title, curves) in enumerate(panels.items()):
        parts.append(f'<g transform="translate({i * WIDTH} 0)">')
        parts += _panel(i, title, curves, highest)
        parts.append("</g>")
    x = LEFT
    for rule, colour in zip(rules, COLOURS, strict=False):
        parts.append(
            f'<rect x="{x}" y="{HEIGHT + 4}" width="14" height="4" fill="{colour}"/>'
            f'<text x="{x + 18}" y="{HEIGHT + 10}">{escape(rule)}</text>'
        )
        x += 36 + 7 * len(rule)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    number: int, title: str, curves: Mapping[str, Curve], highest: float
) -> list[str]:
    right, floor = WIDTH - 10, HEIGHT - BOTTOM
    parts = [
        f'<clipPath id="panel{number}"><rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" '
        f'height="{floor - TOP}"/></clipPath>',
        f'<text x="{LEFT}" y="{TOP - 14}" font-weight="bold">{escape(title)}</text>',
    ]
    shares = sorted({point[0] for curve in curves.values() for point in curve})
    for share in shares:
        x = _x(share, shares)
        parts.append(
            f'<text x="{x:.1f}" y="{floor + 14}" text-anchor="middle">{share:.0%}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + right) / 2}" y="{floor + 28}" text-anchor="middle">tokens kept</text>'
    )
    for tick in range(5):
        value = highest * tick / 4
        y = _y(value, highest)
        parts.append(
            f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
            f'<text x="{LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>'
        )
    parts.append(
        f'<text x="{LEFT - 40}" y="{TOP - 2}" fill="#555555">nats above full</text>'
    )
    parts.append(f'<g clip-path="url(#panel{number})">')
    for (_, curve), colour in zip(curves.items(), COLOURS, strict=False):
        points = sorted(curve)
        path = " ".join(
            f"{_x(share, shares):.1f},{_y(mean, highest):.1f}"
            for share, mean, _, _ in points
        )
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        )
        for share, mean, low, high in points:
            x = _x(share, shares)
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_y(low, highest):.1f}" '
                f'y2="{_y(high, highest):.1f}" stroke="{colour}" stroke-opacity="0.5"/>'
                f'<circle cx="{x:.1f}" cy="{_y(mean, highest):.1f}" r="2.4" fill="{colour}"/>'
            )
    return [*parts, "</g>"]


def _x(share: float, shares: Sequence[float]) -> float:
    """Return the place of a share on a logarithmic axis."""
    low, high = math.log(shares[0]), math.log(shares[-1])
    part = (math.log(share) - low) / ((high - low) or 1)
    return LEFT + 14 + part * (WIDTH - 10 - LEFT - 28)


def _y(value: float, highest: float) -> float:
    return HEIGHT - BOTTOM - value / highest * (HEIGHT - BOTTOM - TOP)
