"""Plots of a job, as values of its result; `render` draws them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from search.domains.plan.ledger.measured import unit_of
from search.domains.plan.ledger.words import one_line
from search.domains.plan.reports import Curve, Plot
from search.rest import EndedJob

_MOST_POINTS = 400
_MOST_BARS = 24
_ENDS = ("lo", "hi")
_NAME = 40  # characters of a bar's name


def plots_of(job: EndedJob) -> tuple[Plot, ...]:
    """Return the plots of a job; none for one without a result."""
    if job.result is None:
        return ()
    summary = job.result.get("summary") or {}
    unit = unit_of(job.kind, job.spec)
    plots = [_course(job, unit)]
    if job.kind == "sharding":
        plots += [_planners(job, summary), _devices(job, summary)]
        plots.append(_loads(job))
    if job.kind == "antenna":
        plots.append(_reflection(job))
    if job.kind == "compile":
        plots.append(_sizes(summary))
    return tuple(plot for plot in plots if plot is not None)


def _course(job: EndedJob, unit: str) -> Plot | None:
    """Return objective and bound over time, when the objective changed."""
    trace = (job.result or {}).get("trace") or []
    lines = {
        name: [
            (float(point["elapsed_s"]), float(point[name]))
            for point in trace
            if _number(point.get(name)) and _number(point.get("elapsed_s"))
        ]
        for name in ("objective", "bound")
    }
    if len({y for _, y in lines["objective"]}) < 2:
        return None
    last = max(x for points in lines.values() for x, _ in points)
    return Plot(
        type="steps",
        title="Course of the search",
        alt="Best objective over the seconds of the run, and the proved bound if there is one",
        y_label=f"objective, {unit}" if unit else "objective",
        until=last * 1.02 or 1.0,
        limits=_limits(lines),
        curves=tuple(
            Curve(name=name, points=tuple(_thinned(points)))
            for name, points in lines.items()
            if points
        ),
    )


def _limits(lines: Mapping[str, Sequence[tuple[float, float]]]) -> tuple[float, float]:
    """Return the ends of the axis: early bounds are far away and would hide the course."""
    shown = [y for _, y in lines["objective"]] + [y for _, y in lines["bound"][-1:]]
    low, high = min(shown), max(shown)
    margin = 0.15 * (high / 2 - low / 2) * 2
    return max(-1e300, low - margin), min(1e300, high + margin)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most `_MOST_POINTS` points, the first and the last among them."""
    if len(points) <= _MOST_POINTS:
        return list(points)
    step = (len(points) - 1) / (_MOST_POINTS - 1)
    return [points[round(i * step)] for i in range(_MOST_POINTS)]


def _planners(job: EndedJob, summary: Mapping[str, Any]) -> Plot | None:
    rows = [
        (row.get("planner"), row.get("cost_ms")) for row in summary.get("baselines") or []
    ]
    objective = (job.result or {}).get("objective")
    return _bars(
        "Step time by planner",
        "Bars of the step time: the plan found and the plans of other planners",
        "ms",
        [("plan found", objective), *rows],
    )


def _checks(job: EndedJob) -> Mapping[str, Any]:
    check = (job.result or {}).get("verification") or {}
    checks: Mapping[str, Any] = check.get("checks") or {}
    return checks


def _loads(job: EndedJob) -> Plot | None:
    loads = _checks(job).get("compute_ms") or []
    return _bars(
        "Computing time by device",
        "Bars of the computing time of each device in a step, with the plan found",
        "ms",
        [(f"device {number}", value) for number, value in enumerate(loads)],
    )


def _reflection(job: EndedJob) -> Plot | None:
    """Return |S11| over the frequency, and the limit in each band."""
    curve = _checks(job).get("s11") or {}
    pairs = zip(curve.get("f_hz") or [], curve.get("db") or [], strict=False)
    points = [(float(f), float(y)) for f, y in pairs if _number(f) and _number(y)]
    if len(points) < 2 or points[0][0] >= points[-1][0]:
        return None
    limits = zip(
        job.spec.get("bands") or [], _checks(job).get("bands") or [], strict=False
    )
    lines = [
        Curve(
            name="limit",
            points=tuple((float(band[f"f_{end}_hz"]), row["limit_db"]) for end in _ENDS),
        )
        for band, row in limits
    ]
    return Plot(
        type="lines",
        title="Reflection over the frequency",
        alt="Reflection in decibel over the frequency, and its limit in each band",
        y_label="|S11|, dB",
        curves=(Curve(name="|S11|", points=tuple(points)), *lines),
    )


def _devices(job: EndedJob, summary: Mapping[str, Any]) -> Plot | None:
    rows = [
        (row.get("devices"), row.get("cost_ms")) for row in summary.get("what_if") or []
    ]
    rows.append((summary.get("devices"), (job.result or {}).get("objective")))
    by_count = sorted((row for row in rows if _number(row[0])), key=lambda row: row[0])
    return _bars(
        "Step time by number of devices",
        "Bars of the step time for each number of devices that was planned",
        "ms",
        [(f"{count} devices", cost) for count, cost in by_count],
    )


def _sizes(summary: Mapping[str, Any]) -> Plot | None:
    rows = summary.get("sizes") or []
    return _bars(
        "Loadable bytes by level",
        "Bars of the loadable bytes at LLVM's levels and of the result",
        "bytes",
        [(row.get("level"), row.get("loadable_bytes")) for row in rows],
    )


def _bars(
    title: str, alt: str, unit: str, rows: Sequence[tuple[Any, Any]]
) -> Plot | None:
    bars = tuple(
        Curve(name=one_line(str(name), _NAME), value=float(value))
        for name, value in rows
        if _number(value) and float(value) >= 0
    )[:_MOST_BARS]
    if len(bars) < 2:
        return None
    return Plot(type="bars", title=title, alt=alt, y_label=unit, curves=bars)


def _number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and math.isfinite(value)
    )
