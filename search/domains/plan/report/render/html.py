"""A report as one HTML file: no script, nothing loaded, plots as inline SVG."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from search.domains.plan.report.render.drawing import svg_of
from search.domains.plan.report.render.text import RUN_IN, Facts, with_unit
from search.domains.plan.reports import Plot, Report

_FOLDER = Path(__file__).parent


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def html_of(report: Report) -> str:
    """Return the HTML of a report. Everything but the SVG that is drawn here is escaped."""
    facts = Facts(report)
    context: dict[str, Any] = {
        "report": report,
        "goal": next((f.shown for f in report.facts if f.name == "goal"), ""),
        "facts": facts,
        "rows": facts.appendix(report),
        "with_unit": with_unit,
        "run_in": RUN_IN,
        "draw": _Drawer(),
    }
    return _environment().get_template("report.html.j2").render(context)


class _Drawer:
    """Draws the plots of a page, each with a class of its own."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, plot: Plot) -> Markup:
        self._count += 1
        # `search.drawing` escapes every text of a plot.
        return Markup(svg_of(plot, f"plot-{self._count}"))  # noqa: S704
