"""Watching a job in the terminal: one live panel on a TTY, a line per event elsewhere; and the text report."""

from __future__ import annotations

from rich.console import Console
from rich.live import Live
from rich.table import Table

from trimtab.client import Job
from trimtab.results import EventType, Incumbent, JobState, JobView, RunResult

_BARS = "▁▂▃▄▅▆▇█"


def number(value: float | None) -> str:
    """A figure for people; a dash where there is none."""
    return "-" if value is None else f"{value:.10g}"


def sparkline(values: list[float], width: int = 48) -> str:
    """The last values as a small curve."""
    shown = values[-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    return "".join(_BARS[round((value - low) / ((high - low) or 1.0) * (len(_BARS) - 1))] for value in shown)


def _panel(view: JobView, point: Incumbent | None, phase: str, curve: list[float]) -> Table:
    table = Table(title=f"{view.kind} {view.id}", show_header=False)
    rows = {
        "state": view.state.value,
        "phase": phase,
        "elapsed": "-" if point is None else f"{point.elapsed_s:.1f} s",
        "incumbent": "-" if point is None else number(point.objective),
        "bound": "-" if point is None else number(point.bound),
        "gap": "-" if point is None or point.gap is None else f"{point.gap:.3%}",
        "curve": sparkline(curve),
    }
    if view.heartbeat_age_s is not None:
        rows["heartbeat"] = f"{view.heartbeat_age_s:.1f} s ago"
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def watch(job: Job, console: Console) -> JobView:
    """Follow until the job ends. KeyboardInterrupt passes through: the caller says that the job goes on."""
    phase, curve = job.view.phase or "", list[float]()
    point: Incumbent | None = None
    live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
    with live or console:
        for event in job.events():
            if event.type is EventType.INCUMBENT:
                point = Incumbent.model_validate(event.data)
                curve += [] if point.objective is None else [point.objective]
            elif event.type is EventType.PHASE:
                phase = str(event.data.get("phase", ""))
            if live is not None:
                if event.type is not EventType.INCUMBENT:
                    job.refresh()
                live.update(_panel(job.view, point, phase, curve))
            elif event.type is EventType.INCUMBENT and point is not None:
                line = f"{point.elapsed_s:9.2f} s  incumbent {number(point.objective)}  bound {number(point.bound)}"
                console.print(line, markup=False, highlight=False)
            else:
                console.print(f"{event.type.value}: {dict(event.data)}", markup=False, highlight=False)
        view = job.wait()
        if live is not None:
            live.update(_panel(view, point, phase, curve))
    return view


def report(view: JobView, result: RunResult | None, url: str) -> list[tuple[str, str]]:
    """The report as (name, text) rows."""
    ended = result.termination if result is not None else view.termination
    rows = [("job", f"{view.id} ({view.kind})"), ("state", view.state.value)]
    if ended is not None:
        limit = f", limit: {ended.limit}" if ended.limit else ""
        rows.append(("termination", f"{ended.reason}{limit} {ended.detail}".rstrip()))
    if result is not None:
        checked = result.verification
        rows += [
            ("objective", number(result.objective)),
            ("bound", number(result.bound)),
            ("gap", "-" if result.gap is None else f"{result.gap:.4%}"),
            ("primal integral", number(result.primal_integral)),
            ("verification", f"{checked.status} ({checked.method or 'no method'}) {checked.detail}".rstrip()),
            ("exact objective", checked.objective_exact or "-"),
            ("max violation", number(checked.max_violation)),
            ("files", ", ".join(sorted(result.artifacts)) or "-"),
            ("seed", str(result.seed)),
        ]
    rows += [("result", f"{url}/v1/jobs/{view.id}/result"), ("page", f"{url}/jobs/{view.id}")]
    return rows


def exit_code(view: JobView) -> int:
    """0 for a result, 1 for FAILED, 7 for CANCELLED and DEAD."""
    if view.state is JobState.SUCCEEDED:
        return 0
    return 1 if view.state is JobState.FAILED else 7
