"""Pictures for notebooks as inline SVG: no matplotlib, no script, no style block.

A style block inside a page applies to the whole page. Files of a result have one, see
deploy/docs/adr/0001-two-distributions-one-repository.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from trimtab.outlines import grouped, origin_text, seconds_text, values_of, words_of
from trimtab.plans import Outline
from trimtab.results import Incumbent, JobView

if TYPE_CHECKING:
    from trimtab.client import Job

_WIDTH, _HEIGHT, _EDGE = 640, 240, 12


def job_html(view: JobView, trace: Sequence[Incumbent] = ()) -> str:
    """Return a job as a small table, with its curve if it has a trace. All text is escaped."""
    best = view.best
    rows = {
        "job": view.id,
        "kind": view.kind,
        "state": view.state.value,
        "objective": ""
        if best is None or best.objective is None
        else f"{best.objective:.10g}",
        "bound": "" if best is None or best.bound is None else f"{best.bound:.10g}",
        "gap": "" if best is None or best.gap is None else f"{best.gap:.2%}",
        "why": ""
        if view.termination is None
        else f"{view.termination.reason} {view.termination.detail}",
    }
    cells = "".join(
        f"<tr><th>{name}</th><td>{escape(text)}</td></tr>"
        for name, text in rows.items()
        if text
    )
    return f"<table>{cells}</table>{curve_svg(trace) if trace else ''}"


def curve_svg(trace: Sequence[Incumbent]) -> str:
    """Return an SVG of incumbent (solid) and bound (dashed) over seconds, as steps."""
    values = [
        v
        for point in trace
        for v in (point.objective, point.bound)
        if v is not None and math.isfinite(v)
    ]
    if not values:
        return ""
    low, high = min(values), max(values)
    end = max(point.elapsed_s for point in trace) or 1.0

    def xy(t: float, value: float) -> tuple[float, float]:
        x = _EDGE + t / end * (_WIDTH - 2 * _EDGE)
        y = (
            _HEIGHT
            - _EDGE
            - (value - low) / ((high - low) or 1.0) * (_HEIGHT - 2 * _EDGE)
        )
        return round(x, 1), round(y, 1)

    def steps(points: list[tuple[float, float]]) -> str:
        drawn = ""
        for t, value in points:
            x, y = xy(t, value)
            drawn += f"H{x}V{y}" if drawn else f"M{x} {y}"
        return drawn + (f"H{_WIDTH - _EDGE}" if drawn else "")

    objective = steps(
        [(p.elapsed_s, p.objective) for p in trace if p.objective is not None]
    )
    bound = steps([(p.elapsed_s, p.bound) for p in trace if p.bound is not None])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" role="img" aria-label="incumbent and bound from {low:.6g} to '
        f'{high:.6g} over {end:.1f} seconds" fill="none">'
        f'<path d="{objective}" stroke="#0a7" stroke-width="2"/>'
        f'<path d="{bound}" stroke="#b50" stroke-width="2" stroke-dasharray="5 4"/></svg>'
    )


def outline_html(outline: Outline) -> str:
    """Return an outline as nested lists: goals, stages, jobs with their values.

    All text is escaped.
    """
    goals = []
    for goal, stages in grouped(outline):
        inside = "".join(
            f"<li>{escape(outline.stages[stage].title) if stage else ''}"
            f"<ul>{''.join(_leaf_html(outline, leaf) for leaf in leaves)}</ul></li>"
            for stage, leaves in stages
        )
        title = escape(outline.goals[goal].title) if goal else "Further jobs"
        goals.append(f"<li><b>{title}</b><ul>{inside}</ul></li>")
    remarks = [
        f"<p>Not understood: <u>{escape(words_of(outline.goal, [span]))}</u></p>"
        for span in outline.not_understood
    ]
    remarks += [
        f"<p>Not done: <q>{escape(part.text)}</q> {escape(part.reason)}</p>"
        for part in outline.not_done
    ]
    remarks += [
        f"<p>Question {name}: {escape(question.text)} "
        f"<i>{escape(outline.answers.get(name) or ' / '.join(question.options))}</i></p>"
        for name, question in outline.questions.items()
    ]
    understood = f"<p>{escape(outline.understood)}</p>" if outline.understood else ""
    return f"{understood}<ul>{''.join(goals)}</ul>{''.join(remarks)}"


def _leaf_html(outline: Outline, name: str) -> str:
    leaf = outline.leaves[name]
    rows = "".join(
        f"<tr><th>{escape(value.path)}</th><td>{escape(value.text)}</td>"
        f"<td>{f'<q>{escape(value.words)}</q> ' if value.words else ''}"
        f"{f'your answer: {escape(value.answer)} ' if value.answer else ''}"
        f"{escape(value.default)}</td></tr>"
        for value in values_of(outline, leaf)
    )
    title = f"<code>{name}</code> {escape(leaf.kind)}: {escape(leaf.title)}"
    shown = title if leaf.enabled else f"<s>{title}</s>"
    return (
        f"<li>{shown}<table>{rows}</table>"
        f"{escape(seconds_text(leaf.seconds))}; {escape(origin_text(leaf.origin))}</li>"
    )


def live(job: Job) -> JobView:
    """Follow a job in a notebook cell until it ends; without IPython, print lines.

    Raises JobAtRest for a plan that waits for its owner.
    """
    if job.view.state.is_resting:
        return job.wait()
    try:
        from IPython.display import HTML, display  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        for point in job.incumbents():
            print(
                f"{point.elapsed_s:8.1f} s  incumbent {point.objective}  bound {point.bound}"
            )
        return job.wait()
    trace: list[Incumbent] = []
    handle: Any = display(HTML(job_html(job.view)), display_id=True)
    for point in job.incumbents():
        trace.append(point)
        handle.update(HTML(job_html(job.view, trace)))
    view = job.wait()
    handle.update(HTML(job_html(view, trace)))
    return view
