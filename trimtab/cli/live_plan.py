"""Follow a plan in the terminal: its jobs in a panel on a TTY, else a line per change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trimtab._plan import Plan
from trimtab.cli.live import number
from trimtab.errors import JobAtRest, WaitTimeout
from trimtab.plans import OutlineView
from trimtab.results import JobState, JobView

LOOK_S = 1.0  # between two looks at the jobs

_STYLES: Mapping[JobState, str] = {
    JobState.RUNNING: "cyan",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.DEAD: "red",
    JobState.SKIPPED: "dim",
    JobState.CANCELLED: "dim",
}


def states(plan: Plan, seen: OutlineView) -> dict[str, str]:
    """Return the states of the jobs of an outline, by leaf."""
    if not seen.jobs:
        return {}
    views = _views(plan)
    return {
        leaf: views[job_id].state.value
        for leaf, job_id in seen.jobs.items()
        if job_id in views
    }


def follow(plan: Plan, *, quiet: bool = False) -> JobView:
    """Follow an approved plan until it ends or rests; prints nothing if `quiet`.

    KeyboardInterrupt passes through; the plan continues.
    """
    console = Console(stderr=True, quiet=quiet)
    if quiet or not console.is_terminal:
        shown: dict[str, str] = {}
        for seen, views in _looks(plan):
            for line in _changes(plan, seen, views, shown):
                console.print(line, markup=False, highlight=False, soft_wrap=True)
        return plan.view
    with Live(console=console, auto_refresh=False) as live:
        for seen, views in _looks(plan):
            live.update(_panel(plan, seen, views), refresh=True)
    return plan.view


def _looks(plan: Plan) -> Iterator[tuple[OutlineView, dict[str, JobView]]]:
    """Yield outline and jobs about every second, the last time after the plan's end."""
    while True:
        yield plan.read(), _views(plan)
        if plan.view.state.is_terminal or plan.view.state.is_resting:
            return
        try:
            plan.wait(LOOK_S)
        except (WaitTimeout, JobAtRest):
            continue


def _views(plan: Plan) -> dict[str, JobView]:
    return {view.id: view for view in plan._client.jobs(graph=plan.id)}


def _changes(
    plan: Plan, seen: OutlineView, views: Mapping[str, JobView], shown: dict[str, str]
) -> Iterator[str]:
    """Yield a line for each job, and the plan, whose state is new."""
    for leaf, job_id in seen.jobs.items():
        view = views.get(job_id)
        if view is not None and shown.get(leaf) != view.state.value:
            shown[leaf] = view.state.value
            yield f"{leaf:6}  {view.state:10}  {view.kind}: {_title(seen, leaf)}{_best(view)}"
    if shown.get("") != plan.view.state.value:
        shown[""] = plan.view.state.value
        yield f"{'plan':6}  {plan.view.state:10}  {_phase(plan.view)}".rstrip()


def _title(seen: OutlineView, leaf: str) -> str:
    return seen.outline.leaves[leaf].title if leaf in seen.outline.leaves else leaf


def _best(view: JobView) -> str:
    objective = None if view.best is None else view.best.objective
    return "" if objective is None else f", best {number(objective)}"


def _phase(view: JobView) -> str:
    """Return what a run of the plan does; empty while none is at work."""
    return view.phase or "" if view.state is JobState.RUNNING else ""


def _panel(plan: Plan, seen: OutlineView, views: Mapping[str, JobView]) -> Group:
    table = Table(box=None, padding=(0, 2), show_header=False)
    for leaf, job_id in seen.jobs.items():
        view = views.get(job_id)
        if view is None:
            continue
        table.add_row(
            leaf,
            Text(view.state.value, style=_STYLES.get(view.state, "")),
            view.kind,
            _title(seen, leaf),
            number(None if view.best is None else view.best.objective),
        )
    phase = _phase(plan.view)
    state = f"{plan.view.state.value}{phase and f', {phase}'}"
    heading = Text(f"plan  {plan.id}  {state}", style="bold")
    return Group(heading, table)
