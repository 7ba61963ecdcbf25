"""Follow a job until its end or its owner's turn: `watch`, and the waits of other commands."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

import typer
from rich.console import Console

from trimtab._plan import Plan
from trimtab.cli import live, live_plan
from trimtab.cli.terminal import AsJson, JobId, out, say, say_failure
from trimtab.cli.terminal import client as connect
from trimtab.client import Job
from trimtab.errors import JobAtRest, WaitTimeout
from trimtab.results import JobState, JobView

_TELL_S = 15.0  # between two lines about a job that is waited for


def watch(job_id: JobId, as_json: AsJson = False) -> None:
    """Follow a job; Ctrl-C detaches and does not cancel. With --json: one line per event.

    Ends when a plan waits for its owner.
    """
    with connect() as client:
        job = client.job(job_id)
        if as_json:
            with detachable(job):
                for event in job.events():
                    out(event.model_dump(mode="json"))
                    if live.goes_to_rest(event) and job.refresh().state.is_resting:
                        raise typer.Exit(live.AT_REST)
                raise typer.Exit(live.exit_code(job.wait()))
        view = follow(job)
        say_failure(view)
        if view.state.is_resting:
            raise JobAtRest(view, client.endpoint.url)
        raise typer.Exit(live.exit_code(view))


def follow(job: Job) -> JobView:
    """Show a job while it runs; return it at its end, or when it waits for its owner."""
    with detachable(job):
        if isinstance(job, Plan):
            return live_plan.follow(job)
        return live.watch(job, Console(stderr=True))


@contextlib.contextmanager
def detachable(job: Job) -> Iterator[None]:
    """Say at Ctrl-C that the job continues, and exit with 130."""
    try:
        yield
    except KeyboardInterrupt:
        say(
            f"\ndetached; the job continues. `trimtab watch {job.id}` follows it again, "
            f"`trimtab stop {job.id}` ends it"
        )
        raise typer.Exit(130) from None


def wait_for(job: Job, timeout_s: float | None = None) -> JobView:
    """Wait as `Job.wait` does, and say on stderr how long: every 15 s on a terminal, else once."""
    began, told = time.monotonic(), False
    while True:
        waited_s = time.monotonic() - began
        left_s = float("inf") if timeout_s is None else timeout_s - waited_s
        try:
            return job.wait(min(_TELL_S, left_s))
        except WaitTimeout:
            waited_s = time.monotonic() - began
            if timeout_s is not None and waited_s >= timeout_s:
                raise WaitTimeout(job.view, timeout_s) from None
        if not told or sys.stderr.isatty():
            say(_standing(job.view, waited_s))
            told = True


def _standing(view: JobView, waited_s: float) -> str:
    """Return the state of a job that is waited for, in a sentence."""
    state = f"{view.id} is {view.state} after {waited_s:.0f} s"
    match view.state:
        case JobState.QUEUED:
            return (
                f"{state}: no worker has begun it; `trimtab doctor` on the server's machine "
                "looks for the cause"
            )
        case JobState.WAITING:
            return (
                f"{state}: it waits for {view.waits} other job{'s' * (view.waits != 1)}"
            )
        case _:
            return f"{state}, phase {view.phase}" if view.phase else state
