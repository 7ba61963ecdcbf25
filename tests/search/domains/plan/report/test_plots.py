from __future__ import annotations

import math
from dataclasses import replace

from search.domains.plan.report.plots import plots_of
from search.domains.plan.report.render.drawing import svg_of
from tests.search.domains.plan.ended import recorded

JOBS = recorded()


def titles(name: str) -> list[str]:
    return [plot.title for plot in plots_of(JOBS[name])]


def test_each_kind_has_its_plots() -> None:
    assert titles("highs") == ["Course of the search"]
    assert titles("eight-devices") == [
        "Course of the search",
        "Step time by planner",
        "Step time by number of devices",
        "Computing time by device",
    ]
    assert titles("checksum") == ["Loadable bytes by level"]
    assert titles("patch") == ["Reflection over the frequency"]
    assert titles("does-not-compile") == titles("infeasible") == []


def test_reflection_has_the_limit_of_the_band() -> None:
    (plot,) = plots_of(JOBS["patch"])
    assert [curve.name for curve in plot.curves] == ["|S11|", "limit"]
    assert plot.curves[1].points == ((5.15e9, -10.0), (5.35e9, -10.0))
    inside = [y for x, y in plot.curves[0].points if 5.15e9 <= x <= 5.35e9]
    assert inside
    assert max(inside) <= -10


def test_names_in_a_drawing_are_escaped_and_values_that_are_none_left_out() -> None:
    job = JOBS["checksum"]
    sizes = [
        {"level": "<script>", "loadable_bytes": 10},
        {"level": "b", "loadable_bytes": 20},
        {"level": "c", "loadable_bytes": math.nan},
        {"level": "d"},
    ]
    result = {**(job.result or {}), "summary": {"sizes": sizes}}
    (plot,) = plots_of(replace(job, result=result))
    assert [curve.name for curve in plot.curves] == ["<script>", "b"]
    svg = svg_of(plot)
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


def test_a_long_course_is_thinned_and_keeps_its_ends() -> None:
    trace = [{"elapsed_s": i / 10, "objective": -float(i)} for i in range(5000)]
    result = {**(JOBS["highs"].result or {}), "trace": trace}
    plot = plots_of(replace(JOBS["highs"], result=result))[0]
    points = plot.curves[0].points
    assert len(points) <= 400
    assert (points[0], points[-1]) == ((0.0, 0.0), (499.9, -4999.0))
    assert svg_of(plot).startswith("<svg")
