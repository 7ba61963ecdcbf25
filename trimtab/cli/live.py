"""Follow a job in the terminal (a live panel on a TTY, else a line per event); text report."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trimtab.certificates import MODEL, certified
from trimtab.client import Job
from trimtab.results import (
    PRINTED,
    RESTING,
    Event,
    EventType,
    Incumbent,
    JobState,
    JobView,
    RunResult,
    printable,
)


def number(value: float | None) -> str:
    """Return a figure for people; a dash for None."""
    return "-" if value is None else f"{value:.10g}"


def plot(
    points: list[Incumbent], *, until_s: float, width: int = 64, height: int = 8
) -> str:
    """Plot incumbent (━) and bound (┄) over time as text; empty without points.

    `until_s` is the right end of the time axis, `width` and `height` are in characters.
    """
    values = [v for p in points for v in (p.objective, p.bound) if v is not None]
    if not values:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    grid = [[" "] * width for _ in range(height)]

    def draw(get: Callable[[Incumbent], float | None], mark: str) -> None:
        at, value = 0, None
        for column in range(width):
            now = until_s * (column + 1) / width
            while at < len(points) and points[at].elapsed_s <= now:
                new = get(points[at])
                value = value if new is None else new
                at += 1
            if value is not None:
                grid[height - 1 - round((value - low) / span * (height - 1))][column] = (
                    mark
                )

    draw(lambda p: p.bound, "┄")
    draw(lambda p: p.objective, "━")
    labels = [number(high), *[""] * (height - 2), number(low)]
    margin = max(len(label) for label in labels)
    lines = [
        f"{label:>{margin}} │{''.join(row)}"
        for label, row in zip(labels, grid, strict=True)
    ]
    return "\n".join([*lines, f"{'':>{margin}} └{'─' * width} {until_s:.0f} s"])


class _Screen:
    """State of the panel: newest view, phase and trace of the job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.phase = job.view.phase or ""
        self.points: list[Incumbent] = []
        self._began = time.monotonic()
        self._elapsed_s: float | None = None  # stands still once the job has ended

    def update(self, event: Event) -> str | None:
        """Apply an event and return its line for output without a panel."""
        match event.type:
            case EventType.INCUMBENT:
                point = Incumbent.model_validate(event.data)
                if not self.points:
                    self._began = time.monotonic() - point.elapsed_s
                self.points.append(point)
                gap = "" if point.gap is None else f"  gap {point.gap:.2%}"
                source = f"  {point.source}" if point.source else ""
                objective, bound = number(point.objective), number(point.bound)
                elapsed = f"{point.elapsed_s:9.2f} s"
                return f"{elapsed}  incumbent {objective}  bound {bound}{gap}{source}"
            case EventType.PHASE:
                self.phase = str(event.data.get("phase", ""))
                if detail := event.data.get("detail"):
                    self.phase += f": {printable(str(detail))}"
                return f"{'':11}  {self.phase}"
            case EventType.STATE:
                state, attempt = event.data.get("state"), event.data.get("attempt")
                return f"{'':11}  {state}" + (
                    f", attempt {attempt}" if state == "RUNNING" and attempt != 1 else ""
                )
            case EventType.LOG if event.data.get("level") == PRINTED:
                return None  # see `trimtab logs`
            case _:
                return f"{'':11}  {printable(str(event.data.get('message', '')))}"

    def panel(self) -> Group:
        view, newest = self.job.view, self.points[-1] if self.points else None
        if view.state is JobState.RUNNING or self._elapsed_s is None:
            self._elapsed_s = time.monotonic() - self._began if self.points else None
        elapsed = self._elapsed_s
        table = Table(show_header=False, box=None, padding=(0, 2))
        gap = None if newest is None else newest.gap
        objective, bound = (
            ("-", "-")
            if newest is None
            else (number(newest.objective), number(newest.bound))
        )
        for left, right in (
            (("state", view.state.value), ("phase", self.phase or "-")),
            (("incumbent", objective), ("bound", bound)),
            (
                ("gap", "-" if gap is None else f"{gap:.2%}"),
                ("found by", (newest and newest.source) or "-"),
            ),
            (
                (
                    "elapsed",
                    "-"
                    if elapsed is None
                    else f"{elapsed:.0f} s of {view.budget.seconds:g} s",
                ),
                self._pulse(),
            ),
        ):
            table.add_row(
                Text(left[0], style="dim"), left[1], Text(right[0], style="dim"), right[1]
            )
        until_s = max([elapsed or 0.0, *[p.elapsed_s for p in self.points], 1.0])
        heading = Text(f"{view.kind}  {view.id}", style="bold")
        return Group(heading, table, Text(plot(self.points, until_s=until_s)))

    def _pulse(self) -> tuple[str, str]:
        age = self.job.view.heartbeat_age_s
        return ("heartbeat", "-" if age is None else f"{age:.1f} s ago")


