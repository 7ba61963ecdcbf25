"""Plots of a report as SVG, drawn from their values."""

from __future__ import annotations

from search.domains.plan.reports import Plot
from search.drawing.axes import LinePlot
from search.drawing.curves import step_curves
from search.drawing.svg import BLUE, ORANGE, Drawing

_GIGA = 1e9
_ROW, _TOP, _BAR = 24, 36, 14
_NAMES, _LENGTH, _RIGHT = 150, 380, 110


def svg_of(plot: Plot, scope: str = "") -> str:
    """Return the SVG of a plot.

    scope: a class of its own, for a plot inside a page that has others.
    """
    if plot.type == "steps":
        return step_curves(
            {curve.name: curve.points for curve in plot.curves},
            until=plot.until,
            title=plot.title,
            y_label=plot.y_label,
            limits=plot.limits,
            scope=scope,
        )
    drawing = _bars(plot) if plot.type == "bars" else _lines(plot)
    return drawing.document(scope)


def _lines(plot: Plot) -> Drawing:
    """Return curves over gigahertz."""
    xs = [x / _GIGA for x, _ in plot.curves[0].points]
    ys = [y for curve in plot.curves for _, y in curve.points]
    low, high = min(*ys, -1.0), max(*ys, 0.0)
    lines = LinePlot(
        plot.title,
        (xs[0], xs[-1]),
        (low - 0.05 * (high - low), high),
        x_label="GHz",
        y_label=plot.y_label,
        keys=len({curve.name for curve in plot.curves}),
    )
    names = list(dict.fromkeys(curve.name for curve in plot.curves))
    for curve in plot.curves:
        colour = f"c{names.index(curve.name)}"
        lines.curve(colour, [(x / _GIGA, y) for x, y in curve.points])
    for number, name in enumerate(names):
        lines.key(f"c{number}", name)
    return lines.drawing


def _bars(plot: Plot) -> Drawing:
    values = [curve.value or 0.0 for curve in plot.curves]
    most = max(values) or 1.0
    drawing = Drawing(
        _NAMES + _LENGTH + _RIGHT,
        _TOP + _ROW * len(values) + 10,
        title=plot.title,
        colours={"first": ORANGE, "other": BLUE},
        scales=True,
    )
    drawing.text(0, 18, plot.title, style="title")
    for number, curve in enumerate(plot.curves):
        top = _TOP + _ROW * number
        value = curve.value or 0.0
        own = curve.name in ("plan found", "trimtab")
        drawing.text(_NAMES - 8, top + _BAR - 2, curve.name, anchor="end")
        drawing.bar(
            "first" if own else "other", _NAMES, top, _LENGTH * value / most, _BAR
        )
        whole = value >= 1000 or value == int(value)
        words = f"{value:,.0f}" if whole else f"{value:#.3g}"
        drawing.text(
            _NAMES + _LENGTH * value / most + 6, top + _BAR - 2, f"{words} {plot.y_label}"
        )
    return drawing
