"""Runs that go to rest, and runs that find what was kept."""

from __future__ import annotations

from typing import Any

from search.rest import EndedJob, Woken
from tests.contracts.executor.common import Run, outcome_of
from trimtab.results import JobState, Reason
from workers.types import Executor, OutcomeStatus, Task
from workers.wire import woken_to_json


def errand(woken: Woken | None = None, **spec: Any) -> Task:
    return Task(
        job_id="job",
        fence=1,
        kind="errand",
        builder="tests.doubles.resting_domain:build",
        spec_class="tests.doubles.resting_domain:ErrandSpec",
        spec=spec,
        seed=0,
        budget={"seconds": 30.0},
        woken=None if woken is None else woken_to_json(woken),
    )


def ended(state: JobState = JobState.SUCCEEDED, *, size: int = 0) -> EndedJob:
    return EndedJob(
        id="job_1",
        fence=3,
        kind="root",
        state=state,
        spec={"square": -4},
        budget={"seconds": 20.0},
        seed=0,
        termination=None,
        result={"objective": 2.5, "summary": {"long": "x" * size}},
        seconds=1.5,
    )


class Resting:
    """Runs that go to rest, and runs that find what was kept."""

    def test_a_run_rests_is_answered_and_woken(
        self, executor: Executor, run: Run
    ) -> None:
        async def body() -> None:
            asked = await outcome_of(executor, errand(ask=True))
            assert asked.status is OutcomeStatus.RESTED, asked.termination
            assert (asked.result, asked.produced) == (None, ())
            assert asked.rest is not None
            assert asked.rest.state is JobState.NEEDS_INPUT
            assert (asked.rest.detail, asked.rest.approved) == ("a question", False)
            memo: Any = dict(asked.rest.memo)
            memo["outline"]["answers"] = {"q1": "25"}
            answered = Woken(memo=memo, approved=False)
            shown = await outcome_of(executor, errand(answered, ask=True, approve="auto"))
            assert shown.rest is not None
            assert (shown.rest.state, shown.rest.approved) == ("AWAITING_APPROVAL", True)
            assert shown.rest.memo["outline"]["leaves"]["l2"]["spec"] == {"square": 25}
            # Results of other jobs may be larger than a frame between processes wants to be.
            jobs = {"l1": ended(size=2**22), "l2": ended()}
            woken = Woken(memo=shown.rest.memo, jobs=jobs)
            reported = await outcome_of(executor, errand(woken))
            assert reported.status is OutcomeStatus.RESULT, reported.termination
            assert reported.result is not None
            assert reported.result["verification"]["status"] == "valid"
            repairing = Woken(memo=shown.rest.memo, jobs={"l1": ended(JobState.FAILED)})
            again = await outcome_of(executor, errand(repairing))
            assert again.rest is not None
            assert again.rest.state is JobState.WAITING
            assert again.rest.memo["outline"]["leaves"]["l1.r1"]["origin"]["id"] == "l1"

        run(body())

    def test_a_memo_that_the_domain_refuses_fails_the_run(
        self, executor: Executor, run: Run
    ) -> None:
        async def body() -> None:
            outcome = await outcome_of(executor, errand(Woken(memo={"kept": 1})))
            assert outcome.status is OutcomeStatus.FAILED
            assert outcome.termination.reason is Reason.INVALID_INPUT
            assert "memo: expected an outline" in outcome.termination.detail

        run(body())