def goes_to_rest(event: Event) -> bool:
    """Return True for an event that says that the job waits for its owner."""
    return event.type is EventType.STATE and event.data.get("state") in set(RESTING)


def watch(job: Job, console: Console) -> JobView:
    """Follow a job until it ends. KeyboardInterrupt passes through; the job continues."""
    screen = _Screen(job)
    if not console.is_terminal:
        for event in job.events():
            if (line := screen.update(event)) is not None:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
        return job.wait()
    # A thread reads the events, so that clock and heartbeat move between them.
    events: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(job, events), daemon=True).start()
    with Live(screen.panel(), console=console, refresh_per_second=8) as live:
        refreshed = 0.0
        while True:
            due = refreshed + 1.0
            try:
                item = events.get(timeout=0.25)
            except queue.Empty:
                pass
            else:
                if item is None:
                    break
                if isinstance(item, BaseException):
                    raise item
                screen.update(item)
                due = due if item.type is not EventType.STATE else 0.0
            if time.monotonic() >= due:
                job.refresh()
                refreshed = time.monotonic()
            live.update(screen.panel())
        view = job.wait()
        live.update(screen.panel())
    return view


def _listen(job: Job, events: queue.SimpleQueue[Event | BaseException | None]) -> None:
    try:
        for event in job.events():
            events.put(event)
    except BaseException as error:  # raised again in the panel's thread
        events.put(error)
    events.put(None)


def report(view: JobView, result: RunResult | None, url: str) -> list[tuple[str, str]]:
    """Return the report as (name, text) rows."""
    ended = result.termination if result is not None else view.termination
    rows = [("job", f"{view.id} ({view.kind})"), ("state", view.state.value)]
    if ended is not None:
        limit = f" (limit: {ended.limit})" if ended.limit else ""
        rows.append(
            (
                "termination",
                f"{ended.reason}{limit}" + (f": {ended.detail}" if ended.detail else ""),
            )
        )
    if result is not None:
        checked = result.verification
        model = certified(result.model_dump(include={"bound", "summary"}))
        about = (
            ""
            if model is None
            else f" ({MODEL}, where the solution costs {number(model.cost)})"
        )
        bound, gap = (
            (result.bound, result.gap) if model is None else (model.bound, model.gap)
        )
        proved = [
            ("bound", number(bound) + about),
            (
                "gap",
                "-"
                if gap is None
                else f"{gap:.4%}" + ("" if model is None else f" ({MODEL})"),
            ),
            ("primal integral", number(result.primal_integral)),
        ]
        rows += [
            ("objective", number(result.objective)),
            # A card is one figure at the end: nothing is proved, or improves on the way.
            *(proved if view.kind != "learn" else ()),
            (
                "verification",
                f"{checked.status}, {checked.method}"
                if checked.method
                else checked.status.value,
            ),
            ("checked", checked.detail or "-"),
            ("exact objective", checked.objective_exact or "-"),
            ("max violation", number(checked.max_violation)),
            (
                "timings",
                ", ".join(
                    f"{name} {seconds:.2f} s"
                    for name, seconds in result.timings_s.items()
                )
                or "-",
            ),
            ("files", ", ".join(sorted(result.artifacts)) or "-"),
            ("seed", str(result.seed)),
            *fitted_model(result.summary),
        ]
    rows += [
        ("result", f"{url}/v1/jobs/{view.id}/result"),
        ("page", f"{url}/jobs/{view.id}"),
    ]
    return rows


def fitted_model(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows on the fitted model that the job used or made."""
    rows = []
    used, made = summary.get("model_used"), summary.get("model")
    if isinstance(used, Mapping):
        rows.append(("model used", f"{used.get('id')}: {used.get('reason', '-')}"))
    if isinstance(made, Mapping) and "state" in made:
        rows.append(("fitted model", f"{made.get('id')}, {made['state']}"))
        rows.append(("card", " ".join(map(str, summary.get("reasons", ())))))
    return rows


AT_REST = 10  # exit code: the plan goes on once its owner has answered or approved


def exit_code(view: JobView) -> int:
    """Return 0 for a result, 1 for FAILED, 10 at rest, 7 for CANCELLED, DEAD and SKIPPED."""
    if view.state is JobState.SUCCEEDED:
        return 0
    if view.state.is_resting:
        return AT_REST
    return 1 if view.state is JobState.FAILED else 7
