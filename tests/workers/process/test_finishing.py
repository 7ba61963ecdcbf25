"""Ends of a run that are followed by a finishing run, and its task."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trimtab.results import Limit, Reason, Termination
from workers.process.finishing import finished_outcome, finishing_task
from workers.types import Finish, Outcome, OutcomeStatus, Task, TaskLimits

TASK = Task(
    job_id="j",
    fence=1,
    kind="k",
    builder="m:f",
    spec_class="m:C",
    spec={},
    seed=0,
    budget={"seconds": 100.0},
    limits=TaskLimits(),
)


def ended(
    status: OutcomeStatus = OutcomeStatus.LOST,
    reason: Reason = Reason.WORKER_LOST,
    **usage: float,
) -> Outcome:
    termination = Termination(reason=reason, detail="SIGKILL")
    return Outcome(status=status, termination=termination, usage=usage)


def test_a_dead_run_with_a_checkpoint_is_finished_within_its_allowance() -> None:
    task = finishing_task(TASK, ended(), b"best", phase="search", stopped=False)
    assert task is not None
    assert (task.start, task.budget) == (b"best", {"seconds": 50.0})
    assert task.finish == Finish(ended=ended().termination, decorate=True)


def test_a_run_that_died_writing_files_is_finished_without_extra_files() -> None:
    task = finishing_task(TASK, ended(), b"best", phase="produce", stopped=False)
    assert task is not None
    assert task.finish is not None
    assert not task.finish.decorate


def test_a_stop_is_the_limit_that_ended_the_run() -> None:
    task = finishing_task(TASK, ended(), b"best", phase="search", stopped=True)
    assert task is not None
    assert task.finish is not None
    assert task.finish.ended.limit is Limit.STOPPED


@pytest.mark.parametrize(
    ("outcome", "data"),
    [
        (ended(), None),
        (ended(status=OutcomeStatus.RESULT), b"best"),
        (ended(status=OutcomeStatus.CANCELLED), b"best"),
        (ended(status=OutcomeStatus.FAILED, reason=Reason.INVALID_INPUT), b"best"),
        (ended(status=OutcomeStatus.FAILED, reason=Reason.VERIFICATION_FAILED), b"best"),
    ],
)
def test_there_is_nothing_to_finish(outcome: Outcome, data: bytes | None) -> None:
    assert finishing_task(TASK, outcome, data, phase="search", stopped=False) is None


@pytest.mark.parametrize("phase", ["start", "parse", "encode", "search"])
def test_a_run_that_had_no_time_to_report_anything_ends_with_the_baseline(
    phase: str,
) -> None:
    """On a crowded machine the time may be over before the search begins."""
    over = Outcome(
        status=OutcomeStatus.FAILED,
        termination=Termination(reason=Reason.RESOURCE_EXHAUSTED, limit=Limit.TIME),
    )
    task = replace(TASK, baseline=True)
    finishing = finishing_task(task, over, None, phase=phase, stopped=False)
    assert finishing is not None
    assert finishing.start is None
    assert finishing.budget == {"seconds": 300.0}, "the baseline is made first"
    crashed = ended(status=OutcomeStatus.FAILED, reason=Reason.NUMERICAL_ERROR)
    begun = phase not in ("start", "parse")
    finishing = finishing_task(task, crashed, None, phase=phase, stopped=False)
    assert (finishing is not None) is begun


def test_usage_adds_up_and_peaks_are_maxima() -> None:
    first = ended(wall_s=3.0, max_rss_bytes=7.0)
    second = ended(OutcomeStatus.RESULT, Reason.FEASIBLE, wall_s=1.0, max_rss_bytes=5.0)
    both = finished_outcome(first, second)
    assert both.status is OutcomeStatus.RESULT
    assert both.usage == {"wall_s": 4.0, "max_rss_bytes": 7.0}
    failed = finished_outcome(first, ended(OutcomeStatus.FAILED, Reason.INTERNAL_ERROR))
    assert failed.status is OutcomeStatus.LOST
    assert "could not be finished either" in failed.termination.detail
