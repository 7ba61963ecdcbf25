"""Line charts side by side as an SVG, with one legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 340, 240
LEFT, TOP, BOTTOM, RIGHT = 52, 30, 36, 12
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#888888", "#cc79a7", "#e69f00")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Points of a line."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart; the curves of all panels have the same names."""

    title: str
    x: str
    y: str
    curves: Sequence[Curve]


def draw(panels: Sequence[Panel], *, label: str) -> str:
    """Return the picture; `label` is its text alternative.

    Raises ValueError without points.
    """
    total, height = WIDTH * len(panels), HEIGHT + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" '
        f'font-family="sans-serif" font-size="11" role="img" aria-label="{escape(label)}">',
        f'<rect width="{total}" height="{height}" fill="white"/>',
    ]
    for i, panel in enumerate(panels):
        parts += [f'<g transform="translate({i * WIDTH} 0)">', *_panel(panel), "</g>"]
    x = LEFT
    for curve, colour in zip(panels[0].curves, COLOURS, strict=False):
        parts.append(
            f'<rect x="{x}" y="{HEIGHT + 6}" width="14" height="4" fill="{colour}"/>'
            f'<text x="{x + 18}" y="{HEIGHT + 12}">{escape(curve.name)}</text>'
        )
        x += 40 + 6 * len(curve.name)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel) -> list[str]:
    points = [point for curve in panel.curves for point in curve.points]
    if not points:
        raise ValueError(f"{panel.title}: expected at least one point, got none")
    low_x, high_x = _range([x for x, _ in points])
    low_y, high_y = _range([y for _, y in points])
    floor, edge = HEIGHT - BOTTOM, WIDTH - RIGHT

    def place(x: float, y: float) -> str:
        across = LEFT + (x - low_x) / (high_x - low_x) * (edge - LEFT)
        down = floor - (y - low_y) / (high_y - low_y) * (floor - TOP)
        return f"{across:.1f},{down:.1f}"

    parts = [
        f'<text x="{LEFT}" y="{TOP - 12}" font-weight="bold">{escape(panel.title)}</text>',
        f'<text x="{(LEFT + edge) / 2}" y="{floor + 28}" text-anchor="middle">'
        f"{escape(panel.x)}</text>",
    ]
    for tick in range(5):
        y = low_y + (high_y - low_y) * tick / 4
        x = low_x + (high_x - low_x) * tick / 4
        down = place(low_x, y).split(",")[1]
        across = place(x, low_y).split(",")[0]
        parts.append(
            f'<line x1="{LEFT}" x2="{edge}" y1="{down}" y2="{down}" stroke="#dddddd"/>'
            f'<text x="{LEFT - 4}" y="{down}" text-anchor="end">{y:.3g}</text>'
            f'<text x="{across}" y="{floor + 14}" text-anchor="middle">{x:.3g}</text>'
        )
    for curve, colour in zip(panel.curves, COLOURS, strict=False):
        path = " ".join(place(x, y) for x, y in curve.points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        )
    return parts


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low, low + 1)
