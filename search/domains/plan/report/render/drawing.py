"""Plots of a report as SVG, drawn from their values."""

from __future__ import annotations

from search.domains.plan.reports import Plot
from search.drawing.curves import step_curves
from search.drawing.svg import BLUE, ORANGE, Drawing

_ROW, _TOP, _BAR = 24, 36, 14
_NAMES, _LENGTH, _RIGHT = 150, 380, 110


def svg_of(plot: Plot) -> str:
    """Return the SVG of a plot."""
    if plot.type == "steps":
        return step_curves(
            {curve.name: curve.points for curve in plot.curves},
            until=plot.until,
            title=plot.title,
            y_label=plot.y_label,
            limits=plot.limits,
        )
    return _bars(plot)


def _bars(plot: Plot) -> str:
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
        words = f"{value:#.3g}".rstrip(".") if value < 1000 else f"{value:,.0f}"
        drawing.text(
            _NAMES + _LENGTH * value / most + 6, top + _BAR - 2, f"{words} {plot.y_label}"
        )
    return drawing.document()
